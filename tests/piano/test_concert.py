"""The concert grand: pitch, onset, loudness over velocities, and the choice of layers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from hf_model.inference import render
from hf_model.notes.note import Note
from hf_model.piano.build_concert import LAYERS, mix_of
from hf_model.piano.performance import Performance
from hf_model.piano.sampled import SampledPiano
from hf_model.weights import WEIGHTS


@cache
def _concert() -> SampledPiano:
    return SampledPiano.load(WEIGHTS / "piano_concert")


def _note(key: int, velocity: int = 90, seconds: float = 1.5) -> np.ndarray:
    return _concert().render([Note(0.1, seconds, key, velocity)], round(44100 * (seconds + 0.5)))


@pytest.mark.parametrize("key", [33, 34, 47, 60, 61, 62, 63, 76, 90])
def test_pitch_of_recorded_and_derived_keys(key: int) -> None:
    sound = _note(key).mean(axis=0)[8820 : 8820 + 32768].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
    step = 44100 / (8 * len(sound))
    expected = 440.0 * 2.0 ** ((key - 69) / 12)
    near = slice(int(expected * 0.95 / step), int(expected * 1.05 / step))
    found = (near.start + int(spectrum[near].argmax())) * step
    assert abs(1200 * np.log2(found / expected)) < 12


@pytest.mark.parametrize("key", [28, 45, 60, 72, 96])
def test_onset_is_on_time(key: int) -> None:
    loud = np.abs(_note(key)).max(axis=0)
    assert not loud[: round(0.098 * 44100)].any()
    assert 0.1 <= int(np.argmax(loud > 0.1 * loud.max())) / 44100 < 0.118


@pytest.mark.parametrize("key", [31, 48, 60, 74, 88])
def test_loudness_rises_with_velocity(key: int) -> None:
    levels = [10 * np.log10(np.mean(_note(key, velocity, 0.6) ** 2)) for velocity in (10, 30, 50, 70, 90, 110, 127)]
    assert (np.diff(levels) > -0.5).all()
    assert 12 < levels[-1] - levels[0] < 50


def test_one_layer_at_a_time_with_its_level() -> None:
    mix = mix_of(np.array([-60.0, -50.0, -46.0, -40.0, -34.0, -30.0]))
    assert ((mix == 0).sum(axis=1) == 1).all()
    for velocity in LAYERS.values():
        assert mix[velocity].max() == pytest.approx(1.0)
    middle = mix[47]  # between 40 (-50 dB) and 54 (-46 dB), nearer to both alike: the lower layer 2 dB louder
    np.testing.assert_allclose(middle, [10 ** (2 / 20), 0.0], rtol=1e-5)
    assert 20 * np.log10(mix[10, 0]) == pytest.approx(-5.0)


def test_the_sound_is_a_choice() -> None:
    notes = [Note(0.0, 1.0, 60)]
    concert, classic = (render(notes, 44100, Performance(sound)) for sound in ("concert", "sampled"))
    assert concert.shape == classic.shape == (2, 44100)
    assert np.abs(concert - classic).max() > 0.05
