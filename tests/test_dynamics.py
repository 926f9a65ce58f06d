"""Velocities follow the singer's loudness, not the recording's."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hf_model.dynamics import note_levels, velocities
from hf_model.notes import Note

NOTES = [Note(0.5 * k, 0.5 * k + 0.4, 60.0) for k in range(9)]


def sung(gains_db: list[float], sample_rate: int = 16000) -> NDArray[np.float32]:
    """Tones of 0.4 s every half second, at these levels."""
    audio = np.zeros(len(gains_db) * sample_rate // 2, dtype=np.float32)
    tone = np.sin(2 * np.pi * 220 * np.arange(int(0.4 * sample_rate)) / sample_rate)
    for k, gain in enumerate(gains_db):
        start = k * sample_rate // 2
        audio[start : start + len(tone)] = 0.5 * 10 ** (gain / 20) * tone
    return audio


def test_levels_are_measured_in_db() -> None:
    gains = [0, -6, -12, -20, -30, -6, 0, -3, -3]
    # a sine of amplitude 0.5 has a level of -9.03 dB
    np.testing.assert_allclose(note_levels(sung(gains), 16000, NOTES), np.array(gains) - 9.03, atol=0.3)


def test_a_crescendo_rises_within_the_musical_range() -> None:
    values = [note.velocity for note in velocities(sung([-32, -28, -24, -20, -16, -12, -8, -4, 0]), 16000, NOTES)]
    assert values == sorted(values)
    assert 40 <= values[0] < 55 < 95 < values[-1] <= 110
    assert values[4] == pytest.approx(75, abs=2)


@pytest.mark.parametrize("gain", [0.001, 1.9])
def test_the_recordings_level_does_not_matter(gain: float) -> None:
    audio = sung([-10, -3, -6, 0, -10, -3, -6, 0, -5])
    as_is = [note.velocity for note in velocities(audio, 16000, NOTES)]
    assert [note.velocity for note in velocities(audio * np.float32(gain), 16000, NOTES)] == as_is
    assert len(set(as_is)) > 3


def test_rates_channels_and_edges() -> None:
    wide = velocities(sung([-10, 0] * 4 + [-10], 44100), 44100, NOTES)
    narrow = velocities(sung([-10, 0] * 4 + [-10]), 16000, NOTES)
    for one, other in zip(wide, narrow, strict=True):
        assert one.velocity == pytest.approx(other.velocity, abs=1)
    assert velocities(np.zeros(16000, dtype=np.float32), 16000, []) == []
    silent = velocities(np.zeros((2, 16000), dtype=np.float32), 16000, [Note(0.2, 0.201, 60.0), Note(5.0, 6.0, 60.0)])
    assert [note.velocity for note in silent] == [75, 75]
