"""The time grid: frame m is centred on m hops, lengths are exact, and the inverse gives the audio back."""

from __future__ import annotations

import math
from fractions import Fraction

import librosa
import numpy as np
import pytest
import torch
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
from hf_model.audio.stft import istft, stft, stft_in_blocks, window

BOTH = pytest.mark.parametrize("config", [VOICE_STFT, PIANO_STFT], ids=["voice", "piano"])


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@BOTH
@pytest.mark.parametrize("m", [0, 1, 7])
def test_frame_m_is_centred_on_m_hops(config, m):
    click = torch.zeros(10 * config.hop_length)
    click[m * config.hop_length] = 1.0
    loudness = stft(click, config).abs().sum(-1)
    assert int(loudness.argmax()) == m
    assert loudness[m] == pytest.approx(config.n_bins), "the window is 1 at its centre"


@BOTH
def test_a_full_scale_sine_has_a_quarter_of_n_fft(config):
    bin_ = 64
    n = torch.arange(config.sample_rate, dtype=torch.float64)
    spectrum = stft(torch.sin(2 * math.pi * bin_ * n / config.n_fft), config)
    middle = spectrum[50].abs()
    assert int(middle.argmax()) == bin_
    assert float(middle[bin_]) == pytest.approx(config.n_fft / 4)


@BOTH
@pytest.mark.parametrize("n_samples", [1, 159, 160, 161, 4000, 44100])
def test_there_and_back(config, n_samples):
    waveform = noise(n_samples)
    spectrum = stft(waveform, config)
    assert spectrum.shape == (frame_count(n_samples, config), config.n_bins)
    torch.testing.assert_close(istft(spectrum, config, n_samples), waveform, atol=2e-6, rtol=0)


@BOTH
def test_librosa_agrees(config):
    waveform = noise(5000)
    expected = librosa.stft(
        waveform.numpy(),
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        win_length=config.win_length,
        center=True,
        pad_mode="constant",
    )
    np.testing.assert_allclose(stft(waveform, config).numpy(), expected.T, atol=2e-5)


@BOTH
@pytest.mark.parametrize("n_samples", [1, 5000, 20 * 256])
@pytest.mark.parametrize("block_frames", [1, 8, 1000])
def test_blocks_joined_are_the_whole(config, n_samples, block_frames):
    waveform = noise(2, n_samples)
    blocks = list(stft_in_blocks(waveform, config, block_frames * config.n_fft))
    assert all(block.shape[1] == block_frames for block in blocks[:-1])
    torch.testing.assert_close(torch.cat(blocks, dim=1), stft(waveform, config), rtol=0, atol=1e-4)


def test_leading_axes_are_kept():
    waveform = noise(2, 3, 1000)
    spectrum = stft(waveform, VOICE_STFT)
    assert spectrum.shape == (2, 3, 7, 513)
    torch.testing.assert_close(spectrum[1, 2], stft(waveform[1, 2], VOICE_STFT))
    assert istft(spectrum, VOICE_STFT, 1000).shape == (2, 3, 1000)


def test_a_window_shorter_than_the_transform():
    config = StftConfig(sample_rate=16000, n_fft=512, win_length=320, hop_length=80)
    waveform = noise(1234)
    torch.testing.assert_close(istft(stft(waveform, config), config, 1234), waveform, atol=2e-6, rtol=0)


def test_the_inverse_is_the_least_squares_one():
    wanted = torch.complex(noise(8, 513), noise(8, 513))
    waveform = istft(wanted, VOICE_STFT, 7 * 160)
    nearest = (stft(waveform, VOICE_STFT) - wanted).abs().square().sum()
    for change in (1e-2 * noise(7 * 160), -1e-2 * noise(7 * 160)):
        assert (stft(waveform + change, VOICE_STFT) - wanted).abs().square().sum() > nearest


def test_both_spectra_of_a_second_have_the_same_frames():
    assert frame_count(16000, VOICE_STFT) == frame_count(44100, PIANO_STFT) == 101


def test_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="3 frames are too few for 480 samples; at least 4 are needed"):
        istft(torch.zeros(3, 513, dtype=torch.complex64), VOICE_STFT, 480)


def test_the_window_is_periodic():
    assert float(window(VOICE_STFT)[0]) == 0.0
    assert float(window(VOICE_STFT)[512]) == 1.0
    torch.testing.assert_close(window(VOICE_STFT)[1:], window(VOICE_STFT)[1:].flip(0))


@pytest.mark.parametrize(("seconds", "frame"), [(0, 0), (0.0149, 1), (0.015, 2), (0.025, 3), (-0.004, 0), (-0.006, -1)])
def test_the_nearest_frame_and_halves_go_up(seconds, frame):
    assert seconds_to_frame(seconds, 100.0) == frame


def test_frames_keep_the_shape_and_are_integers():
    frames = seconds_to_frame([[0.0, 1.0], [2.0, 3.0]], 86.1328125)
    assert frames.dtype == np.int64
    assert frames.tolist() == [[0, 86], [172, 258]]


def test_no_drift_in_an_hour():
    frames = seconds_to_frame(np.arange(0, 3600, 0.5), 22050 / 256)
    assert np.abs(frames * 256 / 22050 - np.arange(0, 3600, 0.5)).max() <= 0.5 * 256 / 22050 + 1e-9


@given(st.integers(0, 10**6), st.sampled_from([8000, 16000, 22050, 44100, 48000]))
def test_samples_to_seconds_and_back(n_samples, sample_rate):
    assert seconds_to_samples(n_samples / sample_rate, sample_rate) == n_samples


@given(st.integers(0, 10**9), st.integers(1, 384000), st.integers(1, 384000))
def test_resampled_length_is_the_exact_quotient_rounded(n_samples, sample_rate, new_rate):
    assert resampled_length(n_samples, sample_rate, new_rate) == round(Fraction(n_samples * new_rate, sample_rate))


@pytest.mark.parametrize(("n_samples", "rate"), [(1, 88200), (3, 88200), (5, 88200), (48000, 48000), (7, 176400)])
def test_resampled_length_is_what_python_rounds_to(n_samples, rate):
    assert resampled_length(n_samples, rate, 44100) == round(n_samples * 44100 / rate)
