"""Label files of all formats."""

from __future__ import annotations

import pytest

from hf_model.corpora.label_files import parse_pitch, read_labels
from hf_model.corpora.records import CorpusError

TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"
xmin = 0
xmax = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "notes"
        intervals: size = 3
        intervals [1]:
            xmin = 0.0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "C4"
        intervals [3]:
            xmin = 1.25
            xmax = 2.0
            text = "64.2"
"""
FILES = {
    "a.csv": "onset,offset,pitch\n0.5,1.25,60\n1.25,2.0,64.2\n",
    "b.csv": "offset;onset;note\n1,25;0,5;C4\n2,0;1,25;64,2\n",
    "g.csv": "onset,f0,duration\n0.5,261.6256,0.75\n1.25,333.4,0.75\n",
    "c.txt": "0.5\t1.25\t60\n1.25 2.0 64.2\n",
    "d.txt": "onset offset pitch\n0.5 1.25 C4\n1.25 2 64.2\n2 3 breath\n",
    "e.lab": "0 5000000 pau\n5000000 12500000 C4\n12500000 20000000 64.2\n",
    "f.TextGrid": TEXTGRID,
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_notes(name, tmp_path):
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    notes = read_labels(tmp_path / name)
    assert [(note.onset, note.offset, note.pitch) for note in notes] == [
        pytest.approx((0.5, 1.25, 60.0), abs=0.01),
        pytest.approx((1.25, 2.0, 64.2), abs=0.01),
    ]


def test_textgrids_of_praat_in_utf_16_are_read(tmp_path):
    (tmp_path / "a.TextGrid").write_bytes(TEXTGRID.encode("utf-16"))
    assert len(read_labels(tmp_path / "a.TextGrid")) == 2


def test_midi_files_give_the_highest_notes(tmp_path, make_midi):
    path = make_midi(tmp_path / "a.mid", {"voice": [(0.5, 1.0, 60), (0.5, 1.0, 48), (1.0, 2.0, 64)]})
    assert [(note.onset, note.pitch) for note in read_labels(path)] == [(0.5, 60.0), (1.0, 64.0)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "0.5 1.0 60\nhello there 61\n", "line 2: 'hello there 61' does not begin with two times"),
        ("a.txt", "0.5 1.0 pau\n", "no notes in it"),
        ("a.csv", "begin,end\n1,2\n", "must name the columns onset, offset and pitch"),
        ("a.txt", "1.0 0.5 60\n", "offset"),
        ("a.xml", "", "labels are .csv"),
    ],
)
def test_errors_name_the_file(name, text, message, tmp_path):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=message) as caught:
        read_labels(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "pitch"), [("60", 60.0), ("A4", 69.0), ("F#3", 54.0), ("", None), ("sil", None), ("0", None)]
)
def test_pitches_are_numbers_or_names(text, pitch):
    assert parse_pitch(text) == pitch
