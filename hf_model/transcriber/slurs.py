"""Slurs, trills and wide vibrato: where a voice changes its pitch without an onset, and where its pitch only swings.

The network gives onsets of notes that begin with a consonant or a breath. Notes that are bound by a glide on one vowel
are seen in the path of the pitch alone: two steady spans with a step between them. A wide vibrato is a path that swings
around its centre, which is the perceived pitch. A fast trill looks like one to the network, whose long window sees both
notes at once: with a short window it stays on two pitches.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.pitch_tracking import refine_f0
from hf_model.notes.pitch import hz_to_pitch, pitch_to_hz
from hf_model.transcriber.pitch_curve import peak_pitch

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

HALF_GLIDES = (1, 4, 8, 14)
"""Frames of 10 ms from the middle of a slur to the steady spans: short and long glides."""

STEADY, MIN_SPAN = 18, 10
"""Frames from the middle of a slur to the ends of the spans, and the least between beginning and end of a span."""

MIN_STEP, MAX_STEP = 0.6, 13.0
"""Semitones between the spans."""

MAX_RANGE = 1.0
"""Semitones between the lowest and the highest pitch of a span."""

APART = 14
"""Frames between slurs."""

MAX_ONSET = 0.1
"""Highest onset posterior in a slur: above, the network saw the note itself."""

REACH, LONG_REACH = 12, 25
"""Frames on either side in which extremes of a vibrato are measured, and in which its crossings are counted."""

VIBRATO = (0.6, 2.4)
"""Half of the distance between the extremes of a vibrato, in semitones as the posteriors show it: from about 120
to 220 cents. A smaller vibrato is within the tolerance of the decoder."""

CROSSINGS = (4, 9)
"""Crossings of the centre within ``LONG_REACH``: 4 to 9 Hz."""

EVEN = 0.5
"""Changes of the extremes within ``REACH``, as a share of the extent."""

VIBRATO_ONSET = 0.2
"""Onset posterior above which swinging pitches are notes."""

TRILL_REACH = 78
"""Frames on either side that a frame of a trill depends on."""

BROAD, NEAR, NEAR_MASS = 0.38, 4.2, 0.75
"""Deviation of the pitch posterior in semitones, averaged over ``REACH``, from which the pitch is measured again; the
semitones around its peak in which it is measured, and the least probability in these."""

TRILL, NEIGHBOURS, N_CHANGES = (0.38, 2.1), 30, 3
"""Half of a trill's interval, in semitones; each change of pitch has so many within ``NEIGHBOURS`` frames, itself
included."""

STAYS, CLEAR = 0.765, 0.85
"""Root mean square of a trill around its centre, as a share of half of its interval: .71 of a sine, 1 of two pitches;
and the share of frames within ``REACH`` whose pitch is clear."""

UNEVEN, SHORTEST = 0.3, 5
"""Largest difference of the intervals of such changes, as a share of their median, and fewest frames between two."""

CHANGE = 0.8
"""Probability of an onset and an offset at each change of a trill."""


def find_slurs(
    onset: Float32, voicing: Float32, pitch: Float32, lowest: float, step: float
) -> tuple[Float32, NDArray[np.int64]]:
    """Find slurs, and remove wide vibrato.

    Parameters
    ----------
    onset, voicing : ndarray, shape (frame,)
        Probabilities, 100 frames a second.
    pitch : ndarray, shape (frame, bin)
        Probabilities.
    lowest, step : float
        MIDI number of the first bin, and semitones per bin.

    Returns
    -------
    pitch : ndarray, shape (frame, bin)
        In a wide vibrato, the probabilities between its extremes are moved to its centre.
    slurs : ndarray, shape (slur,)
        Frames in the middle of the steps between two steady pitches, increasing.
    """
    if not len(onset):
        return pitch, np.zeros(0, dtype=np.int64)
    path = (peak_pitch(pitch, lowest, step) - lowest) / step
    pitch, path = _flatten_vibrato(onset, voicing, pitch, path, step)
    return pitch, _find_steps(onset, voicing, path * step)


def _flatten_vibrato(
    onset: Float32, voicing: Float32, pitch: Float32, path: Float, step: float
) -> tuple[Float32, Float]:
    """Replace a swinging path (bins) by its centre, and move the probability mass there."""
    high, low = _around(path, -REACH, REACH, np.max), _around(path, -REACH, REACH, np.min)
    centre, extent = 0.5 * (high + low), 0.5 * (high - low)
    is_sung = _around(voicing, -REACH, REACH, np.min) > 0.5
    is_sung &= _around(onset, -REACH, REACH, np.max) < VIBRATO_ONSET
    likely = np.flatnonzero(is_sung & (extent * step >= VIBRATO[0]) & (extent * step <= VIBRATO[1]))
    if not likely.size:
        return pitch, path
    change = np.maximum(*(_around(edge, -REACH // 2, REACH // 2, np.ptp)[likely] for edge in (high, low)))
    likely = likely[change < EVEN * extent[likely]]
    is_above = _windows(path, -LONG_REACH, LONG_REACH)[likely] > centre[likely, None]
    crossings = (is_above[:, 1:] != is_above[:, :-1]).sum(axis=1)
    swinging = likely[(crossings >= CROSSINGS[0]) & (crossings <= CROSSINGS[1])]
    if not swinging.size:
        return pitch, path
    frames = np.arange(len(path))
    after = np.searchsorted(swinging, frames)
    left, right = swinging[np.maximum(after - 1, 0)], swinging[np.minimum(after, len(swinging) - 1)]
    nearest = np.where(np.abs(frames - left) <= np.abs(right - frames), left, right)
    is_vibrato = (np.abs(frames - nearest) <= REACH + REACH // 2) & (voicing > 0.5)
    is_vibrato &= np.abs(path - centre[nearest]) <= extent[nearest] + 0.3 / step
    rows = np.flatnonzero(is_vibrato)
    middle, reach = centre[nearest[rows]], extent[nearest[rows]] + 0.5 / step
    swept = np.abs(np.arange(pitch.shape[1]) - middle[:, None]) <= reach[:, None]
    flat, path = pitch.copy(), path.copy()
    flat[rows] = np.where(swept, np.float32(0.0), pitch[rows])
    flat[rows, np.rint(middle).astype(np.int64)] = np.where(swept, pitch[rows], np.float32(0.0)).sum(axis=1)
    path[rows] = middle
    return flat, path


def _find_steps(onset: Float32, voicing: Float32, path: Float) -> NDArray[np.int64]:
    """Find the steps between steady spans of a path in semitones; short glides come first."""
    found: list[int] = []
    for half in HALF_GLIDES:
        end = max(STEADY, half + MIN_SPAN)
        is_bound = _around(voicing, -end, end, np.min) > 0.5
        is_bound &= _around(onset, -end, end, np.max) < MAX_ONSET
        before, after = (-end, -half), (half, end)
        size = np.abs(_around(path, *after, np.mean) - _around(path, *before, np.mean))
        size[size > MAX_STEP] = 0.0
        near_top = size >= np.maximum(_around(size, -4, 4, np.max) - 0.05, MIN_STEP)
        edges = np.flatnonzero(np.diff(near_top, prepend=False, append=False))
        for middle in (edges[::2] + edges[1::2] - 1) // 2:
            is_apart = all(abs(middle - other) > APART for other in found)
            if is_bound[middle] and is_apart and _range(path, middle, *before, *after) <= MAX_RANGE:
                found.append(int(middle))
    return np.array(sorted(found), dtype=np.int64)


def _range(path: Float, middle: int, *ends: int) -> float:
    """Measure the larger range of two spans around a frame, which are inside the path."""
    spans = (path[max(0, middle + first) : middle + last + 1] for first, last in (ends[:2], ends[2:]))
    return max(float(np.ptp(span)) if span.size else 0.0 for span in spans)


def mark_trills(posteriors: list[Float32], power: Float32, lowest: float, step: float) -> list[Float32]:
    """Write the notes of trills into posteriors, in which they look like a vibrato.

    Parameters
    ----------
    posteriors : list of ndarray
        Onset, offset, voicing (frame,) and pitch (frame, bin).
    power : ndarray, shape (frame, bin)
        Spectra with a short window, see :func:`hf_model.audio.pitch_tracking.refine_f0`.
    lowest, step : float
        As for :func:`find_slurs`.

    Returns
    -------
    list of ndarray
        With an onset and an offset at each change of a trill, and one pitch between two changes.
    """
    onset, offset, voicing, pitch = posteriors
    deviation, mass = _deviation(pitch, step)
    rows = np.flatnonzero((_around(deviation, -REACH, REACH, np.mean) > BROAD) & (mass > NEAR_MASS))
    if not rows.size:
        return posteriors
    path = peak_pitch(pitch, lowest, step)
    f0 = refine_f0(power[rows], pitch_to_hz(path[rows]), 2.0 ** (NEAR / 12.0))
    is_clear = mass > NEAR_MASS
    is_clear[rows] = f0 > 0
    path[rows[f0 > 0]] = hz_to_pitch(f0[f0 > 0])
    changes = _find_changes(path, _around(is_clear.astype(np.float64), -REACH, REACH, np.mean) > CLEAR)
    if not changes.size:
        return posteriors
    onset, offset, pitch = onset.copy(), offset.copy(), pitch.copy()
    for posterior in (onset, offset):
        posterior[changes] = np.maximum(posterior[changes], CHANGE)
    edges = [changes[0] - REACH, *changes, changes[-1] + REACH]
    for first, last in pairwise(int(edge) for edge in np.clip(edges, 0, len(path))):
        if last - first <= 2 * REACH:
            _hold_pitch(pitch, slice(first, last), path, lowest, step)
        else:  # a long note within a trill: a frame depends on few others
            _hold_pitch(pitch, slice(first, first + REACH), path, lowest, step)
            _hold_pitch(pitch, slice(last - REACH, last), path, lowest, step)
    return [onset, offset, voicing, pitch]


def _hold_pitch(pitch: Float32, span: slice, path: Float, lowest: float, step: float) -> None:
    """Move the probability near a path (semitones) to its middle pitch in a span."""
    size = span.stop - span.start
    if not size:
        return
    held = float(np.median(path[span.start + size // 4 : span.stop - size // 4]))
    middle, reach = round((held - lowest) / step), round(NEAR / step)
    near = slice(max(0, middle - reach), middle + reach + 1)
    mass = pitch[span, near].sum(axis=1)
    pitch[span, near] = 0.0
    pitch[span, min(max(middle, 0), pitch.shape[1] - 1)] += mass


def _deviation(pitch: Float32, step: float) -> tuple[Float, Float]:
    """Measure the standard deviation (semitones) and the probability of the bins near the peak of each frame."""
    reach = round(NEAR / step)
    away = np.arange(-reach, reach + 1)
    bins = pitch.argmax(axis=1)[:, None] + away
    inside = np.clip(bins, 0, pitch.shape[1] - 1)
    near = np.where(bins == inside, np.take_along_axis(pitch, inside, axis=1), np.float32(0.0))
    moments = near @ np.stack([away**0, step * away, (step * away) ** 2], axis=1).astype(np.float32)
    mass, first, second = np.maximum(moments.astype(np.float64), 1e-9).T
    first = moments[:, 1] / mass
    return np.sqrt(np.maximum(second / mass - first**2, 0.0)), mass


def _find_changes(path: Float, is_clear: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Find the frames in which a trill (semitones) goes from one of its pitches to the other."""
    high, low = _around(path, -REACH, REACH, np.max), _around(path, -REACH, REACH, np.min)
    centre, extent = 0.5 * (high + low), 0.5 * (high - low)
    is_above = path > centre
    is_change = np.diff(is_above, prepend=is_above[:1]) & is_clear & (extent >= TRILL[0]) & (extent <= TRILL[1])
    changes = np.flatnonzero(is_change)
    if len(changes) < N_CHANGES:
        return changes[:0]
    around = _windows(path, -REACH, REACH)[changes]
    high, low = np.percentile(around, [94, 6], axis=1)
    half = np.maximum(0.5 * (high - low), 0.1)
    swing = (around - 0.5 * (high + low)[:, None]) / half[:, None]
    squares = np.minimum(swing**2, 1.7)
    sides = [(squares * side).sum(axis=1) / side.sum(axis=1).clip(1) for side in (swing > 0, swing <= 0)]
    stays = np.sqrt(np.minimum(*sides))  # noise may flatten one extreme of a vibrato
    near = np.abs(changes[:, None] - changes) <= NEIGHBOURS
    extent = extent[changes]
    even = [
        np.ptp(extent[row]) <= UNEVEN * np.median(extent[row])
        and np.diff(changes[row]).min(initial=2 * REACH) >= SHORTEST
        for row in near
    ]
    typical = np.array([np.median(stays[row]) for row in near])
    return np.asarray(changes[(near.sum(axis=1) >= N_CHANGES) & (typical >= STAYS) & even])


def _around(values: NDArray[Any], first: int, last: int, reduce: Callable[..., Any]) -> Float:
    """Reduce the values from ``first`` to ``last`` frames after each frame; the edges are repeated."""
    return np.asarray(reduce(_windows(values, first, last), axis=1), dtype=np.float64)


def _windows(values: NDArray[Any], first: int, last: int) -> NDArray[Any]:
    reach = max(abs(first), abs(last))
    padded = np.pad(values, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, last - first + 1)
    return windows[reach + first : reach + first + len(values)]
