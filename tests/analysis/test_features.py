"""Features of sounds whose rhythm is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hf_model.analysis.features import PULSES_BPM, as_vector, melody_features, sound_features
from hf_model.config import ConfigError
from hf_model.instruments.identifier import default_identifier
from hf_model.instruments.spectrogram import RATE
from hf_model.notes.note import Note


def _clicks(bpm: float, accent_every: int, seconds: float = 16.0) -> NDArray[np.float32]:
    """Make noise bursts on each beat, louder and brighter on every ``accent_every``-th."""
    rng = np.random.default_rng(0)
    audio = np.zeros(round(seconds * RATE), dtype=np.float32)
    burst = rng.standard_normal(800) * np.exp(-np.arange(800) / 200.0)
    for beat in range(int(seconds * bpm / 60.0)):
        start = round(beat * 60.0 / bpm * RATE)
        loud = 0.5 if beat % accent_every == 0 else 0.02
        part = audio[start : start + len(burst)]
        part += (loud * burst[: len(part)]).astype(np.float32)
    return audio + 1e-4 * rng.standard_normal(len(audio)).astype(np.float32)


@pytest.mark.parametrize(("bpm", "accent"), [(100.0, 3), (150.0, 4)])
def test_pulse_and_bar_of_a_rhythm(bpm: float, accent: int) -> None:
    features = sound_features(_clicks(bpm, accent), default_identifier())
    other = 7 - accent
    assert features[f"pulse/times_{accent}"] > features[f"pulse/times_{other}"] + 0.2
    nearest = min(PULSES_BPM, key=lambda pulse: abs(pulse - bpm))
    off_beat = min(PULSES_BPM, key=lambda pulse: abs(pulse - bpm / 1.5))
    assert features[f"pulse/{nearest:g}"] > features[f"pulse/{off_beat:g}"]


def test_the_level_changes_nothing() -> None:
    audio = _clicks(120.0, 4, 6.0)
    loud, soft = (sound_features(gain * audio, default_identifier()) for gain in (1.0, 0.01))
    names = [name for name in loud if not name.startswith("instrument/")]
    np.testing.assert_allclose(as_vector(loud, names), as_vector(soft, names), rtol=1e-3, atol=1e-3)


def test_brightness_is_the_first_coefficient() -> None:
    rng = np.random.default_rng(1)
    white = 0.1 * rng.standard_normal(4 * RATE).astype(np.float32)
    dark = np.convolve(white, np.ones(32) / 32, mode="same").astype(np.float32)
    values = [sound_features(audio, default_identifier())["timbre/1_mean"] for audio in (white, dark)]
    assert values[0] < values[1] - 20.0  # dark sound: more in the low bands, where the cosine is positive


def test_silence_and_short_clips_are_refused() -> None:
    with pytest.raises(ConfigError, match="silent"):
        sound_features(np.zeros(2 * RATE, dtype=np.float32), default_identifier())
    with pytest.raises(ConfigError, match=r"0\.50 s; at least 1 s"):
        sound_features(np.ones(RATE // 2, dtype=np.float32), default_identifier())


def test_features_of_a_melody() -> None:
    notes = [Note(0.0, 1.0, 60.0), Note(1.0, 1.5, 60.0), Note(2.0, 2.5, 67.0)]
    features = melody_features(notes, 4.0)
    assert features["sung_share"] == 0.5
    assert features["notes_per_second"] == 1.5
    assert (features["range"], features["mean_interval"], features["repeated_share"]) == (7.0, 3.5, 0.5)
    assert melody_features([], 4.0) == {"sung_share": 0.0}
