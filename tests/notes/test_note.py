"""Notes: range checks, rounding to keys, and round trips through MIDI and CSV files."""

from __future__ import annotations

import dataclasses

import mido
import mir_eval
import numpy as np
import pretty_midi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_model.notes.midi import read_midi, write_midi
from hf_model.notes.note import Note, fold_to_keyboard, to_arrays, to_keys
from hf_model.notes.note_files import CSV_COLUMNS, read_csv, write_csv

TUNE = [
    Note(0.5, 1.0, 60.0, 70, 0.9),
    Note(1.0, 1.5, 60.0, 80, 0.8),  # the same key, without a rest
    Note(1.6, 2.0, 67.0, 90),
    Note(2.0, 3.25, 64.0, 127, 0.0),
]

# (duration, rest, key, velocity), durations of at least 5 ms
melodies = st.lists(
    st.tuples(st.floats(0.005, 3), st.floats(0, 2), st.integers(21, 108), st.integers(1, 127)), max_size=12
)


def melody(steps: list[tuple[float, float, int, int]]) -> list[Note]:
    notes, now = [], 0.0
    for duration, rest, key, velocity in steps:
        notes.append(Note(now + rest, now + rest + duration, float(key), velocity))
        now = notes[-1].offset
    return notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": 0.5}, r"note must have offset > onset, got onset 0\.5 s, offset 0\.5 s"),
        ({"onset": float("nan")}, r"note must have offset > onset, got onset nan s"),
        ({"offset": float("inf")}, r"note must have offset > onset, .* offset inf s"),
        ({"pitch": -0.1}, r"pitch is -0\.1, allowed is 0 to 127 \(MIDI number\)"),
        ({"pitch": float("nan")}, r"pitch is nan, allowed is 0 to 127"),
        ({"pitch": 440.0}, r"pitch is 440\.0, allowed is 0 to 127"),
        ({"velocity": 128}, r"velocity is 128, allowed is 0 to 127"),
        ({"confidence": 1.01}, r"confidence is 1\.01, allowed is 0 to 1"),
    ],
)
def test_values_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TUNE[0], **change)


def test_onset_may_be_negative():
    assert Note(-0.25, 0.5, 60).duration == 0.75


def test_notes_sort_by_onset():
    assert sorted([TUNE[2], TUNE[0], TUNE[3], TUNE[1]]) == TUNE


def test_arrays_are_valid_for_mir_eval():
    intervals, pitches = to_arrays(TUNE)
    mir_eval.transcription.validate(intervals, mir_eval.util.midi_to_hz(pitches), intervals, pitches)
    assert intervals.tolist() == [[0.5, 1.0], [1.0, 1.5], [1.6, 2.0], [2.0, 3.25]]
    assert pitches.tolist() == [60.0, 60.0, 67.0, 64.0]


def test_arrays_of_no_notes():
    intervals, pitches = to_arrays([])
    assert intervals.shape == (0, 2)
    assert pitches.shape == (0,)


def test_keys_of_a_voice_45_cents_flat():
    keys = [60, 62, 64, 65, 67, 65, 64, 62, 60]
    deviations = [0.09, -0.09, 0.05, -0.05, 0.08, -0.08, 0.02, -0.02, 0.0]
    sung = [Note(i, i + 0.9, key - 0.45 + off) for i, (key, off) in enumerate(zip(keys, deviations, strict=True))]
    assert [note.pitch for note in to_keys(sung)] == keys
    assert [note.pitch for note in to_keys(sung, tuning=0.0)] != keys
    assert [note.pitch for note in to_keys(sung, transpose=-12)] == [key - 12 for key in keys]


def test_to_keys_changes_only_the_pitch():
    for note, key in zip(TUNE, to_keys(TUNE), strict=True):
        assert dataclasses.replace(key, pitch=note.pitch) == note


def test_to_keys_rounds_halves_up():
    assert [note.pitch for note in to_keys([Note(0, 1, 60.5), Note(1, 2, 61.5)], tuning=0.0)] == [61, 62]


@pytest.mark.parametrize(
    ("key", "expected"), [(21, 21), (108, 108), (20, 32), (109, 97), (0, 24), (127, 103), (-30, 30)]
)
def test_keys_out_of_range_are_moved_by_octaves(key, expected):
    assert fold_to_keyboard(key) == expected


@given(st.integers(-200, 400))
def test_fold_to_keyboard_moves_by_the_fewest_octaves(key):
    moved = fold_to_keyboard(key)
    assert 21 <= moved <= 108
    assert (moved - key) % 12 == 0
    assert moved == key or not 21 <= key <= 108
    assert key >= 21 or moved < 21 + 12
    assert key <= 108 or moved > 108 - 12


# ---------------------------------------------------------------------------------------------------- MIDI files


def test_midi_times_are_within_half_a_millisecond(tmp_path):
    write_midi(tmp_path / "tune.mid", TUNE)
    notes_read = read_midi(tmp_path / "tune.mid")
    assert [(note.pitch, note.velocity) for note in notes_read] == [(note.pitch, note.velocity) for note in TUNE]
    np.testing.assert_allclose(to_arrays(notes_read)[0], to_arrays(TUNE)[0], atol=5e-4)


