"""The STFT in NumPy: what torch computes, inverted exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_model.audio import spectrogram
from hf_model.audio.grid import PIANO_STFT, StftConfig
from hf_model.audio.spectrogram import frame_spectra, hann, istft, magnitude, spectrum
from hf_model.audio.stft import istft as torch_istft
from hf_model.audio.stft import stft

NOISE = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)


def test_the_window_is_periodic() -> None:
    np.testing.assert_allclose(hann(4), [0.0, 0.5, 1.0, 0.5], atol=1e-7)


def test_centred_spectra_are_those_of_torch() -> None:
    expected = stft(torch.from_numpy(NOISE), PIANO_STFT).numpy()
    found = spectrum(NOISE, PIANO_STFT.n_fft, PIANO_STFT.hop_length)
    assert found.dtype == np.complex64
    np.testing.assert_allclose(found.T, expected, atol=1e-4)
    np.testing.assert_allclose(magnitude(NOISE, PIANO_STFT.n_fft, PIANO_STFT.hop_length).T, np.abs(expected), atol=1e-4)


def test_frames_of_all_channels_begin_at_the_first_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrogram, "BLOCK_SAMPLES", 3 * 64)
    grid = StftConfig(8000, 64, 64, 16)
    both = NOISE[:2000].reshape(2, 1000)
    expected = stft(torch.from_numpy(both), grid, center=False).numpy()
    assert expected.shape == (2, 59, 33)
    np.testing.assert_allclose(frame_spectra(both, 64, 16), expected, atol=1e-5)


@pytest.mark.parametrize("n_samples", [0, 1, 19_000, 20_000])
def test_the_inverse_gives_the_audio_back(n_samples: int) -> None:
    spectra = spectrum(NOISE, PIANO_STFT.n_fft, PIANO_STFT.hop_length).T
    audio = istft(spectra, PIANO_STFT, n_samples)
    assert audio.shape == (n_samples,)
    np.testing.assert_allclose(audio, NOISE[:n_samples], atol=1e-5)


def test_the_inverse_of_changed_spectra_is_that_of_torch() -> None:
    """No audio has these spectra: the result is the closest one."""
    spectra = spectrum(NOISE, PIANO_STFT.n_fft, PIANO_STFT.hop_length).T * np.float32(0.5)
    spectra[7:9, 30:200] = 0.0
    expected = torch_istft(torch.from_numpy(spectra), PIANO_STFT, len(NOISE)).numpy()
    np.testing.assert_allclose(istft(spectra, PIANO_STFT, len(NOISE)), expected, atol=1e-5)
