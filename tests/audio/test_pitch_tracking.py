"""The pitch tracker on tones of known frequency."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.pitch_tracking import track


def tone(hertz: float, seconds: float = 1.0, partials: int = 5) -> NDArray[np.float32]:
    times = np.arange(round(seconds * VOICE_STFT.sample_rate)) / VOICE_STFT.sample_rate
    return sum(0.3 / k * np.sin(2 * np.pi * hertz * k * times) for k in range(1, partials + 1)).astype(np.float32)


@pytest.mark.parametrize("hertz", [60.0, 110.0, 220.0, 441.3, 880.0, 1400.0])
def test_f0_of_a_tone_within_a_cent(hertz: float) -> None:
    found = track(tone(hertz))
    assert len(found.f0) == 101
    middle = slice(10, -10)
    assert np.abs(1200 * np.log2(found.f0[middle] / hertz)).max() < 1.0
    assert found.voiced[middle].all()


def test_missing_fundamental_is_found() -> None:
    times = np.arange(VOICE_STFT.sample_rate) / VOICE_STFT.sample_rate
    audio = sum(0.2 * np.sin(2 * np.pi * 150 * k * times) for k in (2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(track(audio).f0[10:-10], 150, rtol=1e-3)


def test_noise_and_silence_are_unvoiced() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(VOICE_STFT.sample_rate).astype(np.float32)
    assert track(noise).voiced.mean() < 0.02
    silent = track(np.zeros(VOICE_STFT.sample_rate, dtype=np.float32))
    assert not silent.voiced.any()
    assert not silent.onset_strength.any()


def test_onset_and_offset_strength_peak_at_onset_and_offset() -> None:
    audio = np.concatenate([np.zeros(8000, dtype=np.float32), tone(220.0, 0.5), np.zeros(8000, dtype=np.float32)])
    found = track(audio)
    assert np.argmax(found.onset_strength) / 100 == pytest.approx(0.5, abs=0.021)
    assert np.argmax(found.offset_strength) / 100 == pytest.approx(1.0, abs=0.021)


def test_long_recordings_measured_in_blocks_are_the_same() -> None:
    audio = np.concatenate([tone(200.0, 21.0), tone(300.0, 1.0)])
    whole, part = track(audio), track(audio[20 * VOICE_STFT.sample_rate :])
    np.testing.assert_allclose(whole.f0[2010:-10], part.f0[10:-10], rtol=1e-5)
