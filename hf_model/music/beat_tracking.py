"""Grids that follow a singer: onsets to steps of many tempi at once, and the smooth clock through the steps found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ONSET_ERROR = 0.03
"""Seconds; how far a singer's onsets lie from where they were meant."""

_OUTLIERS, _OUTLIER_DENSITY = 0.04, 4.0
_FOLLOW_PHASE, _FOLLOW_PERIOD = 0.25, 0.08
_FARTHEST = 0.06
"""Share by which a grid's period may leave its start."""

_STIFFNESS = 3.0
_PASSES = 3


@dataclass(frozen=True, eq=False)
class Grids:
    """Onsets on many grids.

    Attributes
    ----------
    steps : ndarray of int, shape (note, grid)
        The step that each onset is nearest to, when the grid follows the singer.
    fit : ndarray, shape (grid,)
        Log-likelihood of the onsets' distances from their steps.
    periods : ndarray, shape (grid,)
        Seconds a step at the start.
    """

    steps: NDArray[np.int64]
    fit: NDArray[np.float64]
    periods: NDArray[np.float64]


def follow(onsets: NDArray[np.float64], periods: NDArray[np.float64], n_phases: int, *, steady: bool = False) -> Grids:
    """Let grids of all periods and phases follow the onsets.

    Parameters
    ----------
    onsets : ndarray, shape (note,)
        Seconds, not falling, at least one.
    periods : ndarray, shape (period,)
        Seconds a step.
    n_phases : int
        Grids for each period, evenly between two steps.
    steady : bool
        Whether the period is known and does not change; the phase is followed in any case.
    """
    start = np.repeat(periods, n_phases)
    anchor = onsets[0] + np.tile(np.arange(n_phases) / n_phases - 0.5, len(periods)) * start
    period = start.copy()
    step = np.zeros(len(start))
    steps = np.empty((len(onsets), len(start)))
    errors = np.empty((len(onsets), len(start)))
    for row, onset in enumerate(onsets):
        passed = np.maximum(np.rint((onset - anchor) / period), 0.0)
        anchor += passed * period
        error = onset - anchor
        step += passed
        steps[row], errors[row] = step, error
        anchor += _FOLLOW_PHASE * error
        if not steady:
            period += _FOLLOW_PERIOD * error / np.maximum(passed, 1.0)
            np.clip(period, start * (1 - _FARTHEST), start * (1 + _FARTHEST), out=period)
    density = np.exp(-0.5 * (errors / ONSET_ERROR) ** 2) / (ONSET_ERROR * np.sqrt(2 * np.pi))
    fit = np.log((1 - _OUTLIERS) * density + _OUTLIERS * _OUTLIER_DENSITY).sum(axis=0)
    return Grids(steps.astype(np.int64), fit, start)


def clock(
    onsets: NDArray[np.float64], steps: NDArray[np.int64], steps_per_beat: int
) -> tuple[NDArray[np.float64], int]:
    """Draw a smooth clock through onsets whose steps are known.

    The beats lie as close to the onsets as they can while neighbouring ones are nearly equally long (least squares with
    a penalty on second differences, outliers weighing less); then steps are read anew and the clock is drawn again.

    Parameters
    ----------
    onsets : ndarray, shape (note,)
        Seconds.
    steps : ndarray, shape (note,)
        The step of each.
    steps_per_beat : int

    Returns
    -------
    beats : ndarray, shape (beat,)
        Seconds, rising; from the beat at or before the first onset to one after the last.
    first : int
        Number of the first of them: step ``first * steps_per_beat``.
    """
    for _ in range(_PASSES):
        places = steps / steps_per_beat
        first = int(np.floor(places[0]))
        n_beats = max(3, int(np.ceil(places[-1])) + 2 - first)
        cell = np.minimum((places - first).astype(int), n_beats - 2)
        share = places - first - cell
        rows = np.arange(len(onsets))
        reading = np.zeros((len(onsets), n_beats))
        reading[rows, cell], reading[rows, cell + 1] = 1 - share, share
        bend = np.diff(np.eye(n_beats), 2, axis=0)
        # With two onsets or fewer distinct steps the tiny ridge decides; it is not felt otherwise.
        stiff = _STIFFNESS * bend.T @ bend
        weights = np.ones(len(onsets))
        for _ in range(2):
            weighted = reading.T * weights
            beats = np.linalg.lstsq(weighted @ reading + stiff, weighted @ onsets, rcond=None)[0]
            weights = 1 / (1 + ((onsets - reading @ beats) / (2 * ONSET_ERROR)) ** 2)
        again = np.rint((np.interp(onsets, beats, np.arange(n_beats)) + first) * steps_per_beat).astype(np.int64)
        if np.array_equal(again, steps) or np.any(np.diff(beats) <= 0):
            break
        steps = again
    return np.asarray(beats, dtype=np.float64), first
