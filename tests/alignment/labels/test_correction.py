"""Label correction: known errors are undone, and the labels of synthetic singing need none."""

from dataclasses import replace

import numpy as np
import pytest

from hf_model.alignment.correction import Correction
from hf_model.alignment.labels.correction import (
    Measurement,
    Prior,
    apply_correction,
    corpus_prior,
    correct_octaves,
    estimate_correction,
    measure_fit,
    measure_labels,
    measure_offset_lag,
    measure_onset_lag,
)
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.pitch_tracking import Track, track
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch, pitch_to_hz
from hf_model.singer.composition import compose
from tests.melody import melody, tracked_melody


@pytest.fixture(scope="module")
def voice() -> Track:
    return tracked_melody()


def shifted(notes: list[Note], onset: float = 0.0, offset: float = 0.0, hertz: float = 0.0, octave: int = 0):
    return [
        replace(
            note,
            onset=note.onset + onset,
            offset=note.offset + offset,
            pitch=float(hz_to_pitch(pitch_to_hz(note.pitch) + hertz)) + 12 * octave,
        )
        for note in notes
    ]


@pytest.mark.parametrize("lag", [-0.04, 0.0, 0.025, 0.06])
def test_onset_lag_is_found(voice: Track, lag: float) -> None:
    exact = measure_onset_lag(voice, melody())[0]
    assert abs(exact) < 0.012
    found, error = measure_onset_lag(voice, shifted(melody(), onset=lag))
    assert found - exact == pytest.approx(lag, abs=0.006)
    assert error < 0.01


@pytest.mark.parametrize("lag", [-0.03, 0.0, 0.05])
def test_offset_lag_is_found(voice: Track, lag: float) -> None:
    exact = measure_offset_lag(voice, melody())[0]
    assert abs(exact) < 0.02
    found, error = measure_offset_lag(voice, shifted(melody(), offset=lag))
    assert found - exact == pytest.approx(lag, abs=0.006)
    assert error < 0.01


def test_pitch_bias_and_octave_are_separated(voice: Track) -> None:
    found = measure_labels(voice, shifted(melody(), hertz=3.9))
    assert found.pitch_bias_hz == pytest.approx(3.9, abs=0.15)
    assert found.octave == 0
    found = measure_labels(voice, shifted(melody(), octave=-1))
    assert found.octave == -1
    assert found.pitch_bias_hz == pytest.approx(0.0, abs=0.15)
    assert found.n_notes == 12


def test_all_corrections_together_restore_labels(voice: Track) -> None:
    wrong = shifted(melody(), onset=0.03, offset=0.03, hertz=5.0, octave=1)
    found = measure_labels(voice, wrong)
    correction = estimate_correction(found, corpus_prior([found]))
    right = apply_correction(wrong, correction, 7.0)
    for one, other in zip(right, melody(), strict=True):
        assert one.onset == pytest.approx(other.onset, abs=0.012)
        assert one.offset == pytest.approx(other.offset, abs=0.02)
        assert one.pitch == pytest.approx(other.pitch, abs=0.05)
    before, after = measure_fit(voice, wrong), measure_fit(voice, right)
    assert before[1] < 0.1 < 0.9 < after[1]
    assert after[0] < 0.05 < before[0]


def test_octave_errors_of_single_notes_are_corrected(voice: Track) -> None:
    notes = melody()
    wrong = [replace(note, pitch=note.pitch + 12) if k in (2, 7) else note for k, note in enumerate(notes)]
    assert correct_octaves(voice, wrong) == (notes, 2)
    # another interval is no octave error
    other = [replace(notes[0], pitch=notes[0].pitch + 9), *notes[1:]]
    assert correct_octaves(voice, other) == (other, 0)


def test_labels_of_another_melody_have_a_low_fit(voice: Track) -> None:
    other = [replace(note, pitch=note.pitch + 4) for note in melody()]
    assert measure_fit(voice, other)[1] < 0.05
    assert measure_fit(voice, melody())[1] > 0.9
    assert measure_fit(voice, []) == (float("inf"), 0.0)


