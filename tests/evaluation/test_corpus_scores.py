"""Scores of several recordings: figures worked out by hand, windows of a single recording."""

from __future__ import annotations

import pytest

from hf_model.evaluation.corpus_scores import score_corpus, to_blocks
from hf_model.notes.note import Note


def melody(n: int, pitch: float = 60.0) -> list[Note]:
    """So many notes of half a second, a second apart."""
    return [Note(float(i), i + 0.5, pitch) for i in range(n)]


def moved(notes: list[Note], seconds: float, longer: float = 0.0) -> list[Note]:
    return [Note(n.onset + seconds, n.offset + seconds + longer, n.pitch) for n in notes]


def test_two_recordings_by_hand():
    # one recording of 4 notes all right, one of 1 note an octave off
    found = score_corpus([(melody(4), melody(4)), (melody(1), melody(1, 72.0))])
    assert found["notes"] == 5
    assert found["con"]["mean"] == found["con"]["pooled"] == 1.0
    assert found["conp"]["mean"] == 0.5
    assert found["conp"]["pooled"] == pytest.approx(2 * 4 / 10)
    assert found["octave_error_percent"]["mean"] == pytest.approx(20.0)
    assert (found["conp"]["low"], found["conp"]["high"]) == (0.0, 1.0)


def test_biases_are_estimate_minus_label():
    found = score_corpus([(melody(4), moved(melody(4), 0.02, longer=-0.03)) for _ in range(3)])
    assert found["onset_bias_ms"]["mean"] == pytest.approx(20.0, abs=0.01)
    assert found["offset_bias_ms"]["mean"] == pytest.approx(-10.0, abs=0.01)


def test_biases_without_a_match_are_nan():
    found = score_corpus([(melody(2), []), (melody(1), [])])
    assert found["con"]["mean"] == found["con"]["pooled"] == 0.0
    assert found["onset_bias_ms"] == pytest.approx(
        {"mean": float("nan")} | dict.fromkeys(("low", "high"), float("nan")), nan_ok=True
    )


def test_a_single_recording_is_cut_into_windows():
    reference, estimate = melody(25), moved(melody(24), 0.01)
    blocks = to_blocks(reference, estimate, 10.0)
    assert [block.counts[0] for block in blocks] == [10, 10, 5]
    assert sum(block.counts[4] for block in blocks) == 24
    found = score_corpus([(reference, estimate)])
    assert found["conpoff"]["mean"] == found["conpoff"]["pooled"] == pytest.approx(48 / 49, abs=1e-4)
    assert found["conpoff"]["low"] < found["conpoff"]["high"]


def test_a_match_across_a_window_boundary_counts():
    blocks = to_blocks([Note(10.0, 10.5, 60)], [Note(9.98, 10.5, 60)], 10.0)
    assert [list(block.counts[:3]) for block in blocks] == [[0, 1, 0], [1, 0, 1]]