def test_mido_reads_the_same_events(tmp_path):
    write_midi(tmp_path / "tune.mid", TUNE, tempo=90.0)
    time, onsets = 0.0, []
    for message in mido.MidiFile(tmp_path / "tune.mid"):
        time += message.time
        if message.type == "note_on" and message.velocity > 0:
            onsets.append((round(time, 3), message.note, message.velocity))
    assert onsets == [(0.5, 60, 70), (1.0, 60, 80), (1.6, 67, 90), (2.0, 64, 127)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(melodies, st.floats(40, 240))
def test_any_melody_round_trips_through_midi(tmp_path, steps, tempo):
    notes = melody(steps)
    write_midi(tmp_path / "any.mid", notes, tempo)
    notes_read = read_midi(tmp_path / "any.mid")
    assert [(note.pitch, note.velocity) for note in notes_read] == [(note.pitch, note.velocity) for note in notes]
    np.testing.assert_allclose(to_arrays(notes_read)[0], to_arrays(notes)[0], atol=1e-3)


def test_write_midi_rounds_pitches_and_velocity_0_becomes_1(tmp_path):
    write_midi(tmp_path / "tune.mid", [Note(0, 1, 60.5, 0), Note(1, 2, 12.0, 1)])
    assert [(note.pitch, note.velocity) for note in read_midi(tmp_path / "tune.mid")] == [(61, 1), (24, 1)]


def test_no_notes_are_a_valid_midi_file(tmp_path):
    write_midi(tmp_path / "silence.mid", [])
    assert read_midi(tmp_path / "silence.mid") == []


def test_drums_are_not_read(tmp_path):
    midi = pretty_midi.PrettyMIDI()
    for is_drum, key in ((True, 36), (False, 60)):
        track = pretty_midi.Instrument(0, is_drum=is_drum)
        track.notes.append(pretty_midi.Note(64, key, 0.0, 0.5))
        midi.instruments.append(track)
    midi.write(str(tmp_path / "band.mid"))
    assert [note.pitch for note in read_midi(tmp_path / "band.mid")] == [60]


@pytest.mark.parametrize("content", [b"", b"not MIDI at all", b"MThd\x00\x00\x00\x06\x00\x01\x00\x02"])
def test_invalid_midi_file_is_named(tmp_path, content):
    (tmp_path / "broken.mid").write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.mid: not a readable MIDI file"):
        read_midi(tmp_path / "broken.mid")


def test_an_invalid_key_signature_is_ignored(tmp_path):
    track = mido.MidiTrack([mido.MetaMessage("key_signature", key="C"), mido.MetaMessage("end_of_track")])
    mido.MidiFile(tracks=[track]).save(tmp_path / "key.mid")
    content = (tmp_path / "key.mid").read_bytes()
    (tmp_path / "key.mid").write_bytes(content.replace(b"\xff\x59\x02\x00\x00", b"\xff\x59\x02\x48\x75"))
    assert read_midi(tmp_path / "key.mid") == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 10_000))
@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
def test_damaged_midi_gives_notes_or_a_message(tmp_path, at, value, length):
    write_midi(tmp_path / "whole.mid", TUNE)
    damaged = bytearray((tmp_path / "whole.mid").read_bytes())
    damaged[at % len(damaged)] = value
    (tmp_path / "damaged.mid").write_bytes(damaged[: len(damaged) - length % 20])
    try:
        notes = read_midi(tmp_path / "damaged.mid")
    except ValueError as error:
        notes = []
        named = "damaged.mid" in str(error)
    else:
        named = True
    assert named
    assert all(isinstance(note, Note) for note in notes)


# ----------------------------------------------------------------------------------------------------- CSV files


def test_csv_text(tmp_path):
    sung = [Note(0.5, 1.0, 59.62, 70, 0.875)]
    write_csv(tmp_path / "notes.csv", sung, to_keys(sung))
    assert (tmp_path / "notes.csv").read_text(encoding="utf-8").splitlines() == [
        "onset,offset,pitch,note,velocity,confidence",
        "0.5000,1.0000,59.620,60,70,0.875",
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(melodies)
def test_any_melody_round_trips_through_csv(tmp_path, steps):
    keys = melody(steps)
    sung = [dataclasses.replace(key, pitch=key.pitch - 0.321, confidence=0.25) for key in keys]
    write_csv(tmp_path / "any.csv", sung, keys)
    sung_read, keys_read = read_csv(tmp_path / "any.csv")
    np.testing.assert_allclose(to_arrays(sung_read)[0], to_arrays(sung)[0], atol=5e-5)
    np.testing.assert_allclose(to_arrays(sung_read)[1], to_arrays(sung)[1], atol=5e-4)
    assert [(note.pitch, note.velocity) for note in keys_read] == [(note.pitch, note.velocity) for note in keys]
    assert all(note.confidence == 0.25 for note in sung_read)


def test_write_csv_needs_as_many_notes_as_keys(tmp_path):
    with pytest.raises(ValueError, match="shorter"):
        write_csv(tmp_path / "notes.csv", TUNE, TUNE[:2])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("onset,offset\n0,1\n", r"notes\.csv: column 'confidence' is missing; expected onset,offset,pitch,note"),
        ("", r"notes\.csv: column 'confidence' is missing"),
        (",".join(CSV_COLUMNS) + "\n0,1,60,60,80,1\n0,x,60,60,80,1\n", r"notes\.csv, line 3: .*'x'"),
        (",".join(CSV_COLUMNS) + "\n1,0,60,60,80,1\n", r"notes\.csv, line 2: note must have offset > onset"),
        (",".join(CSV_COLUMNS) + "\n0,1,60\n", r"notes\.csv, line 2: "),
    ],
)
def test_invalid_csv_is_reported_with_the_line(tmp_path, rows, message):
    (tmp_path / "notes.csv").write_text(rows, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_csv(tmp_path / "notes.csv")
