"""The sampled piano: what is played is what the notes say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hf_model.mdct import dequantise, imdct, mdct, pack, quantise, unpack
from hf_model.notes import Note
from hf_model.piano import SAMPLE_RATE, SampledPiano, damp_repeated
from hf_model.pitch import pitch_to_hz


@pytest.fixture(scope="module")
def piano() -> SampledPiano:
    return SampledPiano.load()


def rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


@pytest.mark.parametrize("n_samples", [0, 1, 44099, 44100, 50001])
def test_length_is_exact(piano: SampledPiano, n_samples: int) -> None:
    audio = piano.render([Note(0.5, 5.0, 60)], n_samples)
    assert audio.shape == (1, n_samples)
    assert audio.dtype == np.float32


def test_no_notes_are_silence(piano: SampledPiano) -> None:
    assert not piano.render([], 1000).any()


@pytest.mark.parametrize("key", [33, 45, 57, 69, 81, 93])
def test_a_key_sounds_at_its_frequency(piano: SampledPiano, key: int) -> None:
    audio = piano.render([Note(0.0, 2.0, key)], 2 * SAMPLE_RATE)[0]
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), n=16 * SAMPLE_RATE))
    hz = np.arange(len(spectrum)) / 16
    f0 = float(pitch_to_hz(key))
    near = (hz > f0 * 0.97) & (hz < f0 * 1.03)
    assert abs(1200 * np.log2(hz[near][np.argmax(spectrum[near])] / f0)) < 15


def test_nothing_sounds_before_the_onset_and_the_attack_is_at_once(piano: SampledPiano) -> None:
    onset = 0.3712
    audio = piano.render([Note(onset, 1.0, 60, 100)], SAMPLE_RATE)[0]
    begin = round(onset * SAMPLE_RATE)
    assert not audio[:begin].any()
    assert np.flatnonzero(np.abs(audio) > 0.1 * np.abs(audio).max())[0] - begin < 0.01 * SAMPLE_RATE


def test_moving_all_notes_moves_the_sound_by_as_many_samples(piano: SampledPiano) -> None:
    early = piano.render([Note(0.1, 0.5, 64), Note(0.3, 0.6, 67)], SAMPLE_RATE)
    shift = 100 / SAMPLE_RATE
    late = piano.render([Note(0.1 + shift, 0.5 + shift, 64), Note(0.3 + shift, 0.6 + shift, 67)], SAMPLE_RATE)
    np.testing.assert_allclose(late[0, 100:40000], early[0, :39900], atol=1e-4)


def test_a_note_that_began_before_the_start_is_heard_from_its_middle(piano: SampledPiano) -> None:
    whole = piano.render([Note(0.0, 1.0, 55)], SAMPLE_RATE)
    rest = piano.render([Note(-0.5, 0.5, 55)], SAMPLE_RATE // 4)
    n_compared = SAMPLE_RATE // 4 - 1000
    np.testing.assert_allclose(rest[0, :n_compared], whole[0, 22050 : 22050 + n_compared], atol=1e-5)


def test_the_damper_silences_a_note(piano: SampledPiano) -> None:
    audio = piano.render([Note(0.0, 0.5, 60, 90)], 2 * SAMPLE_RATE)[0]
    held, released = audio[20000:22050], audio[SAMPLE_RATE : SAMPLE_RATE + 2050]
    assert rms(released) < 0.02 * rms(held)


def test_louder_velocity_is_louder(piano: SampledPiano) -> None:
    levels = [rms(piano.render([Note(0.0, 0.5, 60, v)], SAMPLE_RATE // 2)) for v in range(5, 128, 6)]
    assert all(high > 0.97 * low for low, high in itertools.pairwise(levels))
    assert levels[-1] > 20 * levels[0]


def test_the_sum_of_notes_is_the_note_of_sums(piano: SampledPiano) -> None:
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
def test_only_keys_are_played(piano: SampledPiano, pitch: float) -> None:
    with pytest.raises(ValueError, match=f"pitch is {pitch}.*21 to 108"):
        piano.render([Note(0.0, 1.0, pitch)], 100)


def test_every_key_and_velocity_is_sound(piano: SampledPiano) -> None:
    for key in range(21, 109):
        for velocity in (1, 20, 74, 75, 108, 127):
            audio = piano.render([Note(0.0, 0.2, key, velocity)], 13230)
            assert np.isfinite(audio).all()
            assert 0 < np.abs(audio).max() < 1, (key, velocity)
            assert abs(audio.mean()) < 0.02


def test_the_end_is_faded(piano: SampledPiano) -> None:
    audio = piano.render([Note(0.0, 5.0, 40, 110)], SAMPLE_RATE)[0]
    assert audio[-1] == 0
    assert np.abs(audio[-20:]).max() < 0.05 * np.abs(audio).max()


def test_mdct_reconstructs_and_survives_packing() -> None:
    audio = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    coefficients = mdct(audio)
    np.testing.assert_allclose(imdct(coefficients)[:5000], audio, atol=1e-5)
    levels, peak = quantise(coefficients)
    again = unpack(pack(levels), *levels.shape)
    np.testing.assert_array_equal(again, levels)
    error = imdct(dequantise(again, peak))[:5000] - audio
    assert rms(error) < 0.03 * rms(audio)
