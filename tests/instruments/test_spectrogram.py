"""The log-mel spectrogram, with librosa as the reference for its bands."""

from __future__ import annotations

import librosa
import numpy as np

from hf_model.instruments.spectrogram import HOP, N_FFT, N_MELS, RATE, _filters, log_scaled, mel_power


def test_a_sine_is_in_the_band_of_its_frequency() -> None:
    centres = librosa.mel_frequencies(N_MELS + 2, fmin=40.0, fmax=7800.0, htk=True)[1:-1]
    for band in (20, 40, 60):
        sine = np.sin(2 * np.pi * centres[band] * np.arange(RATE) / RATE).astype(np.float32)
        assert mel_power(sine)[10:-10].mean(axis=0).argmax() == band


def test_wide_bands_are_those_of_librosa() -> None:
    expected = librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=40.0, fmax=7800.0, htk=True, norm=None)
    np.testing.assert_allclose(_filters().T[30:], expected[30:], atol=2e-3)
    assert (_filters().sum(axis=0) > 0.5).all(), "no band is empty"


def test_frames_are_centred() -> None:
    click = np.zeros(RATE, dtype=np.float32)
    click[25 * HOP] = 1.0
    power = mel_power(click)
    assert len(power) == 1 + RATE // HOP
    assert power.sum(axis=1).argmax() == 25


def test_blocks_do_not_change_the_result() -> None:
    noise = np.random.default_rng(0).standard_normal(50 * RATE).astype(np.float32)
    np.testing.assert_allclose(mel_power(noise)[:100], mel_power(noise[: 100 * HOP + N_FFT])[:100], rtol=1e-5)


def test_the_level_has_no_effect() -> None:
    power = np.random.default_rng(1).gamma(1.0, 1.0, (2, 50, N_MELS)).astype(np.float32)
    np.testing.assert_allclose(log_scaled(power), log_scaled(1e-4 * power), atol=1e-5)
    assert log_scaled(power).max() == 1.0
    assert np.isfinite(log_scaled(0.0 * power)).all()
