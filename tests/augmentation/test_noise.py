"""Synthetic noises: reproducibility, level and the character of each kind."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.augmentation.noise import KINDS, MAX_LEVEL, MIN_LEVEL, RATE, noise
from hf_model.config import ConfigError


def power(sound: np.ndarray, low: float, high: float) -> float:
    """Fraction of the power between two frequencies in Hz."""
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(sound.size, 1 / RATE)
    return float(spectrum[(hz >= low) & (hz < high)].sum() / spectrum.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_determines_the_noise(kind):
    sounds = [noise(kind, 3.0, seed) for seed in (1, 1, 2)]
    assert all(sound.shape == (3 * RATE,) and sound.dtype == np.float32 for sound in sounds)
    assert np.array_equal(sounds[0], sounds[1])
    assert kind == "silence" or not np.array_equal(sounds[0], sounds[2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [0.05, 1.0, 7.3])
def test_every_noise_is_finite_and_within_its_levels(kind, seconds):
    for seed in range(3):
        sound = noise(kind, seconds, seed)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() <= 0.99
        level = 20 * np.log10(max(float(np.sqrt(np.mean(sound**2))), 1e-9))
        assert level < MAX_LEVEL + 0.1
        assert level > MIN_LEVEL - 30 or kind in ("silence", "dither")


def test_silence_and_dither_are_those_of_16_bit_files():
    assert not noise("silence", 1.0, 0).any()
    steps = noise("dither", 1.0, 0) * 32768
    assert set(np.unique(steps)) == {-1.0, 0.0, 1.0}


@pytest.mark.parametrize("seed", range(8))
def test_hum_is_at_multiples_of_the_mains_frequency(seed):
    sound = noise("hum", 10.0, seed)
    hz = np.fft.rfftfreq(sound.size, 1 / RATE)[np.argmax(np.abs(np.fft.rfft(sound)))]
    assert min(abs(hz / mains - round(hz / mains)) * mains / round(hz / mains) for mains in (50, 60)) < 0.3


def test_wind_has_low_and_birds_have_high_frequencies():
    assert all(power(noise("wind", 5.0, seed), 0, 300) > 0.7 for seed in range(4))
    assert np.median([power(noise("birds", 20.0, seed), 1900, 8000) for seed in range(6)]) > 0.7


def test_typing_and_rain_are_impulsive():
    for kind in ("typing", "rain"):
        blocks = noise(kind, 20.0, 3).reshape(-1, 160)
        loud = np.sqrt((blocks**2).mean(1))
        assert loud.max() > 3 * np.median(loud)


def test_invalid_arguments_are_errors():
    with pytest.raises(ConfigError, match="hiss"):
        noise("music", 1.0, 0)
    with pytest.raises(ConfigError, match="seconds"):
        noise("hiss", 0.0, 0)
