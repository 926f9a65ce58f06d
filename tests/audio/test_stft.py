"""The STFT: frame m is centred on m hops, lengths are exact, the inverse is exact."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch

from hf_model.audio.grid import (
    PIANO_STFT,
    VOICE_STFT,
    StftConfig,
    frame_count,
)
from hf_model.audio.stft import istft, stft, window

BOTH = pytest.mark.parametrize("config", [VOICE_STFT, PIANO_STFT], ids=["voice", "piano"])


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@BOTH
@pytest.mark.parametrize("m", [0, 1, 7])
def test_frame_m_is_centred_on_m_hops(config, m):
    click = torch.zeros(10 * config.hop_length)
    click[m * config.hop_length] = 1.0
    magnitude = stft(click, config).abs().sum(-1)
    assert int(magnitude.argmax()) == m
    assert magnitude[m] == pytest.approx(config.n_bins), "the window is 1 at its centre"


@BOTH
def test_full_scale_sine_has_magnitude_n_fft_over_4(config):
    bin_ = 64
    n = torch.arange(config.sample_rate, dtype=torch.float64)
    spectrum = stft(torch.sin(2 * math.pi * bin_ * n / config.n_fft), config)
    middle = spectrum[50].abs()
    assert int(middle.argmax()) == bin_
    assert float(middle[bin_]) == pytest.approx(config.n_fft / 4)


@BOTH
@pytest.mark.parametrize("n_samples", [1, 159, 160, 161, 4000, 44100])
def test_inverse_gives_the_audio_back(config, n_samples):
    waveform = noise(n_samples)
    spectrum = stft(waveform, config)
    assert spectrum.shape == (frame_count(n_samples, config), config.n_bins)
    torch.testing.assert_close(istft(spectrum, config, n_samples), waveform, atol=2e-6, rtol=0)


@BOTH
def test_stft_agrees_with_librosa(config):
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


def test_leading_axes_are_kept():
    waveform = noise(2, 3, 1000)
    spectrum = stft(waveform, VOICE_STFT)
    assert spectrum.shape == (2, 3, 7, 513)
    torch.testing.assert_close(spectrum[1, 2], stft(waveform[1, 2], VOICE_STFT))
    assert istft(spectrum, VOICE_STFT, 1000).shape == (2, 3, 1000)


def test_window_shorter_than_n_fft():
    config = StftConfig(sample_rate=16000, n_fft=512, win_length=320, hop_length=80)
    waveform = noise(1234)
    torch.testing.assert_close(istft(stft(waveform, config), config, 1234), waveform, atol=2e-6, rtol=0)


def test_inverse_is_the_least_squares_solution():
    target = torch.complex(noise(8, 513), noise(8, 513))
    waveform = istft(target, VOICE_STFT, 7 * 160)
    error = (stft(waveform, VOICE_STFT) - target).abs().square().sum()
    for change in (1e-2 * noise(7 * 160), -1e-2 * noise(7 * 160)):
        assert (stft(waveform + change, VOICE_STFT) - target).abs().square().sum() > error


def test_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="3 frames are too few for 480 samples; at least 4 are needed"):
        istft(torch.zeros(3, 513, dtype=torch.complex64), VOICE_STFT, 480)


def test_window_is_periodic():
    assert float(window(VOICE_STFT)[0]) == 0.0
    assert float(window(VOICE_STFT)[512]) == 1.0
    torch.testing.assert_close(window(VOICE_STFT)[1:], window(VOICE_STFT)[1:].flip(0))
