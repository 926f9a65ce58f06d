"""Boundaries of notes: candidates from the posteriors, and precise onsets and offsets near them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

ONSET_REACH = 0.055
OFFSET_REACH = 0.08
"""Seconds within which a boundary counts as correct."""

SHARP = 0.018
"""Seconds, standard deviation of the posterior around an offset without bias."""

LATE = 0.77
"""Bias of an offset as a share of the deviation above ``SHARP``: fitted to synthetic voices in rooms (5 to 10 ms)."""

HELD_GAP, HELD_NOTE = 0.25, 0.07
"""A note is extended by this share of the following gap, at most by that share of its duration: some annotators mark
the end of the voice as the offset, others the next onset."""

REST = 0.3
"""Seconds; a longer gap is a rest."""

MIN_PEAK = 0.1
"""A boundary is not moved if the posterior around it is lower."""

_TINY = 1e-6


def find_boundaries(
    onset: NDArray[np.float32], offset: NDArray[np.float32], voicing: NDArray[np.float32], min_peak: float
) -> NDArray[np.int64]:
    """Find candidate frames: local maxima of onset and offset, voicing crossing 0.5, and both ends."""
    n_frames = len(onset)
    found = [np.array([0, n_frames - 1])]
    for posterior in (onset, offset):
        padded = np.pad(posterior, 1, constant_values=-1.0)
        peak = (posterior >= padded[:-2]) & (posterior > padded[2:]) & (posterior >= min_peak)
        found.append(np.flatnonzero(peak))
    found.append(np.flatnonzero(np.diff((voicing > 0.5).astype(np.int8))) + 1)
    return np.unique(np.concatenate(found)).astype(np.int64)


def nearby(posterior: NDArray[np.float32], reach: int) -> Float:
    """Compute the maximum within ``reach`` frames of each frame."""
    padded = np.pad(posterior.astype(np.float64), reach)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1))


def place_boundaries(posterior: NDArray[np.float32], frames: NDArray[np.int64], reach: float) -> Float:
    """Move boundaries to where they are most probably correct: where most probability lies within ``reach`` frames.

    Between two likely peaks, for instance at the start and the end of a sonorant consonant, the result is in between if
    it is close enough to both. Frames closer to another boundary count for that one only.

    Parameters
    ----------
    posterior : ndarray, shape (frame,)
        Probability of a boundary.
    frames : ndarray, shape (boundary,)
        Increasing.
    reach : float
        Frames.

    Returns
    -------
    ndarray, shape (boundary,)
        Fractional frames.
    """
    span = int(reach)
    around = frames[:, None] + np.arange(-2 * span, 2 * span + 1)
    edges = np.concatenate([[0.0], (frames[1:] + frames[:-1]) / 2, [len(posterior) - 1.0]])[: len(frames) + 1, None]
    own = (around >= edges[:-1]) & (around <= edges[1:])
    weight = np.where(own, posterior[np.clip(around, 0, len(posterior) - 1)], 0.0)
    distance = np.abs(np.arange(-2 * span, 2 * span + 1)[:, None] - np.arange(-span, span + 1)[None, :])
    near = np.clip(1 - (distance / reach) ** 4, 0, None)  # (true position, new position)
    mass = weight @ near
    rows, best = np.arange(len(frames)), mass.argmax(axis=1)
    inner = np.clip(best, 1, 2 * span - 1)
    left, middle, right = mass[rows, inner - 1], mass[rows, inner], mass[rows, inner + 1]
    between = np.where(inner == best, 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -_TINY), 0.0)
    unsure = weight.max(axis=1, initial=0.0) < MIN_PEAK
    return frames.astype(np.float64) + np.where(unsure, 0.0, best - span + between)


def place_offsets(posterior: NDArray[np.float32], frames: NDArray[np.int64], frame_rate: float) -> Float:
    """Move offsets to where they are most probably correct, and correct the delay by reverberation.

    Parameters
    ----------
    posterior : ndarray, shape (frame,)
        Probability of an offset.
    frames : ndarray, shape (offset,)
        Increasing.
    frame_rate : float
        Frames a second.

    Returns
    -------
    ndarray, shape (offset,)
        Fractional frames.
    """
    reach = OFFSET_REACH * frame_rate
    places = place_boundaries(posterior, frames, reach)
    span = int(reach)
    around = np.rint(places).astype(np.int64)[:, None] + np.arange(-span, span + 1)
    middles = (frames[1:] + frames[:-1]) / 2  # frames closer to another offset count for that one only
    edges = np.concatenate([[0.0], middles, [len(posterior) - 1.0]])[: len(frames) + 1, None]
    inside = (around >= edges[:-1]) & (around <= edges[1:])
    weight = np.where(inside, posterior[np.clip(around, 0, len(posterior) - 1)], 0.0) + _TINY
    weight /= weight.sum(axis=1, keepdims=True)
    away = np.arange(-span, span + 1)
    middle = weight @ away
    spread = np.sqrt(np.maximum(weight @ away**2 - middle**2, 0.0))
    unsure = posterior[frames] < MIN_PEAK
    return places - np.where(unsure, 0.0, LATE * np.maximum(spread - SHARP * frame_rate, 0.0))


def hold(begin: float, stop: float, following: float, frame_rate: float) -> float:
    """Extend an offset into the gap before the next note, as a compromise between two conventions of annotators.

    Parameters
    ----------
    begin, stop, following : float
        Frames: onset and offset of a note, and the next onset.
    frame_rate : float
        Frames a second.
    """
    gap = following - stop
    if not 0.0 < gap <= REST * frame_rate:
        return stop
    return stop + min(HELD_GAP * gap, HELD_NOTE * (stop - begin))
