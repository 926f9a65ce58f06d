"""Loudness against pyloudnorm, and true peak against SciPy's resampling."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hf_model.audio.loudness import LoudnessMeter

RATE = 44100


def measure(audio: NDArray[np.float32], size: int = 30000) -> LoudnessMeter:
    meter = LoudnessMeter(RATE)
    for first in range(0, audio.shape[1], size):
        meter.add(audio[:, first : first + size])
    return meter


def bursts(seconds: float, channels: int = 2) -> NDArray[np.float32]:
    """Decaying noise and tones with pauses, which the gates exclude."""
    rng = np.random.default_rng(3)
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * 330 * time) + 0.3 * np.sin(2 * np.pi * 2500 * time)
    envelope = np.exp(-3 * (time % 1.3)) * (time % 5 < 3.5)
    noise = 0.02 * rng.standard_normal((channels, len(time)))
    return np.asarray(0.3 * envelope * (tone + noise), dtype=np.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_agrees_with_pyloudnorm(channels: int) -> None:
    audio = bursts(20.0, channels)
    expected = pyloudnorm.Meter(RATE).integrated_loudness(audio.T.astype(float))
    assert measure(audio).loudness == pytest.approx(expected, abs=0.05)


def test_full_scale_sine_at_997_hz_is_minus_3_lufs() -> None:
    sine = np.sin(2 * np.pi * 997 * np.arange(3 * RATE) / RATE, dtype=np.float32)
    assert measure(sine[np.newaxis]).loudness == pytest.approx(-3.01, abs=0.1)
    assert measure(np.stack([sine, sine])).loudness == pytest.approx(0.0, abs=0.1)


def test_true_peak_lies_between_samples() -> None:
    # A sine at a quarter of the sample rate, sampled half way between its crests: 3 dB below the peak.
    sine = np.sin(np.pi / 2 * np.arange(RATE) + np.pi / 4) * 0.5
    fade = np.minimum(1, np.minimum(np.arange(RATE), np.arange(RATE)[::-1]) / 2000)
    meter = measure((sine * fade)[np.newaxis].astype(np.float32))
    assert meter.peak == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)
    assert meter.true_peak == pytest.approx(0.5, rel=2e-3)


def test_true_peak_agrees_with_scipy() -> None:
    audio = bursts(6.0)
    oversampled = scipy.signal.resample_poly(audio.astype(float), 4, 1, axis=1, window=("kaiser", 12.0))
    assert measure(audio).true_peak == pytest.approx(float(np.abs(oversampled).max()), rel=0.01)


@given(size=st.integers(37, 50000))
@settings(max_examples=15)
def test_block_size_does_not_matter(size: int) -> None:
    audio = bursts(1.7)
    whole, parts = measure(audio, audio.shape[1]), measure(audio, size)
    assert parts.loudness == pytest.approx(whole.loudness, abs=1e-3)
    assert parts.true_peak == pytest.approx(whole.true_peak, rel=1e-3)


def test_silence_and_no_audio_have_no_loudness() -> None:
    assert LoudnessMeter(RATE).loudness == -np.inf
    assert LoudnessMeter(RATE).true_peak == 0
    silent = measure(np.zeros((2, RATE), dtype=np.float32))
    assert (silent.loudness, silent.true_peak) == (-np.inf, 0)


@pytest.mark.parametrize("n_samples", [1, 100, 4410, 10000])
def test_audio_shorter_than_a_gating_block_is_measured(n_samples: int) -> None:
    audio = np.full((1, n_samples), 0.1, dtype=np.float32) * np.sin(np.arange(n_samples) * 0.3, dtype=np.float32)
    assert np.isfinite(measure(audio).loudness) == (n_samples > 1)
