"""The sampled piano: pitch, timing, dynamics, damping and loops of its notes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.config import ConfigError
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz
from hf_model.piano.mdct_codec import dequantise, imdct, mdct, pack, quantise, unpack
from hf_model.piano.rendering import damp_repeated
from hf_model.piano.sampled import LOOP_FROM, SampledPiano, prolong


@pytest.fixture(scope="module")
def piano() -> SampledPiano:
    return SampledPiano.load()


def rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


@pytest.mark.parametrize("n_samples", [0, 1, 44099, 44100, 50001])
def test_the_length_is_exact(piano: SampledPiano, n_samples: int) -> None:
    audio = piano.render([Note(0.5, 5.0, 60)], n_samples)
    assert audio.shape == (2, n_samples)
    assert audio.dtype == np.float32


def test_without_notes_the_audio_is_silent(piano: SampledPiano) -> None:
    assert not piano.render([], 1000).any()


@pytest.mark.parametrize("key", [33, 45, 57, 69, 81, 93])
def test_a_key_sounds_at_its_frequency(piano: SampledPiano, key: int) -> None:
    audio = piano.render([Note(0.0, 2.0, key)], 2 * PIANO_SAMPLE_RATE)[0]
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), n=16 * PIANO_SAMPLE_RATE))
    hz = np.arange(len(spectrum)) / 16
    f0 = float(pitch_to_hz(key))
    near = (hz > f0 * 0.97) & (hz < f0 * 1.03)
    assert abs(1200 * np.log2(hz[near][np.argmax(spectrum[near])] / f0)) < 15


def test_the_attack_is_at_the_onset(piano: SampledPiano) -> None:
    onset = 0.3712
    audio = piano.render([Note(onset, 1.0, 60, 100)], PIANO_SAMPLE_RATE)[0]
    begin = round(onset * PIANO_SAMPLE_RATE)
    assert not audio[:begin].any()
    assert np.flatnonzero(np.abs(audio) > 0.1 * np.abs(audio).max())[0] - begin < 0.01 * PIANO_SAMPLE_RATE


def test_shifted_notes_give_shifted_audio(piano: SampledPiano) -> None:
    early = piano.render([Note(0.1, 0.5, 64), Note(0.3, 0.6, 67)], PIANO_SAMPLE_RATE)
    shift = 100 / PIANO_SAMPLE_RATE
    late = piano.render([Note(0.1 + shift, 0.5 + shift, 64), Note(0.3 + shift, 0.6 + shift, 67)], PIANO_SAMPLE_RATE)
    np.testing.assert_allclose(late[0, 100:40000], early[0, :39900], atol=1e-4)


def test_a_note_that_began_before_the_start_continues(piano: SampledPiano) -> None:
    whole = piano.render([Note(0.0, 1.0, 55)], PIANO_SAMPLE_RATE)
    rest = piano.render([Note(-0.5, 0.5, 55)], PIANO_SAMPLE_RATE // 4)
    n_compared = PIANO_SAMPLE_RATE // 4 - 1000
    np.testing.assert_allclose(rest[0, :n_compared], whole[0, 22050 : 22050 + n_compared], atol=1e-5)


def test_a_released_note_is_damped(piano: SampledPiano) -> None:
    audio = piano.render([Note(0.0, 0.5, 60, 90)], 2 * PIANO_SAMPLE_RATE)[0]
    held, released = audio[20000:22050], audio[PIANO_SAMPLE_RATE : PIANO_SAMPLE_RATE + 2050]
    assert rms(released) < 0.02 * rms(held)


def test_level_rises_with_velocity(piano: SampledPiano) -> None:
    levels = [rms(piano.render([Note(0.0, 0.5, 60, v)], PIANO_SAMPLE_RATE // 2)) for v in range(5, 128, 6)]
    assert all(high > 0.97 * low for low, high in itertools.pairwise(levels))
    assert levels[-1] > 20 * levels[0]


def test_notes_are_added(piano: SampledPiano) -> None:
    notes = [Note(0.0, 0.4, 60), Note(0.1, 0.5, 64), Note(0.2, 0.6, 67)]
    together = piano.render(notes, 30000)
    apart = sum(piano.render([note], 30000) for note in notes)
    np.testing.assert_allclose(together, apart, atol=1e-6)


def test_a_key_struck_again_is_damped_first() -> None:
    played = damp_repeated([Note(0.0, 2.0, 60), Note(1.0, 1.5, 60), Note(0.5, 2.0, 61)])
    assert [(note.onset, note.offset, note.pitch) for note in played] == [
        (0.0, 1.0, 60),
        (0.5, 2.0, 61),
        (1.0, 1.5, 60),
    ]


@pytest.mark.parametrize("pitch", [20.0, 109.0, 60.5])
def test_pitches_that_are_no_keys_are_rejected(piano: SampledPiano, pitch: float) -> None:
    with pytest.raises(ValueError, match=f"pitch is {pitch}.*21 to 108"):
        piano.render([Note(0.0, 1.0, pitch)], 100)


@pytest.mark.parametrize("velocity", [1, 12, 40, 74, 75, 100, 108, 127])
def test_every_key_sounds_at_every_velocity_without_clicks(piano: SampledPiano, velocity: int) -> None:
    """No NaN, no DC offset, no larger step between samples than on the reference."""
    for key in range(21, 109):
        audio = piano.render([Note(0.0, 0.2, key, velocity)], 13230)
        peak = float(np.abs(audio).max())
        assert np.isfinite(audio).all()
        assert 0 < peak < 1, key
        assert abs(audio.mean()) < 0.02 * peak, key
        # the largest of the reference's own steps over the peak is 0.544, of these 0.542
        assert np.abs(np.diff(audio)).max() < 0.6 * peak, key


def test_the_stereo_image_is_that_of_the_reference(piano: SampledPiano) -> None:
    """Level difference (dB) and correlation of both channels on the reference (bench piano --parts keyboard)."""
    for key, velocity, balance, correlation in ((24, 30, 3.22, 0.41), (60, 64, 0.41, 0.75), (84, 30, 6.27, 0.77)):
        left, right = piano.render([Note(0.0, 1.5, key, velocity)], 2 * PIANO_SAMPLE_RATE)
        assert 20 * np.log10(rms(left) / rms(right)) == pytest.approx(balance, abs=0.5)
        assert np.corrcoef(left, right)[0, 1] == pytest.approx(correlation, abs=0.06)


def test_one_channel_is_the_mean_of_two(piano: SampledPiano) -> None:
    notes = [Note(0.0, 0.4, 40), Note(0.1, 0.5, 64), Note(0.2, 0.6, 90)]
    alone = SampledPiano.load(channels=1).render(notes, 30000)
    assert alone.shape == (1, 30000)
    both = piano.render(notes, 30000)
    np.testing.assert_allclose(both.mean(axis=0), alone[0], atol=np.abs(both).max() / 2**15)
    with pytest.raises(ConfigError, match="channels is 3"):
        SampledPiano.load(channels=3)


@pytest.mark.parametrize(("key", "velocity", "fall"), [(24, 60, 14.9), (48, 120, 19.5), (60, 100, 38.5)])
def test_long_notes_decay_as_on_the_reference(piano: SampledPiano, key: int, velocity: int, fall: float) -> None:
    """``fall``: dB from 10 s to 18 s, on the reference (12.5, 19.5, 38.5), but for loop fluctuation."""
    audio = piano.render([Note(0.0, 19.5, key, velocity)], 20 * PIANO_SAMPLE_RATE)
    early, late = (rms(audio[:, t * PIANO_SAMPLE_RATE : t * PIANO_SAMPLE_RATE + 22050]) for t in (10, 18))
    assert 20 * np.log10(early / late) == pytest.approx(fall, abs=3.0)
    join = round(LOOP_FROM * PIANO_SAMPLE_RATE)
    steps = np.abs(np.diff(audio))
    assert steps[:, join - 100 : join + 8000].max() < 1.5 * steps[:, join - 40000 : join - 100].max()


def test_a_loop_repeats_and_decays() -> None:
    sound = np.sin(2 * np.pi * 441 * np.arange(10 * PIANO_SAMPLE_RATE) / PIANO_SAMPLE_RATE).astype(np.float32)
    longer = prolong(sound, 13 * PIANO_SAMPLE_RATE, PIANO_SAMPLE_RATE, 0.5)
    # the first repetition continues at the present level, the others are softer
    levels = [
        np.abs(longer[round(t * PIANO_SAMPLE_RATE) : round((t + 0.3) * PIANO_SAMPLE_RATE)]).max()
        for t in (9, 9.6, 10.6, 11.6)
    ]
    np.testing.assert_allclose(levels, [1, 1, 0.5, 0.25], atol=0.01)
    assert prolong(sound, PIANO_SAMPLE_RATE, PIANO_SAMPLE_RATE, 0.5) is sound
    assert prolong(sound, 20 * PIANO_SAMPLE_RATE, 0, 0.0) is sound


def test_the_end_is_faded_out(piano: SampledPiano) -> None:
    audio = piano.render([Note(0.0, 5.0, 40, 110)], PIANO_SAMPLE_RATE)[0]
    assert audio[-1] == 0
    assert np.abs(audio[-20:]).max() < 0.05 * np.abs(audio).max()


def test_quantised_notes_survive_packing() -> None:
    audio = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    coefficients = mdct(audio)
    np.testing.assert_allclose(imdct(coefficients)[:5000], audio, atol=1e-5)
    levels, peak = quantise(coefficients)
    again = unpack(pack(levels), *levels.shape)
    np.testing.assert_array_equal(again, levels)
    error = imdct(dequantise(again, peak))[:5000] - audio
    assert rms(error) < 0.03 * rms(audio)
