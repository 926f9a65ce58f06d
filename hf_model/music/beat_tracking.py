"""Beat tracking: onsets to steps of grids of many tempi at once, and smooth beats through the steps of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ONSET_ERROR = 0.03
"""Seconds, standard deviation of a singer's onsets from the beat."""

_OUTLIERS, _OUTLIER_DENSITY = 0.04, 4.0
_FOLLOW_PHASE, _FOLLOW_PERIOD = 0.25, 0.08
_MAX_CHANGE = 0.06
"""Share by which a grid's period may change."""

MAX_DENSE_BEATS = 400
"""With more beats, some five minutes, only the diagonals of the equations are computed."""

MAX_COUNTED = 30
"""Onsets; the evidence of returning rhythms and melodies grows with the square root of their number up to this one."""

_STIFFNESS = 3.0
_PASSES = 3


@dataclass(frozen=True, eq=False)
class Grids:
    """The onsets on many grids.

    Attributes
    ----------
    steps : ndarray of int, shape (note, grid)
        The nearest step of each onset, on a grid that adapts to the onsets.
    fit : ndarray, shape (grid,)
        Log-likelihood of the distances between onsets and steps.
    periods : ndarray, shape (grid,)
        Seconds per step at the start.
    """

    steps: NDArray[np.int64]
    fit: NDArray[np.float64]
    periods: NDArray[np.float64]


def follow(
    onsets: NDArray[np.float64], periods: NDArray[np.float64], n_phases: int, *, constant: bool = False
) -> Grids:
    """Track the onsets with grids of all periods and phases.

    Parameters
    ----------
    onsets : ndarray, shape (note,)
        Seconds, not decreasing, at least one.
    periods : ndarray, shape (period,)
        Seconds per step.
    n_phases : int
        Grids per period, evenly spaced between two steps.
    constant : bool
        Keep the period; only the phase adapts.
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
        if not constant:
            period += _FOLLOW_PERIOD * error / np.maximum(passed, 1.0)
            np.clip(period, start * (1 - _MAX_CHANGE), start * (1 + _MAX_CHANGE), out=period)
    density = np.exp(-0.5 * (errors / ONSET_ERROR) ** 2) / (ONSET_ERROR * np.sqrt(2 * np.pi))
    fit = np.log((1 - _OUTLIERS) * density + _OUTLIERS * _OUTLIER_DENSITY).sum(axis=0)
    return Grids(steps.astype(np.int64), fit, start)


def returning_melodies(steps: NDArray[np.int64], keys: NDArray[np.int64], lag: int) -> NDArray[np.float64]:
    """Compute how many onsets more than by chance have the same key ``lag`` steps later, as the rhythms."""
    grids, later = np.arange(steps.shape[1]), steps[:-1] + lag
    key_at = np.full((int(steps.max(initial=0)) + lag + 1, len(grids)), -1)
    key_at[steps, grids] = keys[:, None]
    counted = later <= steps[-1]
    found = (key_at[later, grids] == keys[:-1, None]) & counted
    counts = np.unique(keys, return_counts=True)[1] / len(keys)
    n_counted = counted.sum(axis=0)
    share = found.sum(axis=0) / np.maximum(n_counted, 1) - float(counts @ counts) * (n_counted > 0)
    return np.asarray(share * np.sqrt(np.minimum(n_counted, MAX_COUNTED)))


def returning_rhythms(steps: NDArray[np.int64], lag: int) -> NDArray[np.float64]:
    """Compute how many onsets have another one ``lag`` steps later, weighted with the evidence, shape (grid,)."""
    grids, later = np.arange(steps.shape[1]), steps[:-1] + lag
    has_onset = np.zeros((int(steps.max(initial=0)) + lag + 1, len(grids)), dtype=np.bool_)
    has_onset[steps, grids] = True
    counted = later <= steps[-1]
    found = has_onset[later, grids] & counted
    n_counted = counted.sum(axis=0)
    return np.asarray(found.sum(axis=0) / np.maximum(n_counted, 1) * np.sqrt(np.minimum(n_counted, MAX_COUNTED)))


def fit_beats(
    onsets: NDArray[np.float64], steps: NDArray[np.int64], steps_per_beat: int
) -> tuple[NDArray[np.float64], int]:
    """Fit smooth beats to onsets whose steps are known.

    Least squares with a penalty on second differences, so that neighbouring beats are nearly equally long, and less
    weight for outliers; then the steps are computed anew and the beats fitted again.

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
        Seconds, increasing; from the beat at or before the first onset to one after the last.
    first : int
        Number of the first beat: step ``first * steps_per_beat``.
    """
    for _ in range(_PASSES):
        places = steps / steps_per_beat
        first = int(np.floor(places[0]))
        n_beats = max(3, int(np.ceil(places[-1])) + 2 - first)
        cell = np.minimum((places - first).astype(int), n_beats - 2)
        share = places - first - cell
        solve = _solve_bands if n_beats > MAX_DENSE_BEATS else _solve_dense
        weights = np.ones(len(onsets))
        for _ in range(2):
            beats, fitted = solve(onsets, cell, share, weights, n_beats)
            weights = 1 / (1 + ((onsets - fitted) / (2 * ONSET_ERROR)) ** 2)
        new_steps = np.rint((np.interp(onsets, beats, np.arange(n_beats)) + first) * steps_per_beat).astype(np.int64)
        if np.array_equal(new_steps, steps) or np.any(np.diff(beats) <= 0):
            break
        steps = new_steps
    return np.asarray(beats, dtype=np.float64), first


def _solve_dense(
    onsets: NDArray[np.float64],
    cell: NDArray[np.int64],
    share: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_beats: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve the normal equations for the beats, and give the onsets by them too.

    By lstsq, because the matrix is singular for two onsets or fewer distinct steps.
    """
    rows = np.arange(len(onsets))
    design = np.zeros((len(onsets), n_beats))
    design[rows, cell], design[rows, cell + 1] = 1 - share, share
    bend = np.diff(np.eye(n_beats), 2, axis=0)
    weighted = design.T * weights
    beats = np.linalg.lstsq(weighted @ design + _STIFFNESS * bend.T @ bend, weighted @ onsets, rcond=None)[0]
    return np.asarray(beats, dtype=np.float64), design @ beats


