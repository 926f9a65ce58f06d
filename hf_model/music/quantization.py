"""Quantisation: onsets and offsets moved towards a grid of note values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.config import check_choice, check_range
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

GRIDS = {"1/4": 1, "1/8": 2, "1/16": 4, "1/8t": 3, "1/16t": 6}
"""Steps per quarter by name; "t" are triplets."""

_COMPOUND_GRIDS = {"1/4": 1, "1/8": 3, "1/16": 6, "1/8t": 3, "1/16t": 6}
"""Steps per dotted quarter."""

SWINGS = ("keep", "straighten")

STRAIGHT = 0.5
_SWUNG = (0.56, 0.75)
"""Range of the onset of the second eighth, as a share of the beat, that counts as swung."""

_MIN_SWUNG = 4
MIN_DURATION = 0.03
"""Seconds that a moved note lasts, if the next one does not begin earlier."""

LEGATO_GAP = 0.3
"""Seconds; a longer gap is a rest, which legato keeps."""

_BOUND = 0.06
"""Seconds; a shorter gap is closed: the note is held until the next one."""

_COSTS = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 4.0])
_FINENESS = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0])
_NEIGHBOURS = np.array([-1.0, 0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 1.0])
"""Candidates for an onset: four steps around it, two half steps, two quarter steps, or its own time."""

_TINY = 1e-6
_MIN_DISTANCE = 0.2
"""Steps between two moved notes."""


def quantize(
    notes: Sequence[Note],
    tempo: Tempo,
    grid: str = "1/16",
    *,
    strength: float = 1.0,
    swing: str = "keep",
    duration: float | None = None,
) -> list[Note]:
    """Quantise notes.

    All onsets are placed jointly, in order: where two notes would share a step, one is placed on a finer step.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset.
    tempo : Tempo
        The beats.
    grid : {"1/4", "1/8", "1/16", "1/8t", "1/16t"}
        Note values; in 6/8, eighths are thirds of the beat.
    strength : float
        0 leaves notes where they are, 1 moves them onto the grid.
    swing : {"keep", "straighten"}
        Quantise swung eighths (long and short in turn) to a grid with the singer's swing, or to even eighths.
    duration : float, optional
        Seconds; no note ends later.

    Returns
    -------
    list of Note
        The same number in the same order; no empty notes and no new overlaps.

    Raises
    ------
    ConfigError
        For an unknown grid or swing, or a strength outside its range.
    """
    check_choice("quantize", grid, GRIDS)
    check_range("strength", strength, 0.0, 1.0)
    check_choice("swing", swing, SWINGS)
    if not notes:
        return []
    end = max(duration or 0.0, max(note.offset for note in notes))
    sung, target = _swing_points(notes, tempo, grid, swing)
    is_even_compound = tempo.is_compound and sung != target
    n_steps = (_COMPOUND_GRIDS if tempo.is_compound and not is_even_compound else GRIDS)[grid]

    def places(times: NDArray[np.float64]) -> NDArray[np.float64]:
        return _bend(tempo.to_beats(times), sung, STRAIGHT)

    def seconds(steps: NDArray[np.float64]) -> NDArray[np.float64]:
        return tempo.to_seconds(_bend(steps / n_steps, STRAIGHT, target))

    onsets = np.array([note.onset for note in notes])
    offsets = np.array([note.offset for note in notes])
    candidates = _candidates(places(onsets) * n_steps)
    times = seconds(candidates)
    times[np.abs(times) < _TINY] = 0.0  # the first beat may be computed as -1e-14 s
    times[-1] = onsets
    moved = _place_onsets(places(onsets) * n_steps, candidates, times, end)
    ends = seconds(np.rint(places(offsets) * n_steps))
    moved, ends = onsets + strength * (moved - onsets), offsets + strength * (ends - offsets)
    return _apply_times(notes, moved, ends, strength, end)


def estimate_swing(notes: Sequence[Note], tempo: Tempo) -> float:
    """Estimate the onset of the second eighth within the beat: 0.5 straight, 0.67 a triplet swing.

    Returns
    -------
    float
        0.5 unless most of at least four notes between two beats are late.
    """
    shares = tempo.to_beats([note.onset for note in notes]) % 1.0
    between = shares[(shares > 0.42) & (shares < 0.78)]
    if len(between) < _MIN_SWUNG:
        return STRAIGHT
    middle = float(np.median(between))
    # Sixteenths lie at 0.5 and 0.75: their median may be that of a swing, but their spread is larger.
    is_swung = _SWUNG[0] <= middle <= _SWUNG[1] and float(np.mean(np.abs(between - middle) < 0.07)) > 0.7
    return middle if is_swung and middle < 0.72 else STRAIGHT


def straighten(places: NDArray[np.float64], swing: float) -> NDArray[np.float64]:
    """Map places in beats so that the second of two swung eighths, at ``swing`` (0-1), is half way."""
    return _bend(places, swing, STRAIGHT)


def _bend(places: NDArray[np.float64], middle: float, to: float) -> NDArray[np.float64]:
    """Map the point ``middle`` of each beat to ``to``, and the rest linearly."""
    if middle == to:
        return places
    beat = np.floor(places)
    return np.asarray(beat + np.interp(places - beat, [0.0, middle, 1.0], [0.0, to, 1.0]))


def _swing_points(notes: Sequence[Note], tempo: Tempo, grid: str, swing: str) -> tuple[float, float]:
    """Return the sung and the target onset of the second eighth of a beat; a grid of thirds has no swing."""
    is_triplet = grid.endswith("t")
    if is_triplet or (tempo.is_compound and swing == "keep"):
        return STRAIGHT, STRAIGHT
    sung = estimate_swing(notes, tempo)
    return sung, sung if swing == "keep" else STRAIGHT


def _candidates(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the candidate steps of each note, shape (candidate, note); the last is its own position."""
    fine = _FINENESS[:, None]
    return np.concatenate([(np.floor(steps * fine) + _NEIGHBOURS[:, None]) / fine, steps[None]])


