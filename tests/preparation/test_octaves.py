"""Notes an octave off: moved if they leap and their partials say so, left alone otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz
from hf_model.preparation.octaves import correct_octaves, odd_level

RATE = 16000
MELODY = [60.0, 62.0, 60.0, 64.0, 62.0, 60.0]


def score(pitches: list[float]) -> list[Note]:
    return [Note(0.5 * i, 0.5 * i + 0.4, pitch) for i, pitch in enumerate(pitches)]


def sound(pitches: list[float]) -> np.ndarray:
    """Tones of eight partials each, half a second from onset to onset."""
    times = np.arange(RATE // 2) / RATE
    tones = [sum(np.sin(2 * np.pi * k * hz * times) / k for k in range(1, 9)) for hz in pitch_to_hz(pitches)]
    return 0.1 * np.concatenate(tones).astype(np.float32)


@pytest.mark.parametrize("shift", [-12.0, 12.0])
@pytest.mark.parametrize("index", [0, 2, 5])
def test_a_note_in_the_wrong_octave_is_moved(index: int, shift: float) -> None:
    wrong = score(MELODY)
    wrong[index] = replace(wrong[index], pitch=wrong[index].pitch + shift)
    assert correct_octaves(wrong, sound(MELODY), RATE) == score(MELODY)


@pytest.mark.parametrize("shift", [-12.0, 12.0])
def test_a_leap_that_is_sung_stays(shift: float) -> None:
    leaping = [*MELODY[:2], MELODY[2] + shift, *MELODY[3:]]
    assert correct_octaves(score(leaping), sound(leaping), RATE) == score(leaping)


def test_notes_without_a_leap_are_not_looked_at() -> None:
    lower = [pitch - 12.0 for pitch in MELODY]
    assert correct_octaves(score(MELODY), sound(lower), RATE) == score(MELODY)


def test_a_lone_note_and_no_notes_stay() -> None:
    assert correct_octaves([], sound(MELODY), RATE) == []
    assert correct_octaves(score([72.0]), sound([60.0]), RATE) == score([72.0])


def test_odd_partials_tell_the_octave() -> None:
    harmonic = sound([60.0])
    assert odd_level(harmonic, RATE, Note(0.0, 0.4, 60.0)) == pytest.approx(10 * np.log10(1.1715 / 0.3559), abs=0.1)
    assert odd_level(harmonic, RATE, Note(0.0, 0.4, 48.0)) < -30.0
    assert odd_level(harmonic[:500], RATE, Note(0.0, 0.01, 60.0)) > -20.0
