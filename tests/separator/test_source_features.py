"""Features of an excerpt: what a voice and a chord differ in."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.separator.source_features import NAMES, measure_features

RATE = 16000
SECONDS = np.arange(4 * RATE) / RATE


def tone(hz: float, cents: float = 0.0) -> np.ndarray:
    """Eight partials; the frequency wavers by so many cents, as in a voice."""
    wavering = hz * 2.0 ** (cents / 1200.0 * np.sin(2 * np.pi * 5.5 * SECONDS))
    phase = 2 * np.pi * np.cumsum(wavering) / RATE
    return sum(np.sin(n * phase) / n for n in range(1, 9)).astype(np.float32)


def features(audio: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, measure_features(audio.astype(np.float32)), strict=True))


def test_one_pitch_explains_one_voice_but_not_a_chord():
    voice, chord = features(tone(220.0)), features(tone(220.0) + tone(277.0) + tone(331.0))
    assert voice["rest"] < -20.0
    assert chord["rest"] > -12.0
    assert voice["peaks of the rest"] < 1.0 < 4.0 < chord["peaks of the rest"]
    assert chord["entropy of a frame"] > voice["entropy of a frame"] + 0.5


@pytest.mark.parametrize("hz", [82.0, 147.0, 440.0, 880.0])
def test_every_pitch_of_a_voice_explains_its_partials(hz):
    assert features(tone(hz, 20.0))["rest"] < -15.0


def test_an_instrument_is_steadier_than_a_voice():
    held = np.where(SECONDS % 1.0 < 0.5, tone(220.0), tone(262.0))
    voice = np.where(SECONDS % 1.0 < 0.5, tone(220.0, 30.0), tone(262.0, 30.0))
    assert features(held)["steady"] > features(voice)["steady"] + 20.0


def test_a_constant_hum_is_not_music():
    """The hum of the mains is in all frames."""
    assert features(tone(200.0))["steady"] == pytest.approx(-50.0)


def test_the_level_changes_nothing():
    audio = tone(220.0, 30.0) * (SECONDS % 1.0 < 0.7)
    np.testing.assert_allclose(measure_features(audio * 1e-3), measure_features(audio), atol=0.05)


def test_rests_show_in_the_levels():
    audio = tone(220.0) * (SECONDS % 1.0 < 0.6)
    assert features(audio)["level 20 %"] < -40.0
    assert features(tone(220.0))["level 20 %"] > -3.0


@pytest.mark.parametrize("n_samples", [1, 100, 2048, 3000])
def test_short_audio_gives_numbers(n_samples):
    measured = measure_features(tone(220.0)[:n_samples] + np.float32(1e-4))
    assert measured.shape == (len(NAMES),)
    assert np.isfinite(measured).all()
