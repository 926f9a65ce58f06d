"""Note scores of many recordings with intervals: the mean over recordings, and all notes pooled.

An interval is a 95 % bootstrap over recordings. A single recording is cut into windows of ten seconds instead: a note
belongs to the window in which it begins, the windows are resampled, and the mean is the pooled score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.evaluation.metrics import bootstrap_mean, is_octave_error
from hf_model.evaluation.note_matching import RULES, match_pairs
from hf_model.notes.note import Note

Float = NDArray[np.float64]
Pairs = Sequence[tuple[Sequence[Note], Sequence[Note]]]
"""Reference and estimate of each recording."""

N_RESAMPLES = 1000
WINDOW = 10.0
"""Seconds, of the windows of a single recording."""


class Block(NamedTuple):
    """Unit of the bootstrap: a recording, or a window of a single one.

    Attributes
    ----------
    counts : ndarray, shape (6,)
        Notes of the reference, of the estimate, matched by each of the three rules, and octave errors.
    onset, offset : ndarray, shape (note,)
        Seconds, estimate minus reference, of notes correct in onset and pitch.
    """

    counts: Float
    onset: Float
    offset: Float


def window_of(pairs: Pairs) -> float:
    """Choose the length of blocks in seconds: a window for a single recording, infinite for several."""
    return WINDOW if len(pairs) == 1 else math.inf


def block_index(seconds: float, window: float) -> int:
    """Give the number of the block in which a note begins."""
    return int(seconds // window) if math.isfinite(window) else 0


def to_blocks(reference: Sequence[Note], estimate: Sequence[Note], window: float = math.inf) -> list[Block]:
    """Count the matches of one recording by windows of so many seconds."""
    n_blocks = 1 + max((block_index(note.onset, window) for note in [*reference, *estimate]), default=0)
    counts = np.zeros((n_blocks, 6))
    errors: list[tuple[list[float], list[float]]] = [([], []) for _ in range(n_blocks)]
    for column, notes in ((0, reference), (1, estimate)):
        for note in notes:
            counts[block_index(note.onset, window), column] += 1
    for column, rule in enumerate(RULES, start=2):
        for one, other in ((reference[i], estimate[j]) for i, j in match_pairs(reference, estimate, rule)):
            block = block_index(one.onset, window)
            counts[block, column] += 1
            if rule == "con":
                counts[block, 5] += bool(is_octave_error(np.array(other.pitch - one.pitch)))
            if rule == "conp":
                errors[block][0].append(other.onset - one.onset)
                errors[block][1].append(other.offset - one.offset)
    return [Block(row, np.array(on), np.array(off)) for row, (on, off) in zip(counts, errors, strict=True)]


def score_corpus(pairs: Pairs) -> dict[str, Any]:
    """Score several recordings.

    Returns
    -------
    dict
        ``recordings``, ``notes``; for each score ``mean``, ``low``, ``high`` over recordings and ``pooled``,
        ``pooled_low``, ``pooled_high`` over all notes; ``octave_error_percent`` of matched onsets;
        ``onset_bias_ms`` and ``offset_bias_ms``, medians, positive is late.
    """
    blocks = [block for one, other in pairs for block in to_blocks(one, other, window_of(pairs))]
    counts = np.array([block.counts for block in blocks])
    draws = resamples(len(blocks))
    drawn = counts[draws].sum(axis=1)
    report: dict[str, Any] = {"recordings": len(pairs), "notes": int(counts[:, 0].sum())}
    for column, rule in enumerate(RULES, start=2):
        pooled = with_interval(_f_measure(counts.sum(axis=0), column), _f_measure(drawn, column))
        mean = pooled
        if len(pairs) > 1:
            values = bootstrap_mean(_f_measure(counts, column), N_RESAMPLES)
            mean = dict(zip(("mean", "low", "high"), values, strict=True))
        names = {"mean": "pooled", "low": "pooled_low", "high": "pooled_high"}
        report[rule] = rounded(mean | {names[name]: value for name, value in pooled.items()})
    shares = [100 * part[..., 5] / np.maximum(part[..., 2], 1) for part in (counts.sum(axis=0), drawn)]
    report["octave_error_percent"] = rounded(with_interval(*shares), 3)
    for name in ("onset", "offset"):
        errors: list[Float] = [1000 * getattr(block, name) for block in blocks]
        medians = np.array([_median([errors[i] for i in draw]) for draw in draws])
        report[f"{name}_bias_ms"] = rounded(with_interval(_median(errors), medians), 2)
    return report


def resamples(n_blocks: int) -> NDArray[np.int64]:
    """Draw blocks with replacement: indices (resample, block), the same each time."""
    return np.random.default_rng(0).integers(0, n_blocks, size=(N_RESAMPLES, n_blocks))


def with_interval(value: Float | float, drawn: Float) -> dict[str, float]:
    """Give a value and the central 95 % of its resamples, of those that are numbers."""
    known = drawn[np.isfinite(drawn)]
    low, high = np.quantile(known, [0.025, 0.975]) if known.size else (math.nan, math.nan)
    return {"mean": float(value), "low": float(low), "high": float(high)}


def rounded(values: dict[str, float], digits: int = 4) -> dict[str, float]:
    """Round figures for a file under version control."""
    return {name: round(value, digits) for name, value in values.items()}


def _f_measure(counts: Float, column: int) -> Float:
    """F-measure of counts (..., 6); 1 if both sides are empty."""
    total = counts[..., 0] + counts[..., 1]
    return np.where(total > 0, 2 * counts[..., column] / np.maximum(total, 1), 1.0)


def _median(parts: Sequence[Float]) -> float:
    joined = np.concatenate(parts)
    return float(np.median(joined)) if joined.size else math.nan
