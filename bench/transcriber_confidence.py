"""What a note's confidence is worth: how many notes of a confidence are right, and what a threshold would drop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transcriber_figures import RESAMPLINGS, WINDOW, matches, rounded

from hf_model.notes.note import Note

EDGES = np.linspace(0.0, 1.0, 11)
THRESHOLDS = (0.3, 0.5, 0.7, 0.8)
"""What ``--min-confidence`` is tried with."""

Float = NDArray[np.float64]
Pairs = Sequence[tuple[Sequence[Note], Sequence[Note]]]


def confidence_report(pairs: Pairs) -> dict[str, Any]:
    """Hold confidences against the notes that are right in onset and pitch.

    Parameters
    ----------
    pairs : sequence of (reference, estimate)
        One a recording. Intervals are bootstrapped over recordings, or over windows of 10 s of a single one.

    Returns
    -------
    dict
        ``bins`` of a tenth each; ``calibration_error``: mean distance between confidence and share of right notes over
        the bins, weighted by their notes; ``ranking``: how often a right note has more confidence than a wrong one
        (0.5 is chance); ``thresholds``: what would be dropped, and precision and recall with it.
    """
    counts = np.concatenate([_counts(one, other, WINDOW if len(pairs) == 1 else math.inf) for one, other in pairs])
    draws = np.random.default_rng(0).integers(0, len(counts), size=(RESAMPLINGS, len(counts)))
    total, drawn = counts.sum(axis=0), counts[draws].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        right, right_drawn, sure = total[1] / total[0], drawn[:, 1] / drawn[:, 0], total[2] / total[0]
    bins = [
        {
            "from": round(float(EDGES[i]), 2),
            "to": round(float(EDGES[i + 1]), 2),
            "notes": int(total[0, i]),
            "confidence": round(float(sure[i]), 4),
            "right": rounded({"mean": float(right[i])} | _interval(right_drawn[:, i])),
        }
        for i in range(len(EDGES) - 1)
        if total[0, i]
    ]
    error = {"mean": float(_calibration_error(total)), **_interval(_calibration_error(drawn))}
    return {
        "notes": int(total[0].sum()),
        "calibration_error": rounded(error),
        "ranking": rounded({"mean": _ranking(pairs)})["mean"],
        "bins": bins,
        "thresholds": {str(least): _threshold(pairs, least) for least in (0.0, *THRESHOLDS)},
    }


def _counts(reference: Sequence[Note], estimate: Sequence[Note], window: float) -> Float:
    """Count notes, right notes, and sum confidences by bin: (block, 3, bin)."""
    found = {index for _, index in matches(reference, estimate, "conp")}
    last = max((note.onset for note in estimate), default=0.0)
    counts = np.zeros((1 + int(last // window) if math.isfinite(window) else 1, 3, len(EDGES) - 1))
    for index, note in enumerate(estimate):
        place = int(note.onset // window) if math.isfinite(window) else 0
        one = min(int(note.confidence * (len(EDGES) - 1)), len(EDGES) - 2)
        counts[place, :, one] += (1.0, float(index in found), note.confidence)
    return counts


def _calibration_error(counts: Float) -> Float:
    """Mean distance of counts (..., 3, bin), weighted by notes."""
    return np.abs(counts[..., 1, :] - counts[..., 2, :]).sum(axis=-1) / np.maximum(counts[..., 0, :].sum(axis=-1), 1)


def _ranking(pairs: Pairs) -> float:
    """Area under the curve of right against wrong notes."""
    values: tuple[list[float], list[float]] = ([], [])
    for one, other in pairs:
        right = {index for _, index in matches(one, other, "conp")}
        for index, note in enumerate(other):
            values[index in right].append(note.confidence)
    wrong, right_ones = (np.array(part) for part in values)
    if not wrong.size or not right_ones.size:
        return math.nan
    below = np.searchsorted(np.sort(wrong), right_ones, "left") + np.searchsorted(np.sort(wrong), right_ones, "right")
    return float(below.sum() / 2 / wrong.size / right_ones.size)


def _threshold(pairs: Pairs, least: float) -> dict[str, float]:
    """Precision and recall of all notes in onset and pitch where only notes of so much confidence are kept."""
    kept = [(one, [note for note in other if note.confidence >= least]) for one, other in pairs]
    n_all, n_kept = (sum(len(other) for _, other in part) for part in (pairs, kept))
    n_reference = sum(len(one) for one, _ in pairs)
    before, after = (sum(len(matches(one, other, "conp")) for one, other in part) for part in (pairs, kept))
    precision, recall = after / max(n_kept, 1), after / max(n_reference, 1)
    return rounded(
        {
            "dropped": n_all - n_kept,
            "dropped_wrong": (n_all - n_kept) - (before - after),
            "precision": precision,
            "recall": recall,
            "f_measure": 2 * precision * recall / max(precision + recall, 1e-9),
        }
    )


def _interval(drawn: Float) -> dict[str, float]:
    known = drawn[np.isfinite(drawn)]
    low, high = np.quantile(known, [0.025, 0.975]) if known.size else (math.nan, math.nan)
    return {"low": float(low), "high": float(high)}
