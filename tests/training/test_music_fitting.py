"""Fits of the musical rules on songs made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.music.chords import N_CHORDS
from hf_model.music.key import Key
from hf_model.notes.note import Note
from hf_model.training.accompaniment.chord_fitting import (
    ChordExample,
    fit_chords,
    in_relative_key,
    share_of_right_chords,
    train_network,
)
from hf_model.training.music_fitting import fit_key, fit_logistic


def scale(tonic: int, steps: tuple[int, ...]) -> list[Note]:
    return [Note(0.5 * i, 0.5 * i + 0.5, 60.0 + tonic + step) for i, step in enumerate((*steps, 12, 0))]


def test_the_tonic_has_the_largest_weight():
    major, minor = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
    fitted = fit_key(
        [
            (scale(tonic, steps), Key(tonic, mode))
            for tonic in range(12)
            for steps, mode in ((major, "major"), (minor, "minor"))
        ]
    )
    assert set(fitted) == {"count_weights", "time_weights", "minor_bias"}
    for mode, third, other in (("major", 4, 3), ("minor", 3, 4)):
        weights = fitted["count_weights"][mode]
        assert int(np.argmax(weights)) == 0
        assert weights[third] > weights[other]


def test_a_logistic_regression_gives_the_odds():
    examples = [(np.array([1.0, float(k % 2)]), float(k % 2 == 0 or k % 4 == 1)) for k in range(400)]
    constant, weight = fit_logistic(examples)
    assert constant > 5, "without the feature all are true"
    assert constant + weight == pytest.approx(0.0, abs=0.1)


def test_chords_of_a_song_of_two_triads_are_found():
    tonic, dominant = np.zeros(12), np.zeros(12)
    tonic[[0, 4, 7]], dominant[[7, 11, 2]] = 1 / 3, 1 / 3
    rolls = np.stack([tonic if beat % 8 < 4 else dominant for beat in range(64) for _ in range(2)])
    chords = np.array([0 if beat % 8 < 4 else 14 for beat in range(64)])
    songs = [ChordExample(rolls, chords, np.arange(64) % 4, mode) for mode in (0, 1)]
    model = fit_chords(songs, train_network(songs, steps=30), 1.0, 0.0)
    assert model.transition.shape == (2, N_CHORDS, N_CHORDS)
    assert model.change[0] > 0.4 > 0.1 > model.change[1]
    assert share_of_right_chords(model, songs) > 0.9


def test_a_song_in_its_relative_key():
    rolls = np.zeros((2, 12))
    rolls[:, 0] = 1.0  # the tonic of C major is the third degree of A minor
    song = ChordExample(rolls, np.array([0]), np.array([0]), 0)
    minor = in_relative_key(song)
    assert (minor.mode, minor.chords.tolist(), minor.rolls.argmax(axis=1).tolist()) == (1, [6], [3, 3])
    back = in_relative_key(minor)
    assert (back.chords.tolist(), back.rolls.argmax(axis=1).tolist()) == ([0], [0, 0])
