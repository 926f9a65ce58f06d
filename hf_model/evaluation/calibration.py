"""Calibration of the notes' confidences: how many notes of a confidence are correct, and what a threshold removes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_model.evaluation.corpus_scores import Float, Pairs, block_index, resamples, rounded, window_of, with_interval
from hf_model.evaluation.note_matching import match_pairs
from hf_model.notes.note import Note

EDGES = np.linspace(0.0, 1.0, 11)
THRESHOLDS = (0.3, 0.5, 0.7, 0.8)
"""Of ``--min-confidence``."""


def calibration_report(pairs: Pairs) -> dict[str, Any]:
    """Compare confidences with the share of notes that are correct in onset and pitch.

    Parameters
    ----------
    pairs : sequence of (reference, estimate)
        One a recording. Intervals as in :mod:`hf_model.evaluation.corpus_scores`.

    Returns
    -------
    dict
        ``bins`` of a tenth each; ``calibration_error``: mean distance between confidence and share of correct notes
        over the bins, weighted by their notes; ``ranking``: probability that a correct note has more confidence than a
        wrong one (0.5 is chance); ``thresholds``: notes removed, and precision and recall of the others.
    """
    counts = np.concatenate([_counts(one, other, window_of(pairs)) for one, other in pairs])
    total, drawn = counts.sum(axis=0), counts[resamples(len(counts))].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        right, right_drawn, confidence = total[1] / total[0], drawn[:, 1] / drawn[:, 0], total[2] / total[0]
    bins = [
        {
            "from": round(float(EDGES[i]), 2),
            "to": round(float(EDGES[i + 1]), 2),
            "notes": int(total[0, i]),
            "confidence": round(float(confidence[i]), 4),
            "right": rounded(with_interval(right[i], right_drawn[:, i])),
        }
        for i in range(len(EDGES) - 1)
        if total[0, i]
    ]
    return {
        "notes": int(total[0].sum()),
        "calibration_error": rounded(with_interval(_calibration_error(total), _calibration_error(drawn))),
        "ranking": round(_ranking(pairs), 4),
        "bins": bins,
        "thresholds": {str(minimum): _with_threshold(pairs, minimum) for minimum in (0.0, *THRESHOLDS)},
    }


def _counts(reference: Sequence[Note], estimate: Sequence[Note], window: float) -> Float:
    """Count notes, correct notes, and sum confidences by bin: (block, 3, bin)."""
    correct = {index for _, index in match_pairs(reference, estimate, "conp")}
    last = max((note.onset for note in estimate), default=0.0)
    counts = np.zeros((1 + block_index(last, window), 3, len(EDGES) - 1))
    for index, note in enumerate(estimate):
        bin_index = min(int(note.confidence * (len(EDGES) - 1)), len(EDGES) - 2)
        counts[block_index(note.onset, window), :, bin_index] += (1.0, float(index in correct), note.confidence)
    return counts


def _calibration_error(counts: Float) -> Float:
    """Mean distance of counts (..., 3, bin), weighted by notes."""
    distance = np.abs(counts[..., 1, :] - counts[..., 2, :]).sum(axis=-1)
    return np.asarray(distance / np.maximum(counts[..., 0, :].sum(axis=-1), 1))


def _ranking(pairs: Pairs) -> float:
    """Area under the ROC curve of correct against wrong notes."""
    values: tuple[list[float], list[float]] = ([], [])
    for one, other in pairs:
        correct = {index for _, index in match_pairs(one, other, "conp")}
        for index, note in enumerate(other):
            values[index in correct].append(note.confidence)
    wrong, right = (np.sort(part) for part in values)
    if not wrong.size or not right.size:
        return math.nan
    below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
    return float(below.sum() / 2 / wrong.size / right.size)


def _with_threshold(pairs: Pairs, minimum: float) -> dict[str, float]:
    """Precision and recall in onset and pitch of the notes with at least so much confidence."""
    kept = [(one, [note for note in other if note.confidence >= minimum]) for one, other in pairs]
    n_all, n_kept = (sum(len(other) for _, other in part) for part in (pairs, kept))
    n_reference = sum(len(one) for one, _ in pairs)
    right_of_all, right = (sum(len(match_pairs(one, other, "conp")) for one, other in part) for part in (pairs, kept))
    precision, recall = right / max(n_kept, 1), right / max(n_reference, 1)
    return rounded(
        {
            "dropped": n_all - n_kept,
            "dropped_wrong": (n_all - n_kept) - (right_of_all - right),
            "precision": precision,
            "recall": recall,
            "f_measure": 2 * precision * recall / max(precision + recall, 1e-9),
        }
    )
