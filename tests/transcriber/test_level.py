"""The level of the voice: constant where it sounds, whatever the distance of the singer; the same as in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hf_model.transcriber import features
from hf_model.transcriber.level import LEVEL, LEVEL_BLOCK, LEVEL_REACH, MIN_LEVEL, set_level

Voice = NDArray[np.float32]


def tone(seconds: float, amplitude: float = 0.3) -> Voice:
    """One sine of 220 Hz at 16 kHz."""
    return (amplitude * np.sin(2 * np.pi * 220 * np.arange(round(16000 * seconds)) / 16000)).astype(np.float32)


def noise(n_samples: int, seed: int = 0) -> Voice:
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def rms(waveform: Voice) -> float:
    return float(np.sqrt(np.mean(np.square(waveform))))


@given(st.floats(1e-2, 10.0), st.integers(0, 3))
def test_every_recording_is_scaled_to_one_level(gain: float, seed: int) -> None:
    voice = noise(16000, seed)
    np.testing.assert_allclose(set_level(np.float32(gain) * voice), set_level(voice), rtol=1e-4, atol=1e-6)
    assert rms(set_level(voice)) == pytest.approx(LEVEL, rel=0.02)


def test_pauses_do_not_count() -> None:
    voice = np.concatenate([np.zeros(16000, np.float32), tone(1.0)])
    assert rms(set_level(voice)[16000:]) == pytest.approx(LEVEL, rel=0.02)


@pytest.mark.parametrize("n_samples", [1, 400, 800, 801])
def test_short_and_silent_recordings_stay_finite(n_samples: int) -> None:
    silence = np.zeros(n_samples, dtype=np.float32)
    assert set_level(silence).shape == (n_samples,)
    assert not set_level(silence).any()
    assert np.isfinite(set_level(silence + np.float32(0.3))).all()


@pytest.mark.parametrize("louder_first", [False, True])
def test_loud_and_soft_parts_get_the_same_level(louder_first: bool) -> None:
    loud, soft = tone(20.0, 0.3), tone(20.0, 0.003)
    voice = set_level(np.concatenate([loud, soft] if louder_first else [soft, loud]))
    assert rms(voice[: 13 * 16000]) == pytest.approx(LEVEL, rel=0.02)
    assert rms(voice[27 * 16000 :]) == pytest.approx(LEVEL, rel=0.02)


@pytest.mark.parametrize("at", [0, 7 * LEVEL_BLOCK + 3, 30 * 16000 - 1])
def test_the_gain_depends_on_samples_within_reach(at: int) -> None:
    voice = noise(30 * 16000)
    inside = np.abs(np.arange(voice.size) - at) <= LEVEL_REACH
    changed = np.where(inside, voice, np.float32(30.0) * voice)
    assert set_level(changed)[at] == set_level(voice)[at]
    assert (set_level(changed)[inside] != set_level(voice)[inside])[:: LEVEL_BLOCK // 2].any()


def test_a_part_on_the_grid_is_scaled_like_the_whole() -> None:
    voice = noise(40 * 16000, 1) * np.exp(np.linspace(-4, 0, 40 * 16000, dtype=np.float32))
    start, stop = 11 * LEVEL_BLOCK, 33 * 16000
    part, inside = set_level(voice[start:stop]), slice(LEVEL_REACH, stop - start - LEVEL_REACH)
    np.testing.assert_allclose(part[inside], set_level(voice)[start:stop][inside], rtol=1e-5, atol=1e-7)


def test_dither_stays_soft() -> None:
    dither = np.full(80000, 2.0**-16, dtype=np.float32)
    assert rms(set_level(dither)) == pytest.approx(LEVEL * 2.0**-16 / MIN_LEVEL, rel=1e-3)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (799, 801), (1600, 5000), (4321, 16077)])
def test_a_range_of_samples_is_scaled_like_the_whole(start: int, stop: int) -> None:
    voice = noise(16077, 2) * np.linspace(0.01, 1, 16077, dtype=np.float32)
    assert np.array_equal(set_level(voice, start, stop), set_level(voice)[start:stop])


@pytest.mark.parametrize("n_samples", [1, 799, 800, 16077, 20 * 16000 + 3])
def test_training_scales_in_the_same_way(n_samples: int) -> None:
    voice = noise(n_samples, 3) * np.linspace(0.001, 1, n_samples, dtype=np.float32)
    voice[n_samples // 2 : n_samples // 2 + 9000] = 0.0
    in_torch = features.set_level(torch.from_numpy(voice)[None])[0].numpy()
    np.testing.assert_allclose(set_level(voice), in_torch, rtol=1e-5, atol=1e-7)
