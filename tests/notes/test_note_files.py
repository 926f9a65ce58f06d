"""Files of notes from other programs, edited by hand, and damaged."""

from __future__ import annotations

from pathlib import Path

import mido
import pretty_midi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_model.audio.grid import seconds_to_samples
from hf_model.notes.midi import write_midi
from hf_model.notes.note import Note
from hf_model.notes.note_files import CSV_COLUMNS, NoteFileError, find_pedals, read_csv, read_score, write_csv
from hf_model.notes.pedal import Pedal
from tests.fakes import press_pedal


def write_table(folder: Path, text: str, **options: str) -> Path:
    path = folder / "notes.csv"
    path.write_text(text, encoding=options.get("encoding", "utf-8"))
    return path


def test_written_csv_and_midi_are_read_back(tmp_path: Path) -> None:
    keys = [Note(0.5, 1.0, 60, 70), Note(1.0, 1.25, 64, 90)]
    write_csv(tmp_path / "a.csv", keys, keys)
    write_midi(tmp_path / "a.mid", keys)
    assert read_score(tmp_path / "a.csv").notes == keys
    for read, key in zip(read_score(tmp_path / "a.mid").notes, keys, strict=True):
        assert (read.pitch, read.velocity) == (key.pitch, key.velocity)
        assert (read.onset, read.offset) == pytest.approx((key.onset, key.offset), abs=1e-3)


def test_table_in_the_dialect_of_a_spreadsheet(tmp_path: Path) -> None:
    text = '\ufeff"Note";"Onset";"Offset";"Velocity";"why"\nC4;0,5;1;;\n\n64.0;0,25;0,5;100;moved\n'
    assert read_score(write_table(tmp_path, text)).notes == [Note(0.25, 0.5, 64, 100), Note(0.5, 1.0, 60, 80)]


def test_pitch_column_is_used_without_a_note_column(tmp_path: Path) -> None:
    assert read_score(write_table(tmp_path, "onset,offset,pitch\n0,1,59.6\n")).notes == [Note(0, 1, 60)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "neither a MIDI file nor a table of notes"),
        ("a,b\n1,2\n", r"first line: onset,offset,note,velocity"),
        ("onset,offset,note\n0,1,60\n1,x,60\n", "line 3: could not convert string to float: 'x'"),
        ("onset,offset,note\n0,1\n", "line 2: no 'note' in this row"),
        ("onset,offset,note\n1,1,60\n", "line 2: note must have offset > onset"),
        ("onset,offset,note\n-1,1,60\n", "line 2: onset is -1 s, must not be negative"),
        ("onset,offset,note\n0,1,H#x\n", "line 2: 'H#x' is not a note"),
        ("onset,offset,note\n0,1,200\n", "line 2: pitch is 200.0"),
        ("onset,offset,note\n0,inf,60\n", "line 2: note must have offset > onset"),
        ("onset,offset,note\n0,1,nan\n", "line 2: note is nan"),
        ("onset,offset,note,velocity\n0,1,60,200\n", "line 2: velocity is 200"),
    ],
)
def test_invalid_tables_are_reported_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(NoteFileError, match=message) as error:
        read_score(write_table(tmp_path, text))
    assert str(error.value).startswith(str(tmp_path / "notes.csv"))
    assert "\n" not in str(error.value)


def test_instruments_are_merged_without_drums(tmp_path: Path) -> None:
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


def test_tempo_changes_are_followed(tmp_path: Path) -> None:
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


def test_pedal_of_the_file_prolongs_notes(tmp_path: Path) -> None:
    write_midi(tmp_path / "a.mid", [Note(0.0, 0.5, 60), Note(1.0, 1.5, 62)])
    press_pedal(tmp_path / "a.mid", [(0.25, 0.75), (1.75, 2.0)])
    score = read_score(tmp_path / "a.mid")
    assert score.has_pedal
    assert [note.offset for note in score.notes] == pytest.approx([0.75, 1.5], abs=1e-3)


def change(time: float, value: int, number: int = 64) -> pretty_midi.ControlChange:
    return pretty_midi.ControlChange(number, value, time)


def test_pedals_are_found_in_control_changes() -> None:
    changes = [change(2.0, 0), change(1.0, 100), change(1.2, 127), change(0.5, 90, number=1), change(3.0, 64)]
    assert find_pedals(changes, 5.0) == [Pedal(1.0, 2.0), Pedal(3.0, 5.0)]
    assert find_pedals([change(3.0, 127)], 2.0) == []
    assert find_pedals([change(3.0, 127), change(3.0, 0)], 2.0) == []


