"""Note scores that need NumPy alone, for model selection during training.

Reports use :mod:`hf_model.evaluation.metrics`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note, to_arrays

ONSET_TOLERANCE = 0.05
PITCH_TOLERANCE = 0.5
OFFSET_RATIO = 0.2


class Matches(NamedTuple):
    """Counts that add up over recordings: notes of the reference, of the estimate, and matched by three rules."""

    reference: int
    estimate: int
    con: int
    conp: int
    conpoff: int

    def f_measures(self) -> dict[str, float]:
        """COn, COnP and COnPOff; 1 when there is nothing to find and nothing was found."""
        total = self.reference + self.estimate
        return {name: 2 * getattr(self, name) / total if total else 1.0 for name in ("con", "conp", "conpoff")}


def match_notes(reference: Sequence[Note], estimate: Sequence[Note]) -> Matches:
    """Count matching notes as mir_eval.transcription does (50 ms, 50 cents, the larger of 50 ms and 20 %).

    References
    ----------
    Raffel et al., "mir_eval: a transparent implementation of common MIR metrics", ISMIR 2014: the tolerances.
    """
    intervals, pitches = to_arrays(reference)
    found_intervals, found_pitches = to_arrays(estimate)
    onset = np.abs(intervals[:, None, 0] - found_intervals[None, :, 0]).round(4) <= ONSET_TOLERANCE
    pitch = onset & (np.abs(pitches[:, None] - found_pitches[None]) <= PITCH_TOLERANCE)
    tolerance = np.maximum(ONSET_TOLERANCE, OFFSET_RATIO * (intervals[:, 1] - intervals[:, 0]))[:, None]
    offset = pitch & (np.abs(intervals[:, None, 1] - found_intervals[None, :, 1]).round(4) <= tolerance)
    return Matches(len(reference), len(estimate), *(_most_pairs(allowed) for allowed in (onset, pitch, offset)))


def add_matches(parts: Sequence[Matches]) -> Matches:
    """Add counts up over recordings."""
    return Matches(*(sum(values) for values in zip(*parts, strict=True))) if parts else Matches(0, 0, 0, 0, 0)


def _most_pairs(allowed: NDArray[np.bool_]) -> int:
    """Size of the largest matching of rows to columns (shortest augmenting paths)."""
    choices = [np.flatnonzero(row).tolist() for row in allowed]
    column_of: dict[int, int] = {}
    row_of: dict[int, int] = {}
    for first in range(len(choices)):
        came_from: dict[int, int] = {}
        waiting = deque([first])
        while waiting:
            row = waiting.popleft()
            fresh = [column for column in choices[row] if column not in came_from]
            came_from.update(dict.fromkeys(fresh, row))
            free = next((column for column in fresh if column not in row_of), None)
            if free is None:
                waiting.extend(row_of[column] for column in fresh)
                continue
            while True:  # every row on the path moves on to the next column
                row = came_from[free]
                left = column_of.get(row)
                column_of[row], row_of[free] = free, row
                if left is None:
                    break
                free = left
            break
    return len(column_of)
