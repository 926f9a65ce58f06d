from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.music.tunes import TUNES
from hf_model.music import intended_keys
from hf_model.music.arrangement import Arrangement, arrange
from hf_model.music.intended_keys import default_singing_model, estimate_intended_keys
from hf_model.notes.note import Note, to_keys
from hf_model.notes.pitch import estimate_tuning

TWINKLE = next([Note(*note) for note in tune.notes] for tune in TUNES if tune.name == "twinkle")
KEYS = [int(note.pitch) for note in TWINKLE]

TUNE = [replace(note, pitch=note.pitch + 0.08 * (-1) ** k) for k, note in enumerate(TWINKLE)]
"""Twinkle with errors of 8 cents."""


def out_of_tune(errors) -> list[Note]:
    return [replace(note, pitch=note.pitch + float(error)) for note, error in zip(TUNE, errors, strict=True)]


def meant(notes: list[Note]) -> list[int]:
    tuning = estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])
    return estimate_intended_keys(notes, tuning).tolist()


def n_wrong(keys) -> int:
    """Notes that are wrong, in whatever key the singer began."""
    return len(KEYS) - int(np.unique(np.array(keys) - KEYS, return_counts=True)[1].max())


@pytest.mark.parametrize("tuning", [0.0, 0.3, -0.45])
def test_a_singer_in_tune_gets_the_nearest_keys(tuning):
    assert meant(out_of_tune(np.full(len(TUNE), tuning))) == KEYS


@pytest.mark.parametrize("cents", [-150, -80, 120])
def test_a_voice_that_sinks_or_rises_stays_in_its_key(cents):
    onsets = np.array([note.onset for note in TUNE])
    notes = out_of_tune(cents / 100 * (onsets - onsets[0]) / (onsets[-1] - onsets[0]))
    assert meant(notes) == KEYS
    nearest = [int(note.pitch) for note in to_keys(notes)]
    assert n_wrong(nearest) > 5, "otherwise the test shows nothing"


def test_flat_thirds_are_still_thirds():
    thirds = np.array([(key - KEYS[0]) % 12 == 4 for key in KEYS])
    notes = out_of_tune(-0.55 * thirds)
    assert n_wrong([int(note.pitch) for note in to_keys(notes)]) > 3
    assert meant(notes) == KEYS


def test_leaps_that_are_too_small_are_widened():
    errors, error = [0.0], 0.0
    for interval in np.diff(KEYS):
        error = 0.6 * error - (0.15 * interval if abs(interval) > 2 else 0.0)
        errors.append(error)
    notes = out_of_tune(errors)
    assert n_wrong([int(note.pitch) for note in to_keys(notes)]) > 3
    assert n_wrong(meant(notes)) == 0


def test_a_singer_who_begins_a_phrase_in_another_tuning():
    rest = [replace(n, onset=n.onset + 0.6, offset=n.offset + 0.6) if k >= 14 else n for k, n in enumerate(TUNE)]
    notes = [replace(note, pitch=note.pitch - 0.7 * (k >= 14)) for k, note in enumerate(rest)]
    assert n_wrong([int(note.pitch) for note in to_keys(notes)]) >= 10
    assert meant(notes) == KEYS


def test_a_chromatic_note_that_is_sung_stays():
    errors = np.zeros(len(TUNE))
    errors[[5, 20]] = 1.0, -1.0
    expected = np.array(KEYS) + errors
    assert meant(out_of_tune(errors)) == expected.astype(int).tolist()


def test_a_key_that_a_user_has_set_stays():
    onsets = np.array([note.onset for note in TUNE])
    notes = out_of_tune(-1.5 * onsets / onsets[-1])
    tuning = estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])
    notes[9] = replace(notes[9], pitch=round(61 + tuning, 3))
    expected = [*KEYS[:9], 61, *KEYS[10:]]
    assert estimate_intended_keys(notes, tuning).tolist() == expected
    doubtful = replace(notes[9], confidence=0.9)
    assert estimate_intended_keys([*notes[:9], doubtful, *notes[10:]], tuning)[9] != 61


def test_octaves_and_pitches_at_the_ends_of_the_keyboard():
    errors = np.zeros(len(TUNE))
    errors[7] = 12.0
    assert meant(out_of_tune(errors)) == (np.array(KEYS) + errors).astype(int).tolist()
    assert estimate_intended_keys([], 0.0).tolist() == []
    assert estimate_intended_keys([Note(0.0, 1.0, 60.2)], 0.0).tolist() == [60]
    ends = [Note(0.0, 0.4, 0.0), Note(0.5, 0.9, 127.0)]
    assert arrange(ends, 1.0).piano_notes == arrange(ends, 1.0, Arrangement(keys="sung")).piano_notes


def test_long_melodies_are_estimated_in_blocks(monkeypatch):
    monkeypatch.setattr(intended_keys, "BLOCK", 20)
    onsets = np.array([note.onset for note in TUNE])
    assert meant(out_of_tune(-1.2 * onsets / onsets[-1])) == KEYS


def test_the_arrangement_plays_what_was_meant_and_says_so():
    onsets = np.array([note.onset for note in TUNE])
    notes = out_of_tune(-1.5 * onsets / onsets[-1])
    found = arrange(notes, notes[-1].offset)
    assert [int(note.pitch) for note in found.piano_notes] == KEYS
    assert [note.pitch for note in found.notes] == [note.pitch for note in notes], "the sung pitches are kept"
    assert found.key.name == arrange(TWINKLE, notes[-1].offset).key.name
    assert any("sung out of tune" in remark for remark in found.remarks)
    nearest = arrange(notes, notes[-1].offset, Arrangement(keys="sung"))
    assert [note.pitch for note in nearest.piano_notes] == [note.pitch for note in to_keys(notes)]
    assert not any("sung out of tune" in remark for remark in nearest.remarks)


def test_tables_are_probabilities():
    model = default_singing_model()
    assert np.exp(model.log_intervals).sum(axis=2) == pytest.approx(1.0, abs=0.03)
    assert np.exp(model.log_degrees).sum(axis=1) == pytest.approx(1.0, abs=0.03)
    assert model.habits[0][:3] == [1.0, 0.0, 0.0]
