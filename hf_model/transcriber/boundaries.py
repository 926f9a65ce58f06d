"""Where notes may begin and end: candidates on the network's curves, and the best place near each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

ONSET_REACH = 0.055
OFFSET_REACH = 0.08
"""Seconds within which a border counts as in the right place."""

SHARP = 0.018
"""Seconds, standard deviation of what lies around an offset that is heard in the right place."""

LATE = 0.77
"""By which part of what it spreads beyond that an offset is late, as those of made voices are in rooms (5 to 10 ms)."""

HELD_GAP, HELD_NOTE = 0.25, 0.07
"""A note is held on by this part of the gap after it, at most by that part of itself: some people mark where the voice
stops, others where the next note begins."""

REST = 0.3
"""Seconds; whoever listens hears a rest in a longer gap."""

LEAST = 0.1
"""A border stays where it is if the curve is nowhere higher around it."""

_TINY = 1e-6


def find_borders(
    onset: NDArray[np.float32], offset: NDArray[np.float32], voicing: NDArray[np.float32], least: float
) -> NDArray[np.int64]:
    """Frames where a note may start or end: local maxima of onset and offset, crossings of voicing, both ends."""
    n_frames = len(onset)
    found = [np.array([0, n_frames - 1])]
    for curve in (onset, offset):
        padded = np.pad(curve, 1, constant_values=-1.0)
        peak = (curve >= padded[:-2]) & (curve > padded[2:]) & (curve >= least)
        found.append(np.flatnonzero(peak))
    found.append(np.flatnonzero(np.diff((voicing > 0.5).astype(np.int8))) + 1)
    return np.unique(np.concatenate(found)).astype(np.int64)


def nearby(curve: NDArray[np.float32], reach: int) -> Float:
    """Maximum within ``reach`` frames."""
    padded = np.pad(curve.astype(np.float64), reach)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1))


def place_borders(curve: NDArray[np.float32], frames: NDArray[np.int64], reach: float) -> Float:
    """Move borders to where they are most probably right: where most of the curve lies within ``reach`` frames.

    Of two peaks that are both likely, as at the start and the end of a sonorant consonant, no choice is made if one
    place is near enough to both. What lies nearer to another of the borders counts for that one alone.

    Parameters
    ----------
    curve : ndarray, shape (frame,)
        Probability of a border.
    frames : ndarray, shape (border,)
        Rising.
    reach : float
        Frames.

    Returns
    -------
    ndarray, shape (border,)
        Frames, and parts of them.
    """
    span = int(reach)
    around = frames[:, None] + np.arange(-2 * span, 2 * span + 1)
    edges = np.concatenate([[0.0], (frames[1:] + frames[:-1]) / 2, [len(curve) - 1.0]])[: len(frames) + 1, None]
    own = (around >= edges[:-1]) & (around <= edges[1:])
    weight = np.where(own, curve[np.clip(around, 0, len(curve) - 1)], 0.0)
    distance = np.abs(np.arange(-2 * span, 2 * span + 1)[:, None] - np.arange(-span, span + 1)[None, :])
    near = np.clip(1 - (distance / reach) ** 4, 0, None)  # (where it may lie, to where it may move)
    mass = weight @ near
    rows, best = np.arange(len(frames)), mass.argmax(axis=1)
    inner = np.clip(best, 1, 2 * span - 1)
    left, middle, right = mass[rows, inner - 1], mass[rows, inner], mass[rows, inner + 1]
    between = np.where(inner == best, 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -_TINY), 0.0)
    unsure = weight.max(axis=1, initial=0.0) < LEAST
    return frames.astype(np.float64) + np.where(unsure, 0.0, best - span + between)


def place_offsets(curve: NDArray[np.float32], frames: NDArray[np.int64], frame_rate: float) -> Float:
    """Move offsets to where they are most probably right, and earlier where a room draws them out.

    Parameters
    ----------
    curve : ndarray, shape (frame,)
        Probability of an offset.
    frames : ndarray, shape (offset,)
        Rising.
    frame_rate : float
        Frames a second.

    Returns
    -------
    ndarray, shape (offset,)
        Frames, and parts of them.
    """
    reach = OFFSET_REACH * frame_rate
    places = place_borders(curve, frames, reach)
    span = int(reach)
    around = np.rint(places).astype(np.int64)[:, None] + np.arange(-span, span + 1)
    inside = (around >= 0) & (around < len(curve))
    weight = np.where(inside, curve[np.clip(around, 0, len(curve) - 1)], 0.0) + _TINY
    weight /= weight.sum(axis=1, keepdims=True)
    away = np.arange(-span, span + 1)
    middle = weight @ away
    spread = np.sqrt(np.maximum(weight @ away**2 - middle**2, 0.0))
    unsure = curve[frames] < LEAST
    return places - np.where(unsure, 0.0, LATE * np.maximum(spread - SHARP * frame_rate, 0.0))


def hold(begin: float, stop: float, following: float, frame_rate: float) -> float:
    """Find an offset between where the voice stops and where the next note begins, near enough to either.

    Parameters
    ----------
    begin, stop, following : float
        Frames: where a note begins and its voice stops, and where the next one begins.
    frame_rate : float
        Frames a second.
    """
    gap = following - stop
    if not 0.0 < gap <= REST * frame_rate:
        return stop
    return stop + min(HELD_GAP * gap, HELD_NOTE * (stop - begin))
