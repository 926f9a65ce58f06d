"""Whistling: what is told from a voice, how it is lowered, and the notes that are found."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.transcription.whistling import RATE, scale, whistle
from hf_model.audio.recording import as_recording
from hf_model.audio.resampling import resample
from hf_model.inference import trace_pitch, transcribe
from hf_model.notes.note import to_keys
from hf_model.preparation.separation import separate
from hf_model.preparation.whistle import WHISTLED_SHARE, lower_whistle, track_partial, whistled_share

TIMES = np.arange(32000) / 16000


def tone(*hz: float, seconds: float = 2.0) -> NDArray[np.float32]:
    """Add sines of amplitude 0.1 that last two seconds, sounding until ``seconds``."""
    total = sum(np.sin(2 * np.pi * one * TIMES) for one in hz)
    return np.asarray(0.1 * total * (seconds > TIMES), dtype=np.float32)


def no_separator() -> object:
    raise AssertionError


def test_the_partial_has_the_frequency_and_amplitude_of_a_sine() -> None:
    partial = next(track_partial(tone(1737.0)))
    inside = slice(10, -10)
    assert np.abs(partial.hz[inside] - 1737.0).max() < 3.0
    assert np.abs(partial.amplitude[inside] - 0.1).max() < 0.005
    assert partial.share[inside].min() > 0.99


def test_a_sine_is_lowered_by_two_octaves() -> None:
    hum = lower_whistle(tone(2000.0, seconds=1.0))
    assert hum.shape == (32000,)
    spectrum = np.abs(np.fft.rfft(hum[1600:14400]))  # bins of 1.25 Hz
    assert np.argmax(spectrum) == pytest.approx(400, abs=1)
    assert np.abs(hum[1600:14400]).max() == pytest.approx(0.1, abs=0.005)
    assert not hum[17600:].any()


def test_noise_is_silent_and_lengths_stay() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.1, 8000).astype(np.float32)
    assert np.abs(lower_whistle(noise)).mean() < 0.01
    for length in (0, 1, 79, 81, 4000 * 80, 4000 * 80 + 1):
        assert len(lower_whistle(np.zeros(length, dtype=np.float32))) == length


def test_the_phase_is_continuous_across_blocks() -> None:
    seconds = 4000 * 80 / 16000
    times = np.arange(round((seconds + 1.0) * 16000)) / 16000
    hum = lower_whistle(np.sin(2 * np.pi * 1200.0 * times).astype(np.float32))
    around = hum[4000 * 80 - 400 : 4000 * 80 + 400]
    assert np.abs(np.diff(around)).max() < 1.1 * 2 * np.pi * 300.0 / 16000


@pytest.mark.parametrize(
    ("sound", "is_whistled"),
    [
        (tone(1500.0), True),
        (tone(1100.0), False),  # in the range of the transcriber
        (tone(1500.0, 750.0), False),  # a partial below
        (tone(2000.0, 1400.0), False),  # two voices
        (np.zeros(32000, dtype=np.float32), False),
        (np.random.default_rng(1).normal(0.0, 0.1, 32000).astype(np.float32), False),
        (np.zeros(100, dtype=np.float32), False),
    ],
)
def test_only_one_high_partial_is_whistling(sound: NDArray[np.float32], is_whistled: bool) -> None:
    padded = np.pad(sound, (8000, 8000))  # silence shows what of the sound is steady noise
    assert (whistled_share([padded]) >= WHISTLED_SHARE) == is_whistled
    assert whistled_share([]) == 0.0


def test_a_whistled_scale_is_found_at_its_pitch() -> None:
    whistled = whistle(scale(3), 3)
    recording = as_recording(whistled.audio, RATE)
    separated = separate(recording, no_separator)  # type: ignore[arg-type]
    assert separated.source.kind == "whistle"
    keys = [note.pitch for note in to_keys(transcribe(whistled.audio, RATE))]
    assert keys == [note.pitch for note in whistled.notes]
    sounding = resample(whistled.audio, RATE, 16000)
    curve = trace_pitch(separated)
    first = round(100 * (whistled.notes[0].onset + 0.1))
    assert curve.pitch[first] == pytest.approx(whistled.notes[0].pitch, abs=0.7)
    assert len(curve.pitch) == 1 + len(sounding) // 160
    as_voice = to_keys(transcribe(whistled.audio, RATE, source="voice"))
    assert [note.pitch for note in as_voice] != keys