def test_synthetic_singing_needs_no_correction() -> None:
    from hf_model.singer.synthesis import sing

    lags, biases = [], []
    for seed in range(6):
        song = sing(compose(seed, 12.0), seed)
        found = measure_labels(track(song.audio), song.notes)
        if np.isfinite(found.onset_lag_error) and found.onset_lag_error < 0.01:
            lags.append(found.onset_lag)
            biases.append(found.pitch_bias_hz)
    assert len(lags) >= 3
    assert abs(np.median(lags)) < 0.015
    assert abs(np.median(biases)) < 0.6


def test_uncertain_measurements_shrink_to_the_corpus() -> None:
    prior = Prior(0.020, 0.005, 0.0, 0.005, 4.0, 1.0)
    certain = estimate_correction(Measurement(0.030, 0.0005, 0.0, 0.001, 5.0, 0.1, 0, 40), prior)
    assert certain.onset_lag == pytest.approx(0.030, abs=0.0005)
    assert certain.pitch_bias_hz == pytest.approx(5.0, abs=0.05)
    uncertain = estimate_correction(Measurement(0.030, 0.02, 0.0, 0.001, 5.0, 3.0, 0, 40), prior)
    assert 0.020 < uncertain.onset_lag < 0.022
    assert 4.0 < uncertain.pitch_bias_hz < 4.2
    silent = estimate_correction(Measurement(0.0, float("inf"), 0.0, float("inf"), 0.0, float("inf"), 0, 0), prior)
    assert (silent.onset_lag, silent.pitch_bias_hz) == (0.020, 4.0)
    # clearly different labels: used as measured
    other = estimate_correction(Measurement(0.030, 0.001, 0.0, 0.001, 23.0, 2.0, 0, 40), prior)
    assert other.pitch_bias_hz == 23.0


def test_the_corpus_prior_is_median_and_spread() -> None:
    measured = [Measurement(lag, 0.001, 0.0, 0.001, 4.0, 0.2, 0, 9) for lag in (0.0, 0.01, 0.02, 0.03, 0.04)]
    prior = corpus_prior(measured)
    assert prior.onset_lag == pytest.approx(0.02)
    assert prior.onset_lag_spread == pytest.approx(0.0148, abs=0.001)
    assert (prior.pitch_bias_hz, prior.pitch_bias_spread) == (4.0, 0.3)
    assert corpus_prior([]) == Prior(0.0, 0.003, 0.0, 0.003, 0.0, 0.3)


def test_corrected_labels_stay_inside_and_in_order() -> None:
    notes = [Note(0.01, 0.5, 60.0), Note(0.5, 0.8, 62.0), Note(0.9, 1.2, 64.0), Note(1.9, 2.1, 65.0)]
    moved = apply_correction(notes, Correction(onset_lag=0.03, offset_lag=-0.08), 2.0)
    times = [(note.onset, note.offset) for note in moved]
    # legato stays legato, an offset never passes the next onset, the ends are cut
    np.testing.assert_allclose(times, [(0.0, 0.47), (0.47, 0.87), (0.87, 1.28), (1.87, 2.0)])
    early = apply_correction(notes, Correction(offset_lag=0.05), 2.0)
    np.testing.assert_allclose([note.offset for note in early], [0.5, 0.75, 1.15, 2.0])
    assert apply_correction([Note(1.99, 2.5, 60.0)], Correction(onset_lag=-0.05), 2.0) == []


def test_silence_has_no_measurement() -> None:
    silence = track(np.zeros(VOICE_STFT.sample_rate, dtype=np.float32))
    found = measure_labels(silence, melody())
    assert not np.isfinite(found.onset_lag_error)
    assert found.n_notes == 0
    assert measure_labels(silence, []).octave == 0
