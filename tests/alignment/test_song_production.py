"""Production: nothing moves the voice in time, and levels are what they are said to be."""

import numpy as np
import pytest

from hf_model.alignment.band_audio import BAND_SAMPLE_RATE
from hf_model.alignment.song_production import active_level, master, produce_voice, through_mp3

RATE = BAND_SAMPLE_RATE


def tone(seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def test_silence_does_not_lower_the_level_of_what_sounds() -> None:
    sound = np.concatenate([tone(1.0), np.zeros(3 * RATE, np.float32)])
    assert active_level(sound[None]) == pytest.approx(np.sqrt(0.5), rel=0.03)
    assert active_level(np.zeros((2, RATE), np.float32)) == 0.0


def click(at: int = 20_000) -> np.ndarray:
    audio = np.zeros(RATE, np.float32)
    audio[at] = 1.0
    return audio


@pytest.mark.parametrize("seed", range(6))
def test_the_voice_is_not_delayed(seed: int) -> None:
    produced = produce_voice(click(), np.random.default_rng(seed))
    assert produced.shape == (2, RATE)
    assert abs(int(np.abs(produced).sum(axis=0).argmax()) - 20_000) <= 1


def test_a_coded_mix_stays_in_place() -> None:
    burst = np.zeros((2, RATE), np.float32)
    burst[:, 20_000:24_000] = 0.5 * tone()[:4000]
    coded = through_mp3(burst, 128_000)
    lags = np.arange(-400, 401)
    scores = [float((np.roll(coded[0], -lag) * burst[0]).sum()) for lag in lags]
    assert coded.shape == burst.shape
    assert abs(int(lags[int(np.argmax(scores))])) <= 1


@pytest.mark.parametrize("seed", range(4))
def test_a_mastered_mix_keeps_its_length_and_does_not_clip(seed: int) -> None:
    mix = np.stack([tone(0.5), 0.3 * tone(0.5)])
    mastered = master(mix, np.random.default_rng(seed))
    assert mastered.shape == mix.shape
    assert 0.3 < float(np.abs(mastered).max()) < 1.1


def test_silence_stays_silence() -> None:
    assert not produce_voice(np.zeros(RATE, np.float32), np.random.default_rng(0)).any()