def test_keys_out_of_range_are_moved_with_a_warning(tmp_path: Path) -> None:
    score = read_score(write_table(tmp_path, "onset,offset,note\n0,1,10\n1,2,120\n2,3,60\n"))
    assert [note.pitch for note in score.notes] == [22, 108, 60]
    assert score.warnings == ("2 notes are outside the range of the piano and are played in another octave",)


def test_empty_table_gives_a_warning(tmp_path: Path) -> None:
    assert read_score(write_table(tmp_path, "onset,offset,note\n")).warnings == (
        "the file has no notes: the piano is silent",
    )


@pytest.mark.parametrize("content", [b"MThd", b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\x00\x00\xff\xff\x00"])
def test_damaged_midi_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(NoteFileError, match=r"a\.mid: not a readable MIDI file"):
        read_score(tmp_path / "a.mid")


def test_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"\xff\xfe\x80\x81" * 100)
    with pytest.raises(NoteFileError, match="neither a MIDI file nor a table"):
        read_score(tmp_path / "a.wav")


def test_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.notes.note_files.MAX_BYTES", 10)
    with pytest.raises(NoteFileError, match="not a file of notes"):
        read_score(write_table(tmp_path, "onset,offset,note\n"))


@given(data=st.binary(max_size=200))
def test_random_bytes_after_a_midi_header_never_crash(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.mid"
    path.write_bytes(b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk" + len(data).to_bytes(4, "big") + data)
    try:
        read_score(path)
    except NoteFileError as error:
        assert "\n" not in str(error)  # noqa: PT017


# ------------------------------------------------------------------------------------------ length of the recording


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 4 * 3600 * 44100), st.booleans())
def test_the_length_is_exact_to_the_sample(tmp_path: Path, n_samples: int, has_notes: bool) -> None:
    keys = [Note(0, n_samples / 44100, 60)] if has_notes else []
    write_csv(tmp_path / "a.csv", keys, keys, n_samples / 44100)
    length = read_score(tmp_path / "a.csv").duration
    assert length is not None
    assert seconds_to_samples(length, 44100) == n_samples
    assert [len(notes) for notes in read_csv(tmp_path / "a.csv")] == [len(keys)] * 2


def test_a_spreadsheet_keeps_the_length(tmp_path: Path) -> None:
    """With semicolons, decimal commas and a row that somebody added."""
    text = "onset;offset;note;recording\n0,5;1,0;60;8,25\n1;2;62;\n"
    assert read_score(write_table(tmp_path, text)).duration == 8.25


@pytest.mark.parametrize("text", ["1.5", "-3", "nan", "about 8", "99999"])
def test_a_length_that_cannot_be_is_left_out(tmp_path: Path, text: str) -> None:
    """The last note ends at 2 s."""
    score = read_score(write_table(tmp_path, f"onset,offset,note,recording\n0,2,60,{text}\n"))
    assert (len(score.notes), score.duration) == (1, None)


def test_pandas_reads_the_table(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    keys = [Note(0.0, 0.5, 60), Note(0.5, 1.0, 62)]
    write_csv(tmp_path / "a.csv", keys, keys, 1.25)
    table = pandas.read_csv(tmp_path / "a.csv")
    assert list(table.columns) == [*CSV_COLUMNS, "recording"]
    assert list(table["recording"]) == [1.25, 1.25]


def test_a_table_tells_the_hands_apart(tmp_path: Path) -> None:
    right, left = [Note(0.0, 1.0, 60.2), Note(1.0, 2.0, 62.1)], Note(0.0, 2.0, 48)
    keys = [Note(0.0, 1.0, 60), left, Note(1.0, 2.0, 62)]
    write_csv(tmp_path / "two.csv", [right[0], left, right[1]], keys, 3.0, [left])
    rows = [line.split(",") for line in (tmp_path / "two.csv").read_text().splitlines()]
    assert rows[0] == [*CSV_COLUMNS, "recording", "hand"]
    assert [row[-1] for row in rows[1:]] == ["right", "left", "right"]
    assert sorted(note.pitch for note in read_score(tmp_path / "two.csv").notes) == [48, 60, 62]
    assert read_csv(tmp_path / "two.csv")[1] == [Note(0.0, 1.0, 60, confidence=1.0), left, Note(1.0, 2.0, 62)]
