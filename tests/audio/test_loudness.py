"""The meter against pyloudnorm, and against oversampling by another library."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hf_model.audio.loudness import Meter

RATE = 44100


def measured(audio: NDArray[np.float32], size: int = 30000) -> Meter:
    meter = Meter(RATE)
    for first in range(0, audio.shape[1], size):
        meter.add(audio[:, first : first + size])
    return meter


def bursts(seconds: float, channels: int = 2) -> NDArray[np.float32]:
    """Noise and tones that decay, with pauses: what gates are for."""
    rng = np.random.default_rng(3)
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * 330 * time) + 0.3 * np.sin(2 * np.pi * 2500 * time)
    envelope = np.exp(-3 * (time % 1.3)) * (time % 5 < 3.5)
    noise = 0.02 * rng.standard_normal((channels, len(time)))
    return np.asarray(0.3 * envelope * (tone + noise), dtype=np.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_is_pyloudnorms(channels: int) -> None:
    audio = bursts(20.0, channels)
    expected = pyloudnorm.Meter(RATE).integrated_loudness(audio.T.astype(float))
    assert measured(audio).loudness == pytest.approx(expected, abs=0.05)


def test_a_full_scale_sine_of_997_hz_has_minus_3_lufs() -> None:
    sine = np.sin(2 * np.pi * 997 * np.arange(3 * RATE) / RATE, dtype=np.float32)
    assert measured(sine[np.newaxis]).loudness == pytest.approx(-3.01, abs=0.1)
    assert measured(np.stack([sine, sine])).loudness == pytest.approx(0.0, abs=0.1)


def test_the_peak_between_samples_is_found() -> None:
    # at a quarter of the rate, half way between the crests: every sample is 3 dB below the peak
    sine = np.sin(np.pi / 2 * np.arange(RATE) + np.pi / 4) * 0.5
    fade = np.minimum(1, np.minimum(np.arange(RATE), np.arange(RATE)[::-1]) / 2000)
    meter = measured((sine * fade)[np.newaxis].astype(np.float32))
    assert meter.peak == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)
    assert meter.true_peak == pytest.approx(0.5, rel=2e-3)


def test_true_peak_agrees_with_another_resampler() -> None:
    audio = bursts(6.0)
    dense = scipy.signal.resample_poly(audio.astype(float), 4, 1, axis=1, window=("kaiser", 12.0))
    assert measured(audio).true_peak == pytest.approx(float(np.abs(dense).max()), rel=0.01)


@given(size=st.integers(37, 50000))
@settings(max_examples=15)
def test_the_size_of_blocks_does_not_matter(size: int) -> None:
    audio = bursts(1.7)
    whole, parts = measured(audio, audio.shape[1]), measured(audio, size)
    assert parts.loudness == pytest.approx(whole.loudness, abs=1e-3)
    assert parts.true_peak == pytest.approx(whole.true_peak, rel=1e-3)


def test_silence_and_nothing_have_no_loudness() -> None:
    assert Meter(RATE).loudness == -np.inf
    assert Meter(RATE).true_peak == 0
    silent = measured(np.zeros((2, RATE), dtype=np.float32))
    assert (silent.loudness, silent.true_peak) == (-np.inf, 0)


@pytest.mark.parametrize("n_samples", [1, 100, 4410, 10000])
def test_what_is_shorter_than_a_block_has_the_loudness_of_what_there_is(n_samples: int) -> None:
    audio = np.full((1, n_samples), 0.1, dtype=np.float32) * np.sin(np.arange(n_samples) * 0.3, dtype=np.float32)
    assert np.isfinite(measured(audio).loudness) == (n_samples > 1)
