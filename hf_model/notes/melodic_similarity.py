"""Similarity of two melodies: edit distance with consolidation and fragmentation, and the area between two contours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note

LENGTH_WEIGHT = 0.348
"""Cost of a second of duration relative to an interval; the constant k1 of Mongeau and Sankoff."""

INTERVAL_WEIGHTS = np.array([0.0, 0.9, 0.9, 0.2, 0.2, 0.5, 0.9, 0.1, 0.35, 0.35, 0.8, 0.8])
"""Cost of replacing a pitch by another so many semitones above or below, modulo the octave."""

MAX_FRAGMENTS = 8
"""Most notes that may stand for one."""

MAX_DURATION = 2.0
"""Seconds; a note with the rest after it does not count for more."""

CONTOUR_STEP = 0.02
"""Seconds between two samples of the contours."""


def similarity(reference: Sequence[Note], estimate: Sequence[Note]) -> float:
    """Compare two melodies, whatever their keys.

    One minus the Mongeau-Sankoff distance, as a share of what deleting one melody and inserting the other costs.
    Several notes may stand for one (consolidation, fragmentation), which is what simplifying does. Octaves do not
    count.

    Parameters
    ----------
    reference, estimate : sequence of Note
        One voice each, sorted by onset, at the same tempo.

    Returns
    -------
    float
        0-1; 1 for equal melodies, for two empty ones, and for transpositions.

    References
    ----------
    M. Mongeau and D. Sankoff, "Comparison of musical sequences", Computers and the Humanities 24 (1990): operations,
    weights of degrees, k1. Ours: weights by semitone instead of by degree of a known scale, and the normalisation.
    """
    return float(similarities(reference, [estimate])[0])


def similarities(query: Sequence[Note], songs: Sequence[Sequence[Note]], n_keys: int = 12) -> NDArray[np.float64]:
    """Compare a melody with many.

    Parameters
    ----------
    query : sequence of Note
    songs : sequence of sequence of Note
    n_keys : int
        So many of the twelve transpositions are tried, those first that share most pitch classes: 4 is three times as
        fast, and seldom misses the best.

    Returns
    -------
    ndarray, shape (song,)
        As :func:`similarity`.
    """
    if not songs:
        return np.zeros(0)
    pitches, lengths = _pitches_and_lengths(query)
    width = max(len(song) for song in songs)
    others, other_lengths = np.zeros((len(songs), width)), np.zeros((len(songs), width))
    for row, song in enumerate(songs):
        others[row, : len(song)], other_lengths[row, : len(song)] = _pitches_and_lengths(song)
    shifts = _likely_shifts(pitches, lengths, others, other_lengths)[:n_keys].reshape(-1, len(songs))
    distances = _distances(pitches, lengths, others[None] + shifts[..., None], other_lengths[None]).min(axis=0)
    worst = LENGTH_WEIGHT * (lengths.sum() + other_lengths.sum(axis=1))
    return np.asarray(np.where(worst > 0, 1.0 - distances / np.where(worst > 0, worst, 1.0), 1.0))


def contour_distance(reference: Sequence[Note], estimate: Sequence[Note]) -> float:
    """Measure the area between two pitch contours on the same clock.

    Returns
    -------
    float
        Semitones, mean over the time in which both sound, after the best transposition; 0 where they never do.

    References
    ----------
    D. O Maidin, "A geometrical algorithm for melodic difference", Computing in Musicology 11 (1998).
    """
    end = max((note.offset for note in (*reference, *estimate)), default=0.0)
    times = np.arange(0.0, end, CONTOUR_STEP)
    difference = sample_contour(reference, times) - sample_contour(estimate, times)
    difference = difference[np.isfinite(difference)]
    return float(np.abs(difference - np.median(difference)).mean()) if difference.size else 0.0


def sample_contour(notes: Sequence[Note], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Read the pitch that sounds at each time.

    Returns
    -------
    ndarray, shape (time,)
        MIDI numbers; not a number in rests. Where notes overlap, the later one.
    """
    if not notes:
        return np.full(times.shape, np.nan)
    onsets = np.array([note.onset for note in notes])
    which = np.searchsorted(onsets, times, side="right") - 1
    sounding = (which >= 0) & (times < np.array([note.offset for note in notes])[which])
    return np.where(sounding, np.array([note.pitch for note in notes])[which], np.nan)


