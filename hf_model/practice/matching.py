"""Which sung note is which written note, in any key and at any tempo: dynamic programming on notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note
from hf_model.practice.smoothing import smooth

Float = NDArray[np.float64]

MAX_NOTES = 2000
"""Of either melody: time and memory grow with the product."""

GAP, OUTER_GAP = 1.0, 0.35
"""Costs of a note without a partner, and of a written note before the first or after the last one that was sung."""

PITCH, PITCH_CAP = 0.4, 5.0
"""Cost of a semitone between partners, and the semitones from which it no longer grows."""

RHYTHM, RHYTHM_CAP = 0.25, 2.0
"""Cost of an octave between the ratios of two inter-onset intervals, and its cap: while the tempo is not known."""

LATE, LATE_CAP = 1.7, 2.0
"""Cost of a second between partners, and its cap: when the tempo is known."""

EQUAL_INTERVALS = 0.7
"""Semitones: two intervals that differ less vote for a key."""

MAX_KEYS = 8
"""Keys that are tried."""

MIN_SHARE = 0.5
"""Of the notes of the shorter melody that must have a partner within a semitone and ``MAX_LATE`` seconds."""

MAX_LATE = 0.3

SAME = 1e-9
"""Costs that differ less are equal."""


class PracticeError(ValueError):
    """Why a take cannot be compared with a score."""


@dataclass(frozen=True)
class Matching:
    """Partners, as indices (sung, written), in order; and the semitones from the written to the sung pitches."""

    pairs: tuple[tuple[int, int], ...]
    shift: float


def match(sung: Sequence[Note], written: Sequence[Note]) -> Matching:
    """Find the partners of two melodies.

    Parameters
    ----------
    sung, written : sequence of Note
        Each one voice, sorted by onset.

    Raises
    ------
    PracticeError
        If one of them is empty or too long, or too few notes fit.
    """
    for name, notes in (("the recording", sung), ("the score", written)):
        if not 0 < len(notes) <= MAX_NOTES:
            msg = f"{name} has {len(notes)} notes, allowed is 1 to {MAX_NOTES}"
            raise PracticeError(msg)
    onsets, pitches = _arrays(sung)
    places, keys = _arrays(written)
    tried = _likely_shifts(pitches, keys)
    rhythm = RHYTHM * np.minimum(_rhythm_distance(onsets, places), RHYTHM_CAP)
    options = [_align(_pitch_cost(pitches, keys, key) + rhythm) for key in tried]
    least = min(range(len(tried)), key=lambda number: (options[number][0], abs(tried[number])))
    pairs, shift = options[least][1], tried[least]
    for _ in range(2):
        shift = _refined(pitches, keys, pairs, shift)
        expected = _expected_onsets(onsets, places, pairs)
        late = np.minimum(LATE * np.abs(onsets[:, None] - expected[None, :]), LATE_CAP)
        pairs = _align(_pitch_cost(pitches, keys, shift) + late)[1]
    shift = _refined(pitches, keys, pairs, shift)
    expected = _expected_onsets(onsets, places, pairs)
    fits = [abs(pitches[i] - keys[j] - shift) < 1.0 and abs(onsets[i] - expected[j]) < MAX_LATE for i, j in pairs]
    n_right = sum(fits)
    shorter = min(len(sung), len(written))
    if n_right < max(min(2, shorter), MIN_SHARE * shorter):
        msg = f"the recording is not of this score: only {n_right} of {shorter} notes fit, in any key"
        raise PracticeError(msg)
    return Matching(tuple(pairs), shift)


def _arrays(notes: Sequence[Note]) -> tuple[Float, Float]:
    """Give onsets and pitches (note,)."""
    return np.array([note.onset for note in notes]), np.array([note.pitch for note in notes])


def _likely_shifts(pitches: Float, keys: Float) -> list[float]:
    """List the likely keys: those at which most intervals of both melodies agree."""
    shifts = [0.0, float(np.median(pitches) - np.median(keys))]
    if min(len(pitches), len(keys)) > 1:
        agree = np.abs(np.diff(pitches)[:, None] - np.diff(keys)[None, :]) < EQUAL_INTERVALS
        difference = np.round(2 * (pitches[:-1, None] - keys[None, :-1]))[agree].astype(np.int64)
        values, counts = np.unique(difference, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:MAX_KEYS]
        shifts += [float(value) / 2 for value in values[order]]
    return sorted(set(shifts), key=abs)


def _refined(pitches: Float, keys: Float, pairs: Sequence[tuple[int, int]], shift: float) -> float:
    """Correct a shift by the median over the partners near to it."""
    differences = np.array([pitches[i] - keys[j] for i, j in pairs])
    near = differences[np.abs(differences - shift) < 1.5]
    return float(np.median(near)) if near.size else shift


def _pitch_cost(pitches: Float, keys: Float, shift: float) -> Float:
    return PITCH * np.minimum(np.abs(pitches[:, None] - keys[None, :] - shift), PITCH_CAP)


def _rhythm_distance(onsets: Float, places: Float) -> Float:
    """Compare the intervals before two notes, in octaves, apart from the tempo; 0 for the first notes."""
    intervals = [np.log2(np.maximum(np.diff(times), 0.02)) for times in (onsets, places)]
    if not all(interval.size for interval in intervals):
        return np.zeros((len(onsets), len(places)))
    sung, written = (interval - np.median(interval) for interval in intervals)
    distance: Float = np.abs(sung[:, None] - written[None, :])
    return np.pad(distance, ((1, 0), (1, 0)))


def _expected_onsets(onsets: Float, places: Float, pairs: Sequence[tuple[int, int]]) -> Float:
    """Give the onset of every written note at the tempo of the partners that are known."""
    if len(pairs) < 2:
        start = onsets[pairs[0][0]] - places[pairs[0][1]] if pairs else onsets[0] - places[0]
        return np.asarray(places + start)
    i, j = np.array(pairs).T
    return smooth(places[j], onsets[i], places)


def _align(costs: Float) -> tuple[float, list[tuple[int, int]]]:
    """Find the partners of least cost (sung, written), where a note may have none."""
    n, m = costs.shape
    best = np.empty((n + 1, m + 1))
    best[0] = OUTER_GAP * np.arange(m + 1)
    steps = GAP * np.arange(m + 1)
    for i in range(n):
        row = best[i] + GAP
        row[1:] = np.minimum(row[1:], best[i, :-1] + costs[i])
        best[i + 1] = np.minimum.accumulate(row - steps) + steps
    ends = best[n] + OUTER_GAP * (m - np.arange(m + 1))
    i, j = n, int(np.argmin(ends))
    total, pairs = float(ends[j]), []
    while i > 0:
        if j > 0 and abs(best[i, j] - best[i - 1, j - 1] - costs[i - 1, j - 1]) < SAME:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif abs(best[i, j] - best[i - 1, j] - GAP) < SAME:
            i -= 1
        else:
            j -= 1
    return total, pairs[::-1]
