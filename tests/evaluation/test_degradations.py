"""Degradations: their amounts are measured, and nothing moves in time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from hf_model.evaluation.degradations import (
    CONDITIONS,
    add_street_noise,
    make_quiet,
    put_in_room,
    room_response,
    singing_power,
)

RATES = (16000, 44100)


def melody(sample_rate: int) -> np.ndarray:
    """Four notes of 0.4 s with harmonics, and silence between them: 3 s."""
    seconds = np.arange(3 * sample_rate) / sample_rate
    audio = np.zeros_like(seconds)
    for start, hz in ((0.3, 220.0), (0.9, 330.0), (1.5, 440.0), (2.2, 262.0)):
        shape = np.clip(np.minimum(seconds - start, start + 0.4 - seconds) / 0.01, 0.0, 1.0)
        for k in range(1, 9):
            audio += 0.1 / k * shape * np.sin(2 * np.pi * hz * k * seconds)
    return audio.astype(np.float32)


def delay_ms(before: np.ndarray, after: np.ndarray, sample_rate: int) -> float:
    """Lag of the highest cross-correlation."""
    n_fft = 2 * len(before)
    product = np.conj(np.fft.rfft(before, n_fft)) * np.fft.rfft(after, n_fft)
    lag = int(np.argmax(np.fft.irfft(product, n_fft)))
    return 1000.0 * (lag if lag < len(before) else lag - n_fft) / sample_rate


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("name", CONDITIONS)
def test_nothing_moves_in_time_and_the_length_stays(name, sample_rate):
    voice = melody(sample_rate)
    worse = CONDITIONS[name](voice, sample_rate, 3)
    assert worse.shape == voice.shape
    assert worse.dtype == np.float32
    assert np.isfinite(worse).all()
    assert abs(delay_ms(voice, worse, sample_rate)) < 1.0
    assert not np.allclose(worse, voice, atol=1e-4), "a condition that changes nothing measures nothing"


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_same_seed_gives_the_same_recording(name):
    voice = melody(16000)
    assert np.array_equal(CONDITIONS[name](voice, 16000, 5), CONDITIONS[name](voice, 16000, 5))


@pytest.mark.parametrize("name", CONDITIONS)
def test_silence_stays_finite(name):
    assert np.isfinite(CONDITIONS[name](np.zeros(8000, dtype=np.float32), 16000, 0)).all()


@pytest.mark.parametrize("snr", [10.0, 0.0])
def test_noise_level_is_relative_to_the_singing_alone(snr):
    voice = melody(16000)
    sung = np.abs(voice) > 0  # the four notes: rests must not lower the noise
    noise = add_street_noise(voice, 16000, 1, snr) - voice
    measured = 10 * np.log10(np.mean(voice[sung] ** 2) / np.mean(noise**2))
    assert measured == pytest.approx(snr, abs=0.6)


def test_noise_is_coloured_like_a_street():
    voice = melody(16000)
    power = np.abs(np.fft.rfft(add_street_noise(voice, 16000, 1) - voice)) ** 2
    hz = np.fft.rfftfreq(len(voice), 1 / 16000)
    octaves = [10 * np.log10(power[(hz >= low) & (hz < 2 * low)].mean()) for low in (400, 800, 1600, 3200)]
    assert all(6.0 > before - after > 3.0 for before, after in pairwise(octaves))


def test_singing_power_leaves_silence_out():
    voice = np.zeros(32000, dtype=np.float32)
    voice[8000:16000] = 0.1
    assert singing_power(voice, 16000) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("rt60", [0.5, 0.3])
def test_room_decays_by_60_db_in_its_reverberation_time(rt60):
    response = room_response(16000, 2, rt60)
    left = np.cumsum(response[::-1] ** 2)[::-1]  # Schroeder's backward integration
    level = 10 * np.log10(left / left[1])
    fitted = (level > -35) & (level < -5)
    slope = np.polyfit(np.arange(len(level))[fitted] / 16000, level[fitted], 1)[0]
    assert -60 / slope == pytest.approx(rt60, rel=0.05)


def test_reverberation_has_the_energy_of_the_direct_sound():
    response = room_response(16000)
    assert response[0] == 1.0
    assert not response[1:40].any()
    assert np.sum(response[1:] ** 2) == pytest.approx(1.0, rel=1e-6)


def test_reverberation_lasts_after_the_voice():
    voice = melody(16000)
    wet = put_in_room(voice, 16000, 0)
    silence = slice(int(0.72 * 16000), int(0.78 * 16000))
    assert not voice[silence].any()
    assert np.sqrt(np.mean(wet[silence] ** 2)) > 0.05 * np.sqrt(np.mean(voice**2))


@pytest.mark.parametrize(
    ("hz", "gain_db", "tolerance"),
    [(1000, 0.0, 0.1), (400, 0.0, 0.1), (3300, 0.0, 0.1), (300, -6.0, 1.0), (3400, -6.0, 1.0)],
)
def test_phone_passes_its_band(hz, gain_db, tolerance):
    assert _gain(hz) == pytest.approx(gain_db, abs=tolerance)


@pytest.mark.parametrize("hz", [100, 220, 3600, 6000])
def test_phone_stops_other_frequencies(hz):
    assert _gain(hz) < -40


def _gain(hz: float) -> float:
    tone = np.sin(2 * np.pi * hz * np.arange(32000) / 16000).astype(np.float32)
    middle = slice(8000, 24000)
    degraded = CONDITIONS["phone"](tone, 16000, 0)[middle]
    return 10 * np.log10(np.mean(degraded**2) / np.mean(tone[middle] ** 2))


def test_quiet_is_40_db_lower_in_steps_of_16_bits():
    voice = melody(16000)
    quiet = make_quiet(voice, 16000)
    steps = quiet * 32768
    assert np.array_equal(steps, np.round(steps))
    assert len(np.unique(steps)) < 200
    assert 10 * np.log10(np.mean(quiet**2) / np.mean(voice**2)) == pytest.approx(-40, abs=0.1)


def test_mp3_removes_treble_but_not_the_voice():
    noisy = melody(44100) + 0.02 * np.random.default_rng(0).standard_normal(3 * 44100).astype(np.float32)
    degraded = CONDITIONS["mp3"](noisy, 44100, 0)
    error = 10 * np.log10(np.mean((degraded - noisy) ** 2) / np.mean(noisy**2))
    assert -25 < error < -6
    high = np.fft.rfftfreq(len(noisy), 1 / 44100) > 12000
    treble, treble_of_mp3 = (np.sum(np.abs(np.fft.rfft(sound)[high]) ** 2) for sound in (noisy, degraded))
    assert treble_of_mp3 < 0.1 * treble, "32 kbit/s leave no treble"