def _pitches_and_lengths(notes: Sequence[Note]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give pitches (note,) and seconds to the next onset (note,), at most ``MAX_DURATION``."""
    onsets = np.array([*(note.onset for note in notes), notes[-1].offset if notes else 0.0])
    return np.array([note.pitch for note in notes]), np.clip(np.diff(onsets), 0.0, MAX_DURATION)


def _likely_shifts(
    pitches: NDArray[np.float64],
    lengths: NDArray[np.float64],
    others: NDArray[np.float64],
    other_lengths: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Order the transpositions by how many pitch classes two melodies share in them, for how long.

    Returns
    -------
    ndarray, shape (12, 2, song)
        Semitones, up and down.
    """
    mine = np.bincount(_classes(pitches), lengths, 12)
    theirs = np.array([np.bincount(_classes(p), n, 12) for p, n in zip(others, other_lengths, strict=True)])
    shared = np.array([np.minimum(mine, np.roll(theirs, shift, axis=1)).sum(axis=1) for shift in range(12)])
    up = np.argsort(-shared, axis=0, kind="stable").astype(np.float64)
    return np.stack([up, np.where(up > 0, up - 12.0, 0.0)], axis=1)


def _classes(pitches: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(pitches + 0.5).astype(np.int64) % 12


def _distances(
    pitches: NDArray[np.float64],
    lengths: NDArray[np.float64],
    others: NDArray[np.float64],
    other_lengths: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Fill the table of Mongeau and Sankoff row by row, for many melodies at once.

    Parameters
    ----------
    pitches, lengths : ndarray, shape (note,)
        Of the query.
    others, other_lengths : ndarray, shape (..., other note)
        Padded with notes of length 0, which cost nothing.

    Returns
    -------
    ndarray, shape (...)
    """
    shape = np.broadcast_shapes(others.shape, other_lengths.shape)
    insertion = np.broadcast_to(LENGTH_WEIGHT * _summed(other_lengths), (*shape[:-1], shape[-1] + 1))
    rows = [insertion]
    total = np.concatenate([[0.0], np.cumsum(lengths)])
    weighted = [np.zeros(shape)]  # intervals times the query's lengths, summed over the query's notes
    sums = _summed(other_lengths)
    for i, (pitch, length) in enumerate(zip(pitches, lengths, strict=True), start=1):
        interval = INTERVAL_WEIGHTS[np.floor(np.abs(pitch - others) + 0.5).astype(np.int64) % 12]
        weighted.append(weighted[-1] + interval * length)
        best = rows[-1] + LENGTH_WEIGHT * length
        substitution = interval * np.minimum(length, other_lengths) + LENGTH_WEIGHT * np.abs(length - other_lengths)
        best[..., 1:] = np.minimum(best[..., 1:], rows[-1][..., :-1] + substitution)
        fragments = _summed(interval * other_lengths)
        for k in range(2, min(MAX_FRAGMENTS, shape[-1]) + 1):
            cost = fragments[..., k:] - fragments[..., :-k]
            cost = cost + LENGTH_WEIGHT * np.abs(length - (sums[..., k:] - sums[..., :-k]))
            best[..., k:] = np.minimum(best[..., k:], rows[-1][..., :-k] + cost)
        for k in range(2, min(MAX_FRAGMENTS, i) + 1):
            cost = weighted[i] - weighted[i - k]
            cost = cost + LENGTH_WEIGHT * np.abs(total[i] - total[i - k] - other_lengths)
            best[..., 1:] = np.minimum(best[..., 1:], rows[i - k][..., :-1] + cost)
        # Insertions along the row, all at once: the cheapest start before, plus what was inserted since.
        rows.append(np.minimum.accumulate(best - insertion, axis=-1) + insertion)
    return rows[-1][..., -1]


def _summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum along the last axis, with a zero in front."""
    return np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
