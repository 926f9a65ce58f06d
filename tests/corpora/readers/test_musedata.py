"""MuseData stage 2: a few lines of each kind of record, and the notes that they mean."""

from __future__ import annotations

import pytest

from hf_model.corpora import catalogue
from hf_model.corpora.readers.musedata import parse_musedata
from hf_model.corpora.records import CorpusError

HEADER = """&&&&&&&&&&
FILENAME = 01
&&&&&&&&&&
A header line of a work in A Major
Group memberships: score
score: part 1 of 2
"""

TWO_PARTS = (
    HEADER
    + """$   Q:2  K:0  T:3/2  C:22  D:Grave
P   C0:v140
G3     3      1 q.    d                    Muss
E3     1      1 e     d                    es
Af3    4-     1 h     d                    sein?
measure 2
Af3    4      1 h
rest   4      1 h
&
C4     4      1 h           commented out
&
@ a remark
mdouble 3
$   Q:4  K:-1
C#5    4      1 q     u
gB4    2      1 e
/END
/eof
"""
    + HEADER
    + """$   Q:2
C4     4      1 h     d
 E4    4      1 h     d
back   4
C3     2      2 q     d
D3     2      2 q     d
Bff2   2      2 q     d
F##5   2      2 q     d
/END
/eof
//
"""
)


@pytest.fixture
def parts(tmp_path):
    (tmp_path / "a.msd").write_text(TWO_PARTS, encoding="latin-1")
    return [[(note.onset, note.offset, note.pitch) for note in part] for part in parse_musedata(tmp_path / "a.msd")]


def test_durations_in_divisions_and_tied_notes(parts):
    # 120 quarters a minute: Q:2 makes a division a quarter of a second.
    assert parts[0] == [
        (0.0, 0.75, 55),  # G3
        (0.75, 1.0, 52),  # E3
        (1.0, 3.0, 56),  # A flat 3, tied over the bar line
        (4.0, 4.5, 73),  # after a rest; four divisions of Q:4; the grace note takes no time
    ]


def test_chords_and_back_records(parts):
    assert parts[1] == [
        (0.0, 0.5, 48),  # back: the lower voice
        (0.0, 1.0, 60),
        (0.0, 1.0, 64),  # a blank first: sounds with the one before
        (0.5, 1.0, 50),
        (1.0, 1.5, 45),  # double flat
        (1.5, 2.0, 79),  # double sharp
    ]


def test_unresolved_tie_is_a_note(tmp_path):
    (tmp_path / "a.md2").write_text("$ Q:1\nC4     1-\nD4     1\n/END\n")
    assert [note.pitch for note in parse_musedata(tmp_path / "a.md2")[0]] == [60, 62]


@pytest.mark.parametrize("line", ["C4     x      1 q", "C     4      1 q", "rest"])
def test_broken_line_is_reported(tmp_path, line):
    (tmp_path / "a.md2").write_text(f"$ Q:1\nC4     1\n{line}\n/END\n")
    with pytest.raises(CorpusError, match=r"a\.md2, line 3"):
        parse_musedata(tmp_path / "a.md2")


def test_each_part_and_midi_track_is_a_melody(tmp_path, make_midi):
    home = tmp_path / "musedata"
    (home / "bach/stage2/01").mkdir(parents=True)
    (home / "bach/stage2/01/s01").write_text(TWO_PARTS, encoding="latin-1")
    (home / "quartet.md2").write_text(TWO_PARTS, encoding="latin-1")
    (home / "readme.txt").write_text("C4     1\n")
    make_midi(home / "haydn/op1.mid", {"violin": [(0, 1, 72)], "viola": [(0, 1, 60)]})
    records = list(catalogue.read("musedata", tmp_path))
    assert [record.pair_id for record in records] == [
        "bach-stage2-01-s01-1",
        "bach-stage2-01-s01-2",
        "haydn-op1-1",
        "haydn-op1-2",
        "quartet-1",
        "quartet-2",
    ]
    assert [note.pitch for note in records[1].notes] == [64, 45, 79]  # the upper line
    assert records[0].licence == "unstated"


def test_empty_folder_is_reported(tmp_path):
    with pytest.raises(CorpusError, match="musedata: no files there"):
        list(catalogue.read("musedata", tmp_path))
