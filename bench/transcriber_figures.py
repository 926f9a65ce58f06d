"""Note scores of many recordings as figures with intervals: the mean over recordings, and all notes pooled.

An interval is a 95 % bootstrap over recordings. A single clip has no recordings to draw from: it is cut into windows of
ten seconds, notes belong to the window that they begin in, and the windows are drawn; its mean is the pooled figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.evaluation.metrics import (
    OFFSET_MIN_TOLERANCE,
    OFFSET_RATIO,
    ONSET_TOLERANCE,
    PITCH_TOLERANCE_CENTS,
    bootstrap_mean,
)
from hf_model.notes.note import Note, to_arrays
from hf_model.notes.pitch import pitch_to_hz

Float = NDArray[np.float64]

RESAMPLINGS = 1000
WINDOW = 10.0
"""Seconds, of the pieces of a single clip."""

SCORES = ("con", "conp", "conpoff")


class Block(NamedTuple):
    """What is drawn as one: a recording, or a window of a single clip.

    ``counts``: notes of the reference, of the estimate, matched by the three rules, and matched onsets whose pitch is
    off by whole octaves. ``onset``, ``offset``: seconds, estimate minus reference, of notes right in onset and pitch.
    """

    counts: Float
    onset: Float
    offset: Float


def matches(reference: Sequence[Note], estimate: Sequence[Note], rule: str) -> list[tuple[int, int]]:
    """Pair notes as mir_eval does under one of the three rules: (reference, estimate) by index."""
    if not reference or not estimate:
        return []
    from mir_eval import transcription

    truth, found = to_arrays(reference), to_arrays(estimate)
    if rule == "con":
        return list(transcription.match_note_onsets(truth[0], found[0], onset_tolerance=ONSET_TOLERANCE))
    return list(
        transcription.match_notes(
            truth[0],
            pitch_to_hz(truth[1]),
            found[0],
            pitch_to_hz(found[1]),
            onset_tolerance=ONSET_TOLERANCE,
            pitch_tolerance=PITCH_TOLERANCE_CENTS,
            offset_ratio=OFFSET_RATIO if rule == "conpoff" else None,
            offset_min_tolerance=OFFSET_MIN_TOLERANCE,
        )
    )


def to_blocks(reference: Sequence[Note], estimate: Sequence[Note], window: float = math.inf) -> list[Block]:
    """Count matches of one recording, per window of so many seconds."""

    def place(note: Note) -> int:
        return int(note.onset // window) if math.isfinite(window) else 0

    n_blocks = 1 + max((place(note) for note in [*reference, *estimate]), default=0)
    counts = np.zeros((n_blocks, 6))
    errors: list[tuple[list[float], list[float]]] = [([], []) for _ in range(n_blocks)]
    for column, notes in ((0, reference), (1, estimate)):
        for note in notes:
            counts[place(note), column] += 1
    for column, rule in enumerate(SCORES, start=2):
        for truth, found in ((reference[i], estimate[j]) for i, j in matches(reference, estimate, rule)):
            counts[place(truth), column] += 1
            away = found.pitch - truth.pitch
            octaves = round(away / 12)
            if rule == "con" and octaves and abs(away - 12 * octaves) <= PITCH_TOLERANCE_CENTS / 100:
                counts[place(truth), 5] += 1
            if rule == "conp":
                errors[place(truth)][0].append(found.onset - truth.onset)
                errors[place(truth)][1].append(found.offset - truth.offset)
    return [Block(row, np.array(on), np.array(off)) for row, (on, off) in zip(counts, errors, strict=True)]


def figures(pairs: Sequence[tuple[Sequence[Note], Sequence[Note]]]) -> dict[str, Any]:
    """Sum up (reference, estimate) of recordings.

    Returns
    -------
    dict
        ``recordings``, ``notes``; for each score ``mean``, ``low``, ``high`` over recordings and ``pooled``,
        ``pooled_low``, ``pooled_high`` over all notes; ``octave_error_percent`` of matched onsets;
        ``onset_bias_ms`` and ``offset_bias_ms``, medians, positive is late.
    """
    single = len(pairs) == 1
    blocks = [block for one, other in pairs for block in to_blocks(one, other, WINDOW if single else math.inf)]
    counts = np.array([block.counts for block in blocks])
    draws = np.random.default_rng(0).integers(0, len(blocks), size=(RESAMPLINGS, len(blocks)))
    drawn = counts[draws].sum(axis=1)
    report: dict[str, Any] = {"recordings": len(pairs), "notes": int(counts[:, 0].sum())}
    for column, rule in enumerate(SCORES, start=2):
        pooled = _three(f_measure(counts.sum(axis=0), column), f_measure(drawn, column))
        values = f_measure(counts, column)
        mean = (
            pooled if single else dict(zip(("mean", "low", "high"), bootstrap_mean(values, RESAMPLINGS), strict=True))
        )
        report[rule] = rounded(mean | {"pooled" + _suffix(name): value for name, value in pooled.items()})
    shares = [100 * part[..., 5] / np.maximum(part[..., 2], 1) for part in (counts.sum(axis=0), drawn)]
    report["octave_error_percent"] = rounded(_three(*shares), 3)
    for name in ("onset", "offset"):
        values = [1000 * getattr(block, name) for block in blocks]
        medians = [_median([values[i] for i in draw]) for draw in draws]
        report[f"{name}_bias_ms"] = rounded(_three(_median(values), np.array(medians)), 2)
    return report


def f_measure(counts: Float, column: int) -> Float:
    """F-measure of counts (..., 6); 1 where there was nothing to find and nothing was found."""
    total = counts[..., 0] + counts[..., 1]
    return np.where(total > 0, 2 * counts[..., column] / np.maximum(total, 1), 1.0)


def _three(value: Float | float, drawn: Float) -> dict[str, float]:
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return {"mean": float(value), "low": float(low), "high": float(high)}


def _suffix(name: str) -> str:
    return "" if name == "mean" else f"_{name}"


def _median(parts: Sequence[Float]) -> float:
    joined = np.concatenate(parts)
    return float(np.median(joined)) if joined.size else math.nan


def rounded(values: dict[str, float], digits: int = 4) -> dict[str, float]:
    """Round for a file that a person reads and git compares."""
    return {name: round(value, digits) for name, value in values.items()}