def _place_onsets(
    steps: NDArray[np.float64], candidates: NDArray[np.float64], times: NDArray[np.float64], end: float
) -> NDArray[np.float64]:
    """Choose candidates in order by dynamic programming; return the onsets in seconds (note,)."""
    cost = (candidates - steps) ** 2 + _COSTS[:, None]
    stay = len(_COSTS) - 1
    outside = (times < 0) | (times > end - MIN_DURATION / 2)
    outside[stay] = False
    cost[outside] = np.inf
    total = cost[:, 0]
    back = np.zeros(cost.shape, dtype=np.int64)
    for note in range(1, cost.shape[1]):
        early = candidates[:, None, note] >= candidates[None, :, note - 1] + _MIN_DISTANCE
        early[stay, stay] = True
        reach = np.where(early, total[None, :], np.inf)  # (candidate now, candidate before)
        back[:, note] = np.argmin(reach, axis=1)
        total = reach[np.arange(len(reach)), back[:, note]] + cost[:, note]
    chosen = int(np.argmin(total))
    moved = np.empty(cost.shape[1])
    for note in range(cost.shape[1] - 1, -1, -1):
        moved[note] = times[chosen, note]
        chosen = int(back[chosen, note])
    return moved


def _apply_times(
    notes: Sequence[Note],
    onsets: NDArray[np.float64],
    offsets: NDArray[np.float64],
    strength: float,
    end: float,
) -> list[Note]:
    """Apply the new times: a note is held to the next one if it was, never beyond it, and is never empty."""
    limits = np.append(np.where(np.diff(onsets) > 0, onsets[1:], np.inf), np.inf)
    played = []
    following = [*(after.onset - note.offset for note, after in pairwise(notes)), np.inf]
    for note, onset, offset, limit, gap in zip(notes, onsets, offsets, limits, following, strict=True):
        if gap < _BOUND and np.isfinite(limit):
            offset += strength * max(0.0, limit - offset)
        last = min(limit, end)
        offset = min(max(offset, onset + min(MIN_DURATION, last - onset)), last)
        played.append(replace(note, onset=float(onset), offset=float(offset)))
    return played


def bind(notes: Sequence[Note]) -> list[Note]:
    """Extend each note to the next onset where the gap is at most ``LEGATO_GAP``."""
    bound = [
        replace(note, offset=after.onset) if 0 < after.onset - note.offset <= LEGATO_GAP else note
        for note, after in pairwise(notes)
    ]
    return [*bound, *notes[-1:]]
