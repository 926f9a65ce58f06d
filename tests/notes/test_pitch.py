"""Pitch conversions against known values and librosa, and tuning estimation."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.notes.pitch import estimate_tuning, hz_to_pitch, name_to_key, pitch_to_hz, pitch_to_name

pitches = st.floats(0, 127)


@pytest.mark.parametrize(
    ("f0", "pitch", "name"),
    [(440.0, 69, "A4"), (261.6255653, 60, "C4"), (27.5, 21, "A0"), (4186.009045, 108, "C8"), (8.175798916, 0, "C-1")],
)
def test_known_pitches(f0, pitch, name):
    assert hz_to_pitch(f0) == pytest.approx(pitch, abs=1e-6)
    assert pitch_to_hz(pitch) == pytest.approx(f0)
    assert pitch_to_name(pitch) == name


def test_a_semitone_is_100_cents():
    assert hz_to_pitch(440.0 * 2 ** (50 / 1200)) == pytest.approx(69.5)


@given(pitches)
def test_pitch_and_hz_agree_with_librosa(pitch):
    assert pitch_to_hz(pitch) == pytest.approx(librosa.midi_to_hz(pitch))
    assert hz_to_pitch(librosa.midi_to_hz(pitch)) == pytest.approx(pitch, abs=1e-9)


@given(st.integers(0, 127))
def test_names_agree_with_librosa(key):
    assert pitch_to_name(key) == librosa.midi_to_note(key, unicode=False)


@given(st.integers(0, 127))
def test_note_names_round_trip(key):
    assert name_to_key(pitch_to_name(key)) == key


def test_note_names_in_other_spellings():
    assert [name_to_key(name) for name in ("c4", "F#3", "Bb5", "A0", "C-1", "h2")] == [60, 54, 82, 21, 0, 47]


def test_shapes_are_kept():
    f0 = np.full((2, 3), 220.0)
    assert hz_to_pitch(f0).shape == (2, 3)
    assert pitch_to_hz(hz_to_pitch(f0)).shape == (2, 3)


@pytest.mark.parametrize(("pitch", "name"), [(59.49, "B3"), (59.5, "C4"), (60.49, "C4"), (60.5, "C#4"), (61.5, "D4")])
def test_pitch_to_name_rounds_halves_up(pitch, name):
    assert pitch_to_name(pitch) == name


@pytest.mark.parametrize("f0", [0.0, -1.0, float("nan"), [220.0, 0.0]])
def test_f0_must_be_positive(f0):
    with pytest.raises(ValueError, match=r"f0 must be positive, got .* Hz; mask unvoiced frames first"):
        hz_to_pitch(f0)


@given(st.lists(st.integers(36, 84), min_size=1, max_size=30), st.floats(-0.49, 0.49))
def test_tuning_of_a_constant_offset(keys, tuning):
    assert estimate_tuning(np.array(keys) + tuning) == pytest.approx(tuning, abs=1e-9)


def test_tuning_of_a_voice_45_cents_flat():
    keys = np.array([60, 62, 64, 65, 67, 65, 64, 62, 60])
    deviations = np.array([0.09, -0.09, 0.05, -0.05, 0.08, -0.08, 0.02, -0.02, 0.0])
    sung = keys - 0.45 + deviations
    assert list(np.round(sung)) != list(keys), "rounding alone must fail for this test to be of use"
    tuning = estimate_tuning(sung)
    assert tuning == pytest.approx(-0.45, abs=0.01)
    assert list(np.round(sung - tuning)) == list(keys)


@given(st.floats(-0.45, 0.45))
def test_tuning_agrees_with_librosa(tuning):
    sung = np.array([57, 60, 64, 69, 72]) + tuning
    assert librosa.pitch_tuning(librosa.midi_to_hz(sung)) == pytest.approx(estimate_tuning(sung), abs=0.011)


def test_tuning_is_weighted_by_duration():
    assert estimate_tuning([60.0, 62.2], [1.0, 1.0]) == pytest.approx(0.1)
    assert 0.15 < estimate_tuning([60.0, 62.2], [1.0, 5.0]) < 0.2


@pytest.mark.parametrize(
    ("pitches", "weights"), [([], None), ([60.3], [0.0]), (np.arange(60, 64, 0.25), None), ([60.1, 60.6], None)]
)
def test_tuning_is_0_without_evidence(pitches, weights):
    assert estimate_tuning(pitches, weights) == 0.0
