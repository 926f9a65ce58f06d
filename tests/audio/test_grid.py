"""The time grid: 100 frames per second, and conversions between seconds, frames and samples."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.audio.grid import (
    PIANO_STFT,
    VOICE_STFT,
    StftConfig,
    frame_count,
    resampled_length,
    seconds_to_frame,
    seconds_to_samples,
)
from hf_model.config import ConfigError


def test_the_grid_is_imported_without_torch():
    code = "import sys, hf_model.audio.grid; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("config", [VOICE_STFT, PIANO_STFT])
def test_both_grids_have_100_frames_per_second(config):
    assert config.frame_rate == 100.0
    assert config.n_bins == config.n_fft // 2 + 1


def test_frame_rate_is_not_rounded():
    assert StftConfig(22050, 2048, 2048, 256).frame_rate == 86.1328125


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_rate": 0}, "sample_rate is 0, allowed is 4000 to 192000"),
        ({"n_fft": 8}, "n_fft is 8, allowed is 16 to 65536"),
        ({"win_length": 2048}, "win_length is 2048, allowed is 16 to 1024"),
        ({"hop_length": 0}, "hop_length is 0, allowed is 1 to 512"),
        ({"hop_length": 513}, "hop_length is 513, allowed is 1 to 512"),
    ],
)
def test_stft_without_inverse_is_refused(change, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        dataclasses.replace(VOICE_STFT, **change)


def test_voice_and_piano_have_the_same_number_of_frames():
    assert frame_count(16000, VOICE_STFT) == frame_count(44100, PIANO_STFT) == 101


@pytest.mark.parametrize(("seconds", "frame"), [(0, 0), (0.0149, 1), (0.015, 2), (0.025, 3), (-0.004, 0), (-0.006, -1)])
def test_seconds_to_frame_rounds_halves_up(seconds, frame):
    assert seconds_to_frame(seconds, 100.0) == frame


def test_seconds_to_frame_keeps_the_shape():
    frames = seconds_to_frame([[0.0, 1.0], [2.0, 3.0]], 86.1328125)
    assert frames.dtype == np.int64
    assert frames.tolist() == [[0, 86], [172, 258]]


def test_frames_do_not_drift_in_an_hour():
    frames = seconds_to_frame(np.arange(0, 3600, 0.5), 22050 / 256)
    assert np.abs(frames * 256 / 22050 - np.arange(0, 3600, 0.5)).max() <= 0.5 * 256 / 22050 + 1e-9


@given(st.integers(0, 10**6), st.sampled_from([8000, 16000, 22050, 44100, 48000]))
def test_samples_to_seconds_round_trip(n_samples, sample_rate):
    assert seconds_to_samples(n_samples / sample_rate, sample_rate) == n_samples


@given(st.integers(0, 10**9), st.integers(1, 384000), st.integers(1, 384000))
def test_resampled_length_rounds_the_exact_quotient(n_samples, sample_rate, new_rate):
    assert resampled_length(n_samples, sample_rate, new_rate) == round(Fraction(n_samples * new_rate, sample_rate))


@pytest.mark.parametrize(("n_samples", "rate"), [(1, 88200), (3, 88200), (5, 88200), (48000, 48000), (7, 176400)])
def test_resampled_length_rounds_halves_to_even(n_samples, rate):
    assert resampled_length(n_samples, rate, 44100) == round(n_samples * 44100 / rate)
