"""Beats and bars from probabilities that are written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.band.decoding import RATE, decode


def probabilities(frames, downbeats, length):
    """Give log-probabilities with a peak of five frames at each beat."""
    table = np.full((length, 3), 0.02)
    for frame in frames:
        for distance, height in ((-2, 0.3), (-1, 0.6), (0, 0.8), (1, 0.6), (2, 0.3)):
            if 0 <= frame + distance < length:
                table[frame + distance, 2 if frame in downbeats else 1] = height
    table[:, 0] = np.maximum(1 - table[:, 1:].sum(axis=1), 0.05)
    return np.log(table / table.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("beats_per_bar", [3, 4])
@pytest.mark.parametrize("period", [38, 50, 75])
def test_steady_beats_are_found_with_their_bars(beats_per_bar, period):
    frames = np.arange(20, 1800, period)
    table = probabilities(frames, set(frames[1::beats_per_bar].tolist()), 1800)
    paths = {n: decode(table, n) for n in (3, 4)}
    best = paths[beats_per_bar]
    np.testing.assert_array_equal(best.frames, frames)
    assert best.first_place == beats_per_bar - 1
    assert best.score > paths[7 - beats_per_bar].score + 20


def test_a_tempo_that_drifts_by_a_fifth_is_followed():
    lengths = np.rint(np.linspace(46, 56, 50)).astype(int)
    frames = np.cumsum(lengths) - 30
    path = decode(probabilities(frames, set(frames[::4].tolist()), int(frames[-1]) + 10), 4)
    assert np.abs(path.frames - frames).max() <= 2


def test_missing_beats_are_filled_in():
    frames = np.arange(20, 2000, 50)
    heard = np.delete(frames, [7, 8, 20, 31])
    path = decode(probabilities(heard, set(frames[::4].tolist()), 2000), 4)
    np.testing.assert_array_equal(path.frames, frames)


def test_without_any_cue_the_tempo_is_the_one_expected():
    flat = np.log(np.tile([0.9, 0.05, 0.05], (1000, 1)))
    path = decode(flat, 4, (80.0, 160.0))
    assert 75 <= 60 * RATE / np.median(np.diff(path.frames)) <= 165
