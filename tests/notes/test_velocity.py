"""Velocities follow the level within a recording, not its overall level."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from hf_model.notes.note import Note
from hf_model.notes.velocity import estimate_velocities, note_levels, split_phrases
from hf_model.singer.synthesis import SingerConfig, sing

NOTES = [Note(0.5 * k, 0.5 * k + 0.4, 60.0) for k in range(9)]


def make_tones(gains_db: list[float], sample_rate: int = 16000) -> NDArray[np.float32]:
    """Tones of 0.4 s every 0.5 s, with the given gains in dB."""
    audio = np.zeros(len(gains_db) * sample_rate // 2, dtype=np.float32)
    tone = np.sin(2 * np.pi * 220 * np.arange(int(0.4 * sample_rate)) / sample_rate)
    for k, gain in enumerate(gains_db):
        start = k * sample_rate // 2
        audio[start : start + len(tone)] = 0.5 * 10 ** (gain / 20) * tone
    return audio


def test_levels_are_measured_in_db() -> None:
    gains = [0, -6, -12, -20, -30, -6, 0, -3, -3]
    # A sine of amplitude 0.5 has a level of -9.03 dB.
    np.testing.assert_allclose(note_levels(make_tones(gains), 16000, NOTES), np.array(gains) - 9.03, atol=0.3)


def test_crescendo_gives_rising_velocities() -> None:
    values = [
        note.velocity
        for note in estimate_velocities(make_tones([-32, -28, -24, -20, -16, -12, -8, -4, 0]), 16000, NOTES)
    ]
    assert values == sorted(values)
    assert 40 <= values[0] < 55 < 95 < values[-1] <= 110
    assert values[4] == pytest.approx(75, abs=2)


@pytest.mark.parametrize("gain", [0.001, 1.9])
def test_overall_level_does_not_matter(gain: float) -> None:
    audio = make_tones([-10, -3, -6, 0, -10, -3, -6, 0, -5])
    as_is = [note.velocity for note in estimate_velocities(audio, 16000, NOTES)]
    assert [note.velocity for note in estimate_velocities(audio * np.float32(gain), 16000, NOTES)] == as_is
    assert len(set(as_is)) > 3


def test_sample_rates_channels_and_edge_cases() -> None:
    wide = estimate_velocities(make_tones([-10, 0] * 4 + [-10], 44100), 44100, NOTES)
    narrow = estimate_velocities(make_tones([-10, 0] * 4 + [-10]), 16000, NOTES)
    for one, other in zip(wide, narrow, strict=True):
        assert one.velocity == pytest.approx(other.velocity, abs=1)
    assert estimate_velocities(np.zeros(16000, dtype=np.float32), 16000, []) == []
    silent = estimate_velocities(
        np.zeros((2, 16000), dtype=np.float32), 16000, [Note(0.2, 0.201, 60.0), Note(5.0, 6.0, 60.0)]
    )
    assert [note.velocity for note in silent] == [75, 75]


def test_a_single_loud_note_is_limited() -> None:
    plain = [note.velocity for note in estimate_velocities(make_tones([-20.0] * 9), 16000, NOTES)]
    outlier = [
        note.velocity for note in estimate_velocities(make_tones([-20.0] * 4 + [0.0] + [-20.0] * 4), 16000, NOTES)
    ]
    assert max(abs(a - b) for a, b in zip(plain, outlier, strict=True)) <= 12
    assert max(abs(a - b) for a, b in pairwise(outlier)) <= 8


def test_smoothing_does_not_cross_phrases() -> None:
    notes = [Note(0.5 * k + (k >= 4), 0.5 * k + (k >= 4) + 0.4, 60.0) for k in range(9)]
    audio = np.concatenate([make_tones([-20] * 4), np.zeros(16000, dtype=np.float32), make_tones([-4] * 5)])
    assert split_phrases(notes) == [slice(0, 4), slice(4, 9)]
    values = [note.velocity for note in estimate_velocities(audio, 16000, notes)]
    assert len(set(values[:4])) == len(set(values[4:])) == 1
    assert values[4] - values[3] > 20


def test_sudden_forte_within_a_phrase_is_followed() -> None:
    values = [note.velocity for note in estimate_velocities(make_tones([-20] * 4 + [-2] * 5), 16000, NOTES)]
    assert values[-1] - values[0] > 20
    assert values[5] - values[0] > 0.8 * (values[-1] - values[0])


def arcs(seed: int) -> list[Note]:
    """Four phrases with a crescendo and a decrescendo each."""
    rng, time, notes = np.random.default_rng(seed), 0.3, []
    for _ in range(4):
        n_notes = int(rng.integers(5, 9))
        for index in range(n_notes):
            duration = float(rng.choice([0.25, 0.4, 0.5, 0.8]))
            loudness = 70 + 40 * np.sin(np.pi * (index + 0.5) / n_notes)
            notes.append(Note(time, time + duration, float(rng.integers(55, 70)), int(loudness)))
            time += duration
        time += 0.6
    return notes


def test_velocities_follow_synthetic_phrases() -> None:
    correlations, steps = [], []
    for seed in range(8):
        score = arcs(seed)
        song = sing(score, seed, SingerConfig(speech=0.0))
        assert len(song.notes) == len(score)
        estimates = estimate_velocities(song.audio, 16000, song.notes)
        correlations.append(np.corrcoef([n.velocity for n in estimates], [n.velocity for n in score])[0, 1])
        for part in split_phrases(song.notes):
            steps += [abs(a.velocity - b.velocity) for a, b in pairwise(estimates[part])]
    assert np.mean(correlations) > 0.72  # 0.75 without smoothing, because vowels and pitch change the level too
    assert max(steps) <= 20  # 31 without smoothing
    assert np.mean(steps) < 6  # 8.7 without smoothing
