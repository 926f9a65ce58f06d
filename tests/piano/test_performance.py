"""Performances: loudness, length, fade-out, channels, pedal, reverb; rendering in blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hf_model.cli.options.sound import SOUNDS as OPTION_SOUNDS
from hf_model.config import ConfigError
from hf_model.inference import Models
from hf_model.notes.note import Note
from hf_model.notes.pedal import Pedal
from hf_model.piano.performance import LOUDNESS, SOUNDS, TRUE_PEAK, Performance, fade_out, perform, play
from hf_model.piano.sampled import SampledPiano
from tests.fakes import TonePiano, tone_models

MELODY = [Note(0.2 + 0.4 * k, 0.55 + 0.4 * k, key, 70) for k, key in enumerate([60, 64, 67, 72, 67, 64, 60])]
RAW = Performance(normalize=False)


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(renderers={"sampled": SampledPiano.load(), "neural": TonePiano()})


def true_peak_db(audio: NDArray[np.float32]) -> float:
    dense = scipy.signal.resample_poly(audio.astype(float), 4, 1, axis=1, window=("kaiser", 10.0))
    return float(20 * np.log10(np.abs(dense).max()))


def loudness(audio: NDArray[np.float32]) -> float:
    return float(pyloudnorm.Meter(44100).integrated_loudness(audio.T.astype(float)))


@pytest.mark.parametrize("velocity", [15, 70, 125])
@pytest.mark.parametrize("mono", [False, True])
def test_loudness_is_normalized_at_any_velocity(models: Models, velocity: int, mono: bool) -> None:
    notes = [Note(note.onset, note.offset, note.pitch, velocity) for note in MELODY]
    audio = play(notes, 4 * 44100, Performance(mono=mono), models)
    assert audio.shape == (1 if mono else 2, 4 * 44100)
    assert loudness(audio) == pytest.approx(LOUDNESS, abs=0.1)
    assert true_peak_db(audio) < TRUE_PEAK


def test_the_true_peak_limits_the_loudness() -> None:
    class ClickPiano(TonePiano):
        def render(self, _notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
            audio = np.zeros((1, n_samples), dtype=np.float32)
            audio[0, 1000:1030] = 0.3 * np.hanning(30)
            return audio

    audio = play(MELODY, 4 * 44100, Performance(), Models(renderers={"sampled": ClickPiano()}))
    assert true_peak_db(audio) == pytest.approx(TRUE_PEAK, abs=0.1)
    assert true_peak_db(audio) < TRUE_PEAK
    assert loudness(audio) < LOUDNESS


def test_a_take_contains_its_measurements(models: Models) -> None:
    with perform(MELODY, 4 * 44100, Performance(), models) as take:
        audio = np.concatenate(list(take.blocks()), axis=1)
        again = np.concatenate(list(take.blocks()), axis=1)
    np.testing.assert_array_equal(audio, again)
    assert take.loudness == pytest.approx(loudness(audio), abs=0.05)
    assert take.true_peak == pytest.approx(true_peak_db(audio), abs=0.05)
    raw = play(MELODY, 4 * 44100, RAW, models)
    np.testing.assert_allclose(audio, take.gain * raw, atol=1e-6)


def test_without_normalization_the_gain_prevents_clipping_only() -> None:
    loud = tone_models(level=4.0)
    with perform(MELODY, 44100, RAW, loud) as take:
        audio = np.concatenate(list(take.blocks()), axis=1)
    assert take.gain < 1
    assert np.abs(audio).max() == pytest.approx(0.999, abs=1e-4)
    with perform(MELODY, 44100, RAW, tone_models(level=0.1)) as take:
        assert take.gain == 1


def test_silence_stays_silence(models: Models) -> None:
    with perform([], 44100, Performance(), models) as take:
        assert (take.gain, take.loudness, take.true_peak) == (1.0, -np.inf, -np.inf)
        assert not np.concatenate(list(take.blocks()), axis=1).any()


@given(n_samples=st.integers(0, 150_000), reverb=st.sampled_from([0.0, 0.4]), pedal=st.booleans(), mono=st.booleans())
@example(n_samples=0, reverb=0.4, pedal=True, mono=False)
@example(n_samples=1, reverb=0.4, pedal=True, mono=True)
@settings(max_examples=12)
def test_the_length_is_exact_and_the_end_is_zero(
    models: Models, n_samples: int, reverb: float, pedal: bool, mono: bool
) -> None:
    audio = play(MELODY, n_samples, Performance(reverb=reverb, pedal=pedal, mono=mono), models)
    assert audio.shape[1] == n_samples
    assert np.isfinite(audio).all()
    assert not audio[:, -1:].any()


def test_blocks_equal_the_whole_performance(models: Models) -> None:
    """Seventy seconds are three blocks; notes sound across each boundary."""
    notes = [*MELODY, Note(29.8, 31, 48), Note(29.9, 33, 52), Note(59.99, 62, 43), Note(68, 71, 40)]
    n_samples = 70 * 44100
    raw = SampledPiano.load().render(notes, n_samples)
    fade = fade_out(notes, n_samples)
    raw[:, -len(fade) :] *= fade
    with perform(notes, n_samples, RAW, models) as take:
        np.testing.assert_allclose(np.concatenate(list(take.blocks()), axis=1), raw, atol=1e-4)


def test_a_long_performance_is_kept_on_disk(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = play(MELODY, 200_000, Performance(), models)
    monkeypatch.setattr("hf_model.piano.performance.MAX_BYTES_IN_MEMORY", 1000)
    monkeypatch.setattr("hf_model.piano.performance.SPOOL_SAMPLES", 70_001)
    with perform(MELODY, 200_000, Performance(), models) as take:
        blocks = list(take.blocks())
    assert [block.shape for block in blocks] == [(2, 70_001), (2, 70_001), (2, 59_998)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), expected)


def test_the_fade_out_begins_at_the_last_release() -> None:
    assert len(fade_out([Note(0, 0.8, 60)], 44100)) == round(0.2 * 44100)
    assert len(fade_out([Note(0, 0.3, 60)], 44100)) == round(0.5 * 44100)  # the longest
    assert len(fade_out([Note(0, 2.0, 60)], 44100)) == round(0.05 * 44100)  # held to the end: the shortest
    fade = fade_out([Note(0, 0.8, 60)], 44100)
    assert fade[0] > 0.999
    assert fade[-1] == 0
    assert (np.diff(fade) <= 0).all()


def test_mono_is_the_mean_of_both_channels(models: Models) -> None:
    stereo = play(MELODY, 44100, RAW, models)
    mono = play(MELODY, 44100, Performance(normalize=False, mono=True), models)
    np.testing.assert_allclose(mono[0], stereo.mean(axis=0), atol=1e-6)


def test_a_mono_piano_stays_mono(models: Models) -> None:
    assert play(MELODY, 44100, Performance("neural", reverb=0.2), models).shape == (1, 44100)


def test_the_pedal_sustains_legato_notes_only(models: Models) -> None:
    legato = [Note(0.5 * k, 0.5 * k + 0.5, key, 70) for k, key in enumerate([60, 64, 67])]
    dry = play(legato, 4 * 44100, RAW, models)
    wet = play(legato, 4 * 44100, Performance(normalize=False, pedal=True), models)
    np.testing.assert_array_equal(wet[:, : round(0.5 * 44100)], dry[:, : round(0.5 * 44100)])
    at_the_end = slice(round(1.6 * 44100), round(1.9 * 44100))
    assert np.square(wet[:, at_the_end]).mean() > 4 * np.square(dry[:, at_the_end]).mean()
    after = slice(round(3.0 * 44100), None)
    assert np.abs(wet[:, after]).max() < 1e-3


def test_given_pedals_replace_those_of_the_performance(models: Models) -> None:
    note = [Note(0.0, 0.3, 60, 90)]
    held = play(note, 2 * 44100, RAW, models, pedals=[Pedal(0.1, 1.5)])
    expected = play([Note(0.0, 1.5, 60, 90)], 2 * 44100, RAW, models)
    np.testing.assert_array_equal(held, expected)


def test_reverb_lengthens_the_decay_but_not_the_file(models: Models) -> None:
    wet = play(MELODY, 4 * 44100, Performance(normalize=False, reverb=1.0), models)
    dry = play(MELODY, 4 * 44100, RAW, models)
    late = slice(round(3.2 * 44100), round(3.5 * 44100))
    assert np.square(wet[:, late]).mean() > 3 * np.square(dry[:, late]).mean()
    assert wet.shape == dry.shape


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"sound": "organ"}, "sound is 'organ', allowed is one of sampled, concert, neural, reference, voice"),
        ({"reverb": 1.5}, "reverb is 1.5, allowed is 0.0 to 1.0"),
    ],
)
def test_settings_out_of_range_are_rejected(setting: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Performance(**setting)


def test_the_command_line_offers_the_same_sounds() -> None:
    assert OPTION_SOUNDS == SOUNDS