def _solve_bands(
    onsets: NDArray[np.float64],
    cell: NDArray[np.int64],
    share: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_beats: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve the same equations of many beats, of whose matrix only two diagonals on either side are not zero."""
    bands = np.zeros((3, n_beats))  # the diagonal, and the two below it
    for offset, factors in enumerate(((1.0, 4.0, 1.0), (-2.0, -2.0), (1.0,))):
        for place, factor in enumerate(factors):
            bands[offset, place : place + n_beats - 2] += _STIFFNESS * factor
    right = np.zeros(n_beats)
    for begin, part in ((0, 1 - share), (1, share)):
        np.add.at(bands[0], cell + begin, weights * part**2)
        np.add.at(right, cell + begin, weights * part * onsets)
    np.add.at(bands[1], cell, weights * share * (1 - share))
    bands[0] += 1e-13  # two onsets leave the matrix almost singular
    beats = solve_pentadiagonal(bands, right)
    return beats, (1 - share) * beats[cell] + share * beats[cell + 1]


def solve_pentadiagonal(bands: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve linear equations whose matrix is symmetric, positive definite and zero beyond two diagonals on either side.

    By its factors L D L', where L has ones on the diagonal; in Python's numbers, since each depends on the one before.

    Parameters
    ----------
    bands : ndarray, shape (3, n)
        The diagonal and the two below it; of the latter the last one and two are not used.
    right : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
    """
    diagonal, below, second = bands.tolist()
    n = len(diagonal)
    # D, the two diagonals of L, and L^-1 right; the last two of each are those before the first.
    d, first, far, y = [1.0] * (n + 2), [0.0] * (n + 2), [0.0] * (n + 2), [0.0] * (n + 2)
    for i, value in enumerate(right.tolist()):
        far[i] = second[i - 2] / d[i - 2] if i > 1 else 0.0
        first[i] = (below[i - 1] - far[i] * d[i - 2] * first[i - 1]) / d[i - 1] if i else 0.0
        d[i] = diagonal[i] - first[i] ** 2 * d[i - 1] - far[i] ** 2 * d[i - 2]
        y[i] = value - first[i] * y[i - 1] - far[i] * y[i - 2]
    x = [0.0] * (n + 2)
    for i in range(n - 1, -1, -1):
        x[i] = y[i] / d[i] - first[i + 1] * x[i + 1] - far[i + 2] * x[i + 2]
    return np.array(x[:n])
