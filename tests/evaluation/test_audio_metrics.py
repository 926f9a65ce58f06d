"""Distances between renderings, checked on sounds whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.audio.grid import VOICE_STFT
from hf_model.evaluation.audio_metrics import (
    complex_convergence,
    constant_offset,
    decay_rates,
    is_called_piano,
    largest_step,
    log_mel_distance,
    mel_filters,
    partial_frequencies,
    rise_time,
    si_sdr,
    spectral_convergence,
)
from hf_model.notes.note import Note
from hf_model.piano.sampled import SampledPiano
from hf_model.singer.synthesis import sing

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


def test_only_si_sdr_depends_on_phase() -> None:
    shifted = np.roll(NOISE, 1)
    assert log_mel_distance(NOISE, -NOISE) == 0
    assert si_sdr(NOISE, shifted) < 0


def test_noise_ten_decibels_down_is_an_si_sdr_of_ten() -> None:
    other = (0.1 * RNG.standard_normal(22050)).astype(np.float32)
    other -= NOISE * float(other @ NOISE) / float(NOISE @ NOISE)
    other *= np.linalg.norm(NOISE) / np.linalg.norm(other)
    assert si_sdr(NOISE, NOISE + 10**-0.5 * other) == pytest.approx(10, abs=0.01)


def test_levels_sixty_decibels_down_are_ignored() -> None:
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


def decaying(rates: dict[float, float], seconds: float = 1.5) -> np.ndarray:
    """Add partials: Hz to dB a second."""
    time = np.arange(round(44100 * seconds)) / 44100
    parts = [10 ** (-rate * time / 20) * np.sin(2 * np.pi * hz * time) for hz, rate in rates.items()]
    return (0.1 * np.sum(parts, axis=0)).astype(np.float32)


def test_rise_time_of_a_linear_attack() -> None:
    seconds = np.arange(44100) / 44100
    rising = np.minimum(seconds / 0.05, 1.0)
    assert rise_time((rising * np.sin(2 * np.pi * 2000 * seconds)).astype(np.float32)) == pytest.approx(0.04, abs=2e-3)


def test_each_partial_decays_at_its_own_rate() -> None:
    note = decaying({440.0: 20.0, 881.0: 35.0, 1323.0: 4.0})
    np.testing.assert_allclose(decay_rates(note, [440.0, 881.0, 1323.0]), [20, 35, 4], atol=0.3)
    np.testing.assert_allclose(decay_rates(note, [440.0], begin=0.2, end=0.7), [20], atol=0.3)


def test_partials_are_found_and_faint_ones_left_out() -> None:
    note = decaying({441.0: 10.0, 884.0: 10.0, 1330.0: 10.0}) + 0.005 * decaying({1760.0: 10.0})
    np.testing.assert_allclose(partial_frequencies(note, 440.0), [441, 884, 1330], atol=0.5)
    np.testing.assert_allclose(partial_frequencies(decaying({4000.0: 10.0}), 4000.0), [4000], atol=0.5)


def test_complex_convergence_depends_on_level_and_phase() -> None:
    assert complex_convergence(NOISE, NOISE) == 0
    assert complex_convergence(NOISE, 0.5 * NOISE) == pytest.approx(0.5, abs=1e-3)
    assert complex_convergence(NOISE, -NOISE) == pytest.approx(2.0, abs=1e-3)
    assert complex_convergence(0 * NOISE, NOISE) == 0


def test_a_click_and_a_constant_are_detected() -> None:
    tone = decaying({440.0: 10.0})
    clicked = np.stack([tone, tone])
    clicked[1, 30000:] += 0.05
    assert largest_step(tone) == pytest.approx(0.1 * 2 * np.pi * 440 / 44100, rel=0.02)
    assert largest_step(clicked) == pytest.approx(0.05, abs=0.01)
    assert constant_offset(tone) < 1e-3
    assert constant_offset(np.stack([tone, tone + 0.01])) == pytest.approx(0.01 / 0.11, rel=0.05)
    assert largest_step(tone[:0]) == constant_offset(0 * tone) == 0


def test_a_piano_is_called_one_and_a_voice_is_not():
    melody = [Note(0.4 * k, 0.4 * k + 0.38, 60.0 + step) for k, step in enumerate((0, 4, 7, 5, 4, 2, 0, 7))]
    assert is_called_piano(SampledPiano.load().render(melody, 4 * 44100), 44100) == 1.0
    assert is_called_piano(sing(melody, 1).audio[np.newaxis], VOICE_STFT.sample_rate) == 0.0


def test_silence_and_a_moment_are_not_judged():
    assert np.isnan(is_called_piano(np.zeros((2, 3 * 44100), np.float32), 44100))
    assert np.isnan(is_called_piano(NOISE[None, :1000], 44100))
