"""Tolerances of note scoring, and matching of notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from hf_model.notes.note import Note, to_arrays

ONSET_TOLERANCE = 0.05
"""Seconds, either side."""

PITCH_TOLERANCE = 0.5
"""Semitones, either side."""

OFFSET_RATIO, OFFSET_MIN_TOLERANCE = 0.2, 0.05
"""The tolerance of an offset: the larger of this share of the reference note's duration and so many seconds."""

RULES = ("con", "conp", "conpoff")
"""Correct onset; and pitch; and offset."""


class Hits(NamedTuple):
    """Pairs of notes within the tolerances of each rule: ndarray of bool, shape (reference, estimate)."""

    con: NDArray[np.bool_]
    conp: NDArray[np.bool_]
    conpoff: NDArray[np.bool_]


class Matches(NamedTuple):
    """Counts that add up over recordings: notes of the reference, of the estimate, and matched by the three rules."""

    reference: int
    estimate: int
    con: int
    conp: int
    conpoff: int

    def f_measures(self) -> dict[str, float]:
        """COn, COnP and COnPOff; 1 if both sides are empty."""
        total = self.reference + self.estimate
        return {name: 2 * getattr(self, name) / total if total else 1.0 for name in RULES}


def offset_tolerance(duration: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Compute the tolerance of the offsets of reference notes from their durations: seconds, of the same shape."""
    return np.maximum(OFFSET_MIN_TOLERANCE, OFFSET_RATIO * np.asarray(duration))


def find_hits(reference: Sequence[Note], estimate: Sequence[Note]) -> Hits:
    """Compare every reference note with every estimated note.

    Distances in time are rounded to 0.1 ms and tolerances are inclusive, as in mir_eval.transcription.
    """
    intervals, pitches = to_arrays(reference)
    other_intervals, other_pitches = to_arrays(estimate)
    onset = np.abs(intervals[:, None, 0] - other_intervals[None, :, 0]).round(4) <= ONSET_TOLERANCE
    pitch = onset & (np.abs(pitches[:, None] - other_pitches[None]) <= PITCH_TOLERANCE)
    tolerance = offset_tolerance(intervals[:, 1] - intervals[:, 0])[:, None]
    offset = pitch & (np.abs(intervals[:, None, 1] - other_intervals[None, :, 1]).round(4) <= tolerance)
    return Hits(onset, pitch, offset)


def match_pairs(reference: Sequence[Note], estimate: Sequence[Note], rule: str) -> list[tuple[int, int]]:
    """Match as many notes as possible, each at most once.

    Parameters
    ----------
    reference, estimate : sequence of Note
    rule : {"con", "conp", "conpoff"}

    Returns
    -------
    list of (int, int)
        Indices of reference and estimate, in the order of the reference.
    """
    columns = _max_matching(getattr(find_hits(reference, estimate), rule))
    return [(row, column) for row, column in enumerate(columns.tolist()) if column >= 0]


def match_notes(reference: Sequence[Note], estimate: Sequence[Note]) -> Matches:
    """Count matching notes as mir_eval.transcription does (50 ms, 50 cents, the larger of 50 ms and 20 %).

    References
    ----------
    Raffel et al., "mir_eval: a transparent implementation of common MIR metrics", ISMIR 2014: the tolerances.
    """
    counts = (int(np.sum(_max_matching(hits) >= 0)) for hits in find_hits(reference, estimate))
    return Matches(len(reference), len(estimate), *counts)


def add_matches(parts: Sequence[Matches]) -> Matches:
    """Add counts up over recordings."""
    return Matches(*(sum(values) for values in zip(*parts, strict=True))) if parts else Matches(0, 0, 0, 0, 0)


def _max_matching(hits: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Find a maximum matching of rows and columns: the column of each row, -1 for none."""
    if not hits.size:
        return np.full(len(hits), -1, dtype=np.int32)
    return np.asarray(maximum_bipartite_matching(csr_array(hits), perm_type="column"))
