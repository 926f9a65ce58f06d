"""Distances between renderings, checked on sounds whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.audio_metrics import (
    decay_rate,
    log_mel_distance,
    mel_filters,
    rise_time,
    si_sdr,
    spectral_convergence,
)

RNG = np.random.default_rng(0)
NOISE = (0.1 * RNG.standard_normal(22050)).astype(np.float32)


def test_equal_sounds_have_no_distance() -> None:
    assert log_mel_distance(NOISE, NOISE) == 0
    assert spectral_convergence(NOISE, NOISE) == 0
    assert si_sdr(NOISE, NOISE) > 100


def test_half_the_level_is_six_decibels_and_half_convergence() -> None:
    assert log_mel_distance(NOISE, 0.5 * NOISE) == pytest.approx(6.02, abs=0.01)
    assert spectral_convergence(NOISE, 0.5 * NOISE) == pytest.approx(0.5, abs=1e-3)
    assert si_sdr(NOISE, 0.5 * NOISE) > 100


def test_a_turned_phase_is_seen_by_si_sdr_alone() -> None:
    shifted = np.roll(NOISE, 1)
    assert log_mel_distance(NOISE, -NOISE) == 0
    assert si_sdr(NOISE, shifted) < 0


def test_noise_ten_decibels_down_is_an_si_sdr_of_ten() -> None:
    other = (0.1 * RNG.standard_normal(22050)).astype(np.float32)
    other -= NOISE * float(other @ NOISE) / float(NOISE @ NOISE)
    other *= np.linalg.norm(NOISE) / np.linalg.norm(other)
    assert si_sdr(NOISE, NOISE + 10**-0.5 * other) == pytest.approx(10, abs=0.01)


def test_what_lies_sixty_decibels_down_does_not_count() -> None:
    quiet = NOISE.copy()
    quiet[11025:] *= 1e-5
    quieter = quiet.copy()
    quieter[13000:] = 0
    assert log_mel_distance(quiet, quieter) < 1e-3


def test_silence_has_no_distance_and_channels_are_averaged() -> None:
    assert log_mel_distance(0 * NOISE, NOISE) == 0
    assert spectral_convergence(0 * NOISE, NOISE) == 0
    assert spectral_convergence(NOISE, 0 * NOISE) == pytest.approx(1)
    assert log_mel_distance(np.stack([2 * NOISE, 0 * NOISE]), NOISE) == 0


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="estimate has 10 samples, the reference 22050"):
        si_sdr(NOISE, NOISE[:10])


def test_mel_filters_agree_with_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    theirs = librosa.filters.mel(sr=44100, n_fft=2048, n_mels=128, fmax=16000.0, htk=True, norm="slaney")
    np.testing.assert_allclose(mel_filters(), theirs, atol=1e-6)


def test_rise_and_decay_of_a_made_note() -> None:
    seconds = np.arange(44100) / 44100
    rising = np.minimum(seconds / 0.05, 1.0)
    note = (rising * 10 ** (-20 * seconds / 20) * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    assert decay_rate(note, 440.0) == pytest.approx(20.0, abs=0.2)
    assert rise_time((rising * np.sin(2 * np.pi * 2000 * seconds)).astype(np.float32)) == pytest.approx(0.04, abs=2e-3)
