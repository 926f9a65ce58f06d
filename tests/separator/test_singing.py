"""Whether somebody sings: the level of the separated voice, second by second."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.separator.voice_part import has_singing

RATE = 16000
SONG = np.random.default_rng(0).standard_normal(100 * RATE).astype(np.float32) * 0.1


def sung_for(seconds: float, level_db: float = -6.0) -> np.ndarray:
    voice = SONG * np.float32(10.0 ** (-60.0 / 20.0))
    voice[: round(seconds * RATE)] = SONG[: round(seconds * RATE)] * np.float32(10.0 ** (level_db / 20.0))
    return voice


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, False), (1.0, False), (2.0, True), (50.0, True)])
def test_two_seconds_of_a_hundred_are_singing(seconds, expected):
    assert has_singing(sung_for(seconds), SONG) is expected


@pytest.mark.parametrize(("level", "expected"), [(-18.0, True), (-22.0, False)])
def test_a_soft_rest_of_the_band_is_not_singing(level, expected):
    assert has_singing(sung_for(50.0, level), SONG) is expected


@pytest.mark.parametrize("n_samples", [0, 1, 500])
def test_short_songs(n_samples):
    assert has_singing(SONG[:n_samples], SONG[:n_samples]) is (n_samples > 0)
    assert not has_singing(SONG[:n_samples] * 0, SONG[:n_samples])
