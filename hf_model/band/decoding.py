"""Beats and bars from frame-wise probabilities: the best path over beat period, metre and place in the bar.

References
----------
Krebs, Böck and Widmer (2015), An efficient state-space model for joint tempo and meter tracking, for the model; here
one step is a whole beat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

RATE = 100.0
"""Frames per second of the search."""

MIN_BPM, MAX_BPM = 48.0, 215.0
BARS = (3, 4)
"""Beats in a bar."""

MAX_CHANGE = 3
"""Frames by which the period may change from one beat to the next."""

STIFFNESS = 60.0
"""Cost of a change of the period by a factor of e."""

GUARD = 4
"""Frames around a beat in which the probability of "no beat" does not count."""

BETWEEN, AT_BEAT = 0.5, 1.0
"""Weights of the frames between beats and of the beats."""

TEMPO_CENTRE, TEMPO_WIDTH = 105.0, 0.5
"""Prior of the tempo: beats per minute, and the standard deviation in octaves."""

PRIOR_WEIGHT = 4.0

_FIRST = MAX_CHANGE + 1
"""In place of a change of the period: the first beat of a path."""


@dataclass(frozen=True, eq=False)
class BeatPath:
    """The best path of one metre.

    Attributes
    ----------
    frames : ndarray of int
        Beats, at ``RATE``.
    first_place : int
        Place in the bar of the first beat, from 0.
    beats_per_bar : int
    score : float
        Logarithm of the posterior, not normalised.
    """

    frames: NDArray[np.int64]
    first_place: int
    beats_per_bar: int
    score: float


def decode(
    log_probabilities: Float, beats_per_bar: int, bpm_range: tuple[float, float] = (MIN_BPM, MAX_BPM)
) -> BeatPath:
    """Find the most probable beats of bars of this length.

    Parameters
    ----------
    log_probabilities : ndarray, shape (frame, 3)
        Of no beat, a beat and a downbeat, at ``RATE``.
    beats_per_bar : int
    bpm_range : (float, float)
        Beats per minute.
    """
    shortest, longest = (round(60 * RATE / bpm) for bpm in bpm_range[::-1])
    periods = np.arange(shortest, longest + 1)
    n, k = len(log_probabilities), beats_per_bar
    silent = np.concatenate([[0.0], np.cumsum(BETWEEN * log_probabilities[:, 0])])
    before = silent[np.maximum(np.arange(n) - GUARD, 0)]  # silence up to a beat, and silence up to the end of a beat
    after = silent[np.minimum(np.arange(n) + GUARD + 1, n)]
    prior = -0.5 * (np.log2(60 * RATE / periods / TEMPO_CENTRE) / TEMPO_WIDTH) ** 2 * PRIOR_WEIGHT
    came_from = np.full((n, len(periods), k), _FIRST, dtype=np.int8)
    reach = longest + longest // 10
    # Scores of the frames before the current block; columns without a period on both sides.
    recent = np.full((reach, len(periods) + 2 * MAX_CHANGE, k), -np.inf)
    inside = slice(MAX_CHANGE, MAX_CHANGE + len(periods))
    for first in range(0, n, shortest):
        now = np.arange(first, min(first + shortest, n))
        source = now[:, None] - periods
        silence = np.minimum(before[now][:, None] - after[np.maximum(source, 0)], 0.0)
        best, came_from[now] = _advance(recent, source - first + reach, periods)
        best += silence[:, :, None]
        # A path may begin on any frame of the first period; what is before it counts as silence.
        start = np.where(source < 0, before[now][:, None] + prior, -np.inf)[:, :, None]
        came_from[now] = np.where(best >= start, came_from[now], _FIRST)
        best = np.maximum(best, start) + AT_BEAT * log_probabilities[now][:, None, [2] + [1] * (k - 1)]
        recent[: -len(now)] = recent[len(now) :].copy()
        recent[-len(now) :, inside] = best
    return _trace(recent[:, inside], came_from, periods, np.minimum(silent[-1] - after, 0.0))


def _advance(recent: Float, rows: NDArray[np.int64], periods: NDArray[np.int64]) -> tuple[Float, NDArray[np.int8]]:
    """Choose the best period before each period.

    Parameters
    ----------
    recent : ndarray, shape (row, column, place)
        Scores of past frames; ``MAX_CHANGE`` columns of minus infinity on both sides of the periods.
    rows : ndarray, shape (frame, period)
        Row of the beat before each frame.
    periods : ndarray, shape (period,)

    Returns
    -------
    best : ndarray, shape (frame, period, place)
    change : ndarray, shape (frame, period, place)
        Index of the period minus index of the period before.
    """
    n_columns, n_places = recent.shape[1:]
    scores = recent.reshape(-1, n_places)
    same = rows * n_columns + MAX_CHANGE + np.arange(len(periods))  # the row of ``scores`` with the same period
    best = np.full((*rows.shape, n_places), -np.inf)
    changes = np.zeros(best.shape, dtype=np.int8)
    logarithms = np.log(np.arange(periods[0] - MAX_CHANGE, periods[-1] + MAX_CHANGE + 1))
    for change in range(-MAX_CHANGE, MAX_CHANGE + 1):
        before = logarithms[MAX_CHANGE - change : MAX_CHANGE - change + len(periods)]
        cost = STIFFNESS * np.abs(np.log(periods) - before)
        arriving = scores.take(same - change, axis=0)
        arriving -= cost[:, None]
        better = arriving > best
        np.copyto(best, arriving, where=better)
        np.copyto(changes, change, where=better)
    return np.roll(best, 1, axis=2), np.roll(changes, 1, axis=2)


def _trace(recent: Float, came_from: NDArray[np.int8], periods: NDArray[np.int64], silence: Float) -> BeatPath:
    """Follow the best path back from the last beat; what is after it counts as silence."""
    n, _, k = came_from.shape
    rows = min(n, len(recent))
    is_last = np.arange(rows, 0, -1)[:, None] <= 1.1 * periods
    final = np.where(is_last[:, :, None], recent[-rows:] + silence[-rows:, None, None], -np.inf)
    row, period, place = (int(index) for index in np.unravel_index(int(np.argmax(final)), final.shape))
    frame, best = n - rows + row, float(final[row, period, place])
    found = [frame]
    while (change := int(came_from[frame, period, place])) != _FIRST:
        frame, period, place = frame - int(periods[period]), period - change, (place - 1) % k
        found.append(frame)
    return BeatPath(np.array(found[::-1]), place, k, best)
