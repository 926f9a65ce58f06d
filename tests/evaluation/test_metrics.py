"""Scores of five notes, worked out by hand; mir_eval as the reference for random notes."""

from __future__ import annotations

import math

import mir_eval
import numpy as np
import pytest

from hf_model.evaluation.metrics import bootstrap_mean, melody_scores, note_errors, note_scores, notes_to_melody
from hf_model.notes.note import Note, to_arrays
from hf_model.notes.pitch import pitch_to_hz

REFERENCE = [
    Note(0.0, 0.5, 60.0),
    Note(0.5, 1.0, 62.0),
    Note(1.0, 1.5, 64.0),
    Note(2.0, 3.0, 65.0),
    Note(3.0, 3.1, 67.0),
]


def test_equal_notes_score_one():
    scores = note_scores(REFERENCE, REFERENCE)
    assert [scores[name] for name in ("con", "conp", "conpoff")] == [1.0, 1.0, 1.0]
    assert scores["onset_bias"] == 0.0
    assert scores["octave_error_share"] == 0.0


def test_each_error_lowers_its_score():
    estimate = [
        Note(0.04, 0.5, 60.4),  # 40 ms late, 40 cents sharp: right in everything
        Note(0.56, 1.0, 62.0),  # 60 ms late: wrong
        Note(1.0, 1.5, 64.6),  # 60 cents sharp: right onset only
        Note(2.0, 2.7, 65.0),  # 300 ms short of 1 s: wrong offset
        Note(3.0, 3.14, 67.0),  # 40 ms long, under the floor of 50 ms: right
        Note(4.0, 4.5, 70.0),  # nothing there
    ]
    scores = note_scores(REFERENCE, estimate)
    assert scores["con_recall"] == pytest.approx(4 / 5)
    assert scores["con_precision"] == pytest.approx(4 / 6)
    assert scores["con"] == pytest.approx(8 / 11)
    assert scores["conp"] == pytest.approx(6 / 11)
    assert scores["conpoff"] == pytest.approx(4 / 11)


def test_onset_bias_is_signed():
    late = [Note(note.onset + 0.03, note.offset + 0.03, note.pitch) for note in REFERENCE]
    assert note_scores(REFERENCE, late)["onset_bias"] == pytest.approx(0.03)
    assert note_scores(late, REFERENCE)["onset_bias"] == pytest.approx(-0.03)


def test_octave_errors_are_not_other_wrong_notes():
    estimate = [Note(0.0, 0.5, 48.0), Note(0.5, 1.0, 86.2), Note(1.0, 1.5, 57.0), Note(2.0, 3.0, 65.0)]
    assert note_scores(REFERENCE, estimate)["octave_error_share"] == pytest.approx(2 / 4)


def test_errors_of_matched_notes():
    errors = note_errors(REFERENCE, [Note(0.02, 0.4, 61.0), Note(1.9, 2.0, 60.0)])
    assert errors.onset == pytest.approx([0.02])
    assert errors.offset == pytest.approx([-0.1])
    assert errors.pitch == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("reference", "estimate", "score"), [([], [], 1.0), (REFERENCE, [], 0.0), ([], REFERENCE, 0.0)]
)
def test_silence(reference, estimate, score):
    scores = note_scores(reference, estimate)
    assert scores["conpoff"] == score
    assert math.isnan(scores["onset_bias"])
    assert note_errors(reference, estimate).onset.size == 0


def test_a_note_from_before_the_start_is_cut():
    assert note_scores([Note(-0.2, 0.3, 60.0)], [Note(0.0, 0.3, 60.0)])["conpoff"] == 1.0


def test_melody_on_the_grid():
    f0 = notes_to_melody([Note(0.02, 0.05, 69.0)], 0.08)
    assert f0.tolist() == [0, 0, 440.0, 440.0, 440.0, 0, 0, 0, 0]


def test_melody_scores_count_frames():
    reference = np.array([220.0, 220.0, 220.0, 220.0, 0.0, 0.0])
    estimate = np.array([220.0, 440.0, 300.0, 0.0, 100.0, 0.0])
    scores = melody_scores(reference, estimate)
    assert scores == pytest.approx({"rpa": 1 / 4, "rca": 2 / 4, "voicing_recall": 3 / 4, "voicing_false_alarm": 1 / 2})


def test_melody_without_voice_in_the_reference():
    scores = melody_scores(np.zeros(4), np.zeros(4))
    assert math.isnan(scores["rpa"])
    assert scores["voicing_false_alarm"] == 0.0
    assert melody_scores(np.full(4, 220.0), np.zeros(4))["rpa"] == 0.0


def test_melodies_on_two_grids_are_refused():
    with pytest.raises(ValueError, match="one grid"):
        melody_scores(np.zeros(4), np.zeros(5))


def test_bootstrap_brackets_the_mean_and_repeats():
    values = np.random.default_rng(1).normal(0.8, 0.1, size=100)
    mean, low, high = bootstrap_mean(values, 2000)
    assert mean == pytest.approx(values.mean())
    assert low < mean < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 10, rel=0.1)
    assert (mean, low, high) == bootstrap_mean(values, 2000)


def test_bootstrap_leaves_out_what_has_no_answer():
    assert bootstrap_mean([0.5, math.nan, 0.5], 10) == (0.5, 0.5, 0.5)
    assert all(math.isnan(value) for value in bootstrap_mean([math.nan], 10))


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_mir_eval(seed):
    rng = np.random.default_rng(seed)
    onsets = np.cumsum(rng.uniform(0.1, 0.5, 30))
    reference = [Note(float(t), float(t) + 0.2, 60.0 + k % 5) for k, t in enumerate(onsets)]
    estimate = [
        Note(n.onset + float(rng.uniform(-0.08, 0.08)), n.offset + 0.1, n.pitch + float(rng.normal(0, 0.4)))
        for n in reference
        if rng.random() < 0.9
    ]
    arrays = [part for notes in (reference, estimate) for part in to_arrays(notes)]
    arrays[1], arrays[3] = pitch_to_hz(arrays[1]), pitch_to_hz(arrays[3])
    scores = note_scores(reference, estimate)
    score = mir_eval.transcription.precision_recall_f1_overlap
    for name, found in (("conp", score(*arrays, offset_ratio=None)), ("conpoff", score(*arrays, offset_ratio=0.2))):
        assert (scores[f"{name}_precision"], scores[f"{name}_recall"], scores[name]) == found[:3]
