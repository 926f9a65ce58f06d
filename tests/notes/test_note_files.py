"""Files of notes: made by other programs, edited by hand, and broken."""

from __future__ import annotations

from pathlib import Path

import mido
import pretty_midi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.notes.midi import write_midi
from hf_model.notes.note import Note
from hf_model.notes.note_files import NoteFileError, name_to_key, pedals_of, read_score, write_csv
from hf_model.notes.pedal import Pedal
from hf_model.notes.pitch import pitch_to_name
from tests.stand_ins import press_pedal


def table(folder: Path, text: str, **options: str) -> Path:
    path = folder / "notes.csv"
    path.write_text(text, encoding=options.get("encoding", "utf-8"))
    return path


def test_what_convert_writes_is_read_back(tmp_path: Path) -> None:
    keys = [Note(0.5, 1.0, 60, 70), Note(1.0, 1.25, 64, 90)]
    write_csv(tmp_path / "a.csv", keys, keys)
    write_midi(tmp_path / "a.mid", keys)
    assert read_score(tmp_path / "a.csv").notes == keys
    for read, key in zip(read_score(tmp_path / "a.mid").notes, keys, strict=True):
        assert (read.pitch, read.velocity) == (key.pitch, key.velocity)
        assert (read.onset, read.offset) == pytest.approx((key.onset, key.offset), abs=1e-3)


def test_a_table_as_a_spreadsheet_leaves_it(tmp_path: Path) -> None:
    text = '\ufeff"Note";"Onset";"Offset";"Velocity";"why"\nC4;0,5;1;;\n\n64.0;0,25;0,5;100;moved\n'
    assert read_score(table(tmp_path, text)).notes == [Note(0.25, 0.5, 64, 100), Note(0.5, 1.0, 60, 80)]


def test_pitches_serve_where_no_keys_are_given(tmp_path: Path) -> None:
    assert read_score(table(tmp_path, "onset,offset,pitch\n0,1,59.6\n")).notes == [Note(0, 1, 60)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "neither a MIDI file nor a table of notes"),
        ("a,b\n1,2\n", r"first line: onset,offset,note,velocity"),
        ("onset,offset,note\n0,1,60\n1,x,60\n", "line 3: could not convert string to float: 'x'"),
        ("onset,offset,note\n0,1\n", "line 2: no 'note' in this row"),
        ("onset,offset,note\n1,1,60\n", "line 2: note must have offset > onset"),
        ("onset,offset,note\n-1,1,60\n", "line 2: onset is -1 s, must not be negative"),
        ("onset,offset,note\n0,1,H#x\n", "line 2: 'H#x' is no note"),
        ("onset,offset,note\n0,1,200\n", "line 2: pitch is 200.0"),
        ("onset,offset,note\n0,inf,60\n", "line 2: note must have offset > onset"),
        ("onset,offset,note\n0,1,nan\n", "line 2: note is nan"),
        ("onset,offset,note,velocity\n0,1,60,200\n", "line 2: velocity is 200"),
    ],
)
def test_broken_tables_name_the_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(NoteFileError, match=sentence) as error:
        read_score(table(tmp_path, text))
    assert str(error.value).startswith(str(tmp_path / "notes.csv"))
    assert "\n" not in str(error.value)


def test_instruments_are_merged_and_drums_left_out(tmp_path: Path) -> None:
    midi = pretty_midi.PrettyMIDI(initial_tempo=90)
    for program, is_drum, key in ((0, False, 60), (40, False, 67), (0, True, 38)):
        instrument = pretty_midi.Instrument(program, is_drum=is_drum)
        instrument.notes.append(pretty_midi.Note(77, key, 0.5, 1.0))
        midi.instruments.append(instrument)
    midi.write(str(tmp_path / "band.mid"))
    score = read_score(tmp_path / "band.mid")
    assert [(note.pitch, note.velocity) for note in score.notes] == [(60, 77), (67, 77)]
    assert score.warnings == ("1 drum notes are left out",)
    assert not score.has_pedal


def test_tempo_changes_count(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track += [
        mido.MetaMessage("set_tempo", tempo=500_000),
        mido.Message("note_on", note=60, velocity=64),
        mido.MetaMessage("set_tempo", tempo=1_000_000, time=480),  # half as fast after one beat
        mido.Message("note_off", note=60, time=480),
    ]
    file.save(tmp_path / "slower.mid")
    [note] = read_score(tmp_path / "slower.mid").notes
    assert (note.onset, note.offset) == pytest.approx((0.0, 1.5))


def test_the_files_own_pedal_holds_notes(tmp_path: Path) -> None:
    write_midi(tmp_path / "a.mid", [Note(0.0, 0.5, 60), Note(1.0, 1.5, 62)])
    press_pedal(tmp_path / "a.mid", [(0.25, 0.75), (1.75, 2.0)])
    score = read_score(tmp_path / "a.mid")
    assert score.has_pedal
    assert [note.offset for note in score.notes] == pytest.approx([0.75, 1.5], abs=1e-3)


def change(time: float, value: int, number: int = 64) -> pretty_midi.ControlChange:
    return pretty_midi.ControlChange(number, value, time)


def test_pedals_are_found_among_controllers() -> None:
    changes = [change(2.0, 0), change(1.0, 100), change(1.2, 127), change(0.5, 90, number=1), change(3.0, 64)]
    assert pedals_of(changes, 5.0) == [Pedal(1.0, 2.0), Pedal(3.0, 5.0)]
    assert pedals_of([change(3.0, 127)], 2.0) == []
    assert pedals_of([change(3.0, 127), change(3.0, 0)], 2.0) == []


def test_keys_beyond_the_piano_are_folded_in_and_that_is_told(tmp_path: Path) -> None:
    score = read_score(table(tmp_path, "onset,offset,note\n0,1,10\n1,2,120\n2,3,60\n"))
    assert [note.pitch for note in score.notes] == [22, 108, 60]
    assert score.warnings == ("2 notes lie beyond the keyboard and are played octaves away",)


def test_an_empty_table_is_silence_and_that_is_told(tmp_path: Path) -> None:
    assert read_score(table(tmp_path, "onset,offset,note\n")).warnings == ("no notes are in it: the piano is silent",)


@pytest.mark.parametrize("content", [b"MThd", b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\x00\x00\xff\xff\x00"])
def test_broken_midi_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(NoteFileError, match=r"a\.mid: not a readable MIDI file"):
        read_score(tmp_path / "a.mid")


def test_what_is_no_text_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"\xff\xfe\x80\x81" * 100)
    with pytest.raises(NoteFileError, match="neither a MIDI file nor a table"):
        read_score(tmp_path / "a.wav")


def test_huge_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.notes.note_files.MOST_BYTES", 10)
    with pytest.raises(NoteFileError, match="which is no file of notes"):
        read_score(table(tmp_path, "onset,offset,note\n"))


@given(data=st.binary(max_size=200))
def test_no_bytes_after_a_midi_header_make_a_traceback(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.mid"
    path.write_bytes(b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk" + len(data).to_bytes(4, "big") + data)
    try:
        read_score(path)
    except NoteFileError as error:
        assert "\n" not in str(error)  # noqa: PT017


@given(st.integers(0, 127))
def test_note_names_are_those_that_the_program_writes(key: int) -> None:
    assert name_to_key(pitch_to_name(key)) == key


def test_note_names_people_write() -> None:
    assert [name_to_key(name) for name in ("c4", "F#3", "Bb5", "A0", "C-1")] == [60, 54, 82, 21, 0]
