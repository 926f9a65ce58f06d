"""The fit of metres: tables, simplified tunes, styles of pop songs, weights."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.music.meter import MAX_DISTANCE, METERS
from hf_model.training.meter_fitting import (
    START,
    Features,
    MeterExample,
    fit_tempo,
    fit_transitions,
    fit_weights,
    simplified,
    split_styles,
)

FOUR = METERS["4/4"]


def example(distances, bpm=None, n_bars=12):
    steps = np.concatenate([[0], np.cumsum(np.resize(distances, 4 * n_bars))])
    return MeterExample(FOUR, steps, np.full(len(steps), 60.0), bpm)


def test_distances_never_counted_stay_possible():
    table = np.exp(fit_transitions(FOUR, [example([4]).steps]))
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    assert table.shape == (16, MAX_DISTANCE + 1)
    assert table[0].argmax() == 4
    assert table[0, 4] > 0.8
    assert table.min() > 1e-5


def test_simplified_tunes_keep_bar_lines_and_both_ends():
    tune = MeterExample(FOUR, np.arange(1, 160), np.arange(1.0, 160.0))
    simple = simplified(tune, np.random.default_rng(0))
    assert {16 * bar for bar in range(1, 10)} <= set(simple.steps.tolist())
    assert (simple.steps[0], simple.steps[-1]) == (1, 159)
    assert len(simple.steps) < 0.5 * len(tune.steps)
    assert np.mean(simple.steps % 4 == 0) > 0.5
    np.testing.assert_array_equal(simple.pitches, simple.steps)


def test_songs_of_two_styles_are_divided():
    slow, fast = [example([2, 2, 1, 3], 64.0 + k) for k in range(9)], [example([4, 4, 8], 120.0 + k) for k in range(9)]
    styles = split_styles(FOUR, [song for pair in zip(slow, fast, strict=True) for song in pair], 2)
    assert {frozenset(map(id, style)) for style in styles} == {frozenset(map(id, slow)), frozenset(map(id, fast))}


def test_the_prior_is_highest_at_the_usual_tempo():
    linear, square = fit_tempo([70.0, 75.0, 80.0])
    assert 100.0 * 2 ** (-linear / (2 * square)) == pytest.approx(75.0, rel=0.01)


def test_weights_find_the_feature_that_tells():
    rng, examples = np.random.default_rng(1), []
    for _ in range(40):
        features = np.concatenate([rng.standard_normal((30, len(START))), np.ones((30, 1))], axis=1)
        right = np.arange(30) == np.argmax(features[:, 5] - features[:, 2])
        examples.append(Features(features, np.zeros(30), right))
    weights = fit_weights(examples, 1)
    assert weights[5] == max(weights)
    assert weights[5] > 1
    assert weights[2] == 0, "what counts against a reading is not used"
