"""Notes put in time: onsets and offsets moved towards a grid of beats."""

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
"""Steps in a quarter by name; "t" are triplets."""

_COMPOUND_GRIDS = {"1/4": 1, "1/8": 3, "1/16": 6, "1/8t": 3, "1/16t": 6}
"""Steps in a dotted quarter."""

SWINGS = ("keep", "straighten")

STRAIGHT = 0.5
_SWUNG = (0.56, 0.75)
"""Share of the beat at which the second eighth begins when it counts as swung."""

_FEWEST_SWUNG = 4
SHORTEST = 0.03
"""Seconds; what is left of a note at least, where there is room."""

_BOUND = 0.06
"""Seconds; a shorter silence before the next note is none: the note is held until there."""

_COSTS = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 4.0])
_FINENESS = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0])
_NEIGHBOURS = np.array([-1.0, 0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 1.0])
"""Where a note may go: four steps around it, two half steps, two quarter steps, nowhere; all but steps cost extra."""

_NOW = 1e-6
_CLOSEST = 0.2
"""Steps between two notes that were moved."""


def quantize(
    notes: Sequence[Note],
    tempo: Tempo,
    grid: str = "1/16",
    *,
    strength: float = 1.0,
    swing: str = "keep",
    duration: float | None = None,
) -> list[Note]:
    """Put notes in time.

    All onsets are placed together, in order: where two notes would share a step, one takes a finer one.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset.
    tempo : Tempo
        Where the beats are.
    grid : {"1/4", "1/8", "1/16", "1/8t", "1/16t"}
        The note values of the grid; in 6/8 eighths are thirds of the beat.
    strength : float
        0 leaves notes where they are, 1 moves them onto the grid.
    swing : {"keep", "straighten"}
        What becomes of eighths that are sung long and short in turn: a grid that swings as much as the singer did, or
        even eighths.
    duration : float, optional
        Seconds; no note ends later.

    Returns
    -------
    list of Note
        As many notes in the same order, none of zero length, none that overlaps its neighbour unless it did before.

    Raises
    ------
    ConfigError
        For a grid, strength or swing that does not exist.
    """
    check_choice("quantize", grid, GRIDS)
    check_range("strength", strength, 0.0, 1.0)
    check_choice("swing", swing, SWINGS)
    if not notes:
        return []
    end = max(duration or 0.0, max(note.offset for note in notes))
    sung, wanted = _middles(notes, tempo, grid, swing)
    is_even_compound = tempo.is_compound and sung != wanted
    n_steps = (_COMPOUND_GRIDS if tempo.is_compound and not is_even_compound else GRIDS)[grid]

    def places(times: NDArray[np.float64]) -> NDArray[np.float64]:
        return _bend(tempo.to_beats(times), sung, STRAIGHT)

    def seconds(steps: NDArray[np.float64]) -> NDArray[np.float64]:
        return tempo.to_seconds(_bend(steps / n_steps, STRAIGHT, wanted))

    onsets = np.array([note.onset for note in notes])
    offsets = np.array([note.offset for note in notes])
    candidates = _candidates(places(onsets) * n_steps)
    times = seconds(candidates)
    times[np.abs(times) < _NOW] = 0.0  # the first beat may be computed as -1e-14 s
    times[-1] = onsets
    moved = _in_order(places(onsets) * n_steps, candidates, times, end)
    ends = seconds(np.rint(places(offsets) * n_steps))
    return _joined(notes, onsets + strength * (moved - onsets), offsets + strength * (ends - offsets), strength, end)


def estimate_swing(notes: Sequence[Note], tempo: Tempo) -> float:
    """Estimate where in the beat the second eighth begins: 0.5 straight, 0.67 a triplet swing.

    Returns
    -------
    float
        0.5 unless most of at least four notes between two beats come late.
    """
    shares = tempo.to_beats([note.onset for note in notes]) % 1.0
    between = shares[(shares > 0.42) & (shares < 0.78)]
    if len(between) < _FEWEST_SWUNG:
        return STRAIGHT
    middle = float(np.median(between))
    # Sixteenths lie at 0.5 and 0.75: their median may look swung, but their spread does not.
    is_swung = _SWUNG[0] <= middle <= _SWUNG[1] and float(np.mean(np.abs(between - middle) < 0.07)) > 0.7
    return middle if is_swung and middle < 0.72 else STRAIGHT


def _bend(places: NDArray[np.float64], middle: float, to: float) -> NDArray[np.float64]:
    """Move what lies at ``middle`` of each beat to ``to``, the rest in proportion."""
    if middle == to:
        return places
    beat = np.floor(places)
    return np.asarray(beat + np.interp(places - beat, [0.0, middle, 1.0], [0.0, to, 1.0]))


def _middles(notes: Sequence[Note], tempo: Tempo, grid: str, swing: str) -> tuple[float, float]:
    """Where the second eighth of a beat was sung, and where it shall be; thirds of a beat swing by themselves."""
    is_triplet = grid.endswith("t")
    if is_triplet or (tempo.is_compound and swing == "keep"):
        return STRAIGHT, STRAIGHT
    sung = estimate_swing(notes, tempo)
    return sung, sung if swing == "keep" else STRAIGHT


def _candidates(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the steps where each note may go, shape (candidate, note); the last one is where it is."""
    fine = _FINENESS[:, None]
    return np.concatenate([(np.floor(steps * fine) + _NEIGHBOURS[:, None]) / fine, steps[None]])


def _in_order(
    steps: NDArray[np.float64], candidates: NDArray[np.float64], times: NDArray[np.float64], end: float
) -> NDArray[np.float64]:
    """Choose for all notes together, by dynamic programming, so that none overtakes another; return seconds (note,)."""
    cost = (candidates - steps) ** 2 + _COSTS[:, None]
    stay = len(_COSTS) - 1
    outside = (times < 0) | (times > end - SHORTEST / 2)
    outside[stay] = False
    cost[outside] = np.inf
    total = cost[:, 0]
    back = np.zeros(cost.shape, dtype=np.int64)
    for note in range(1, cost.shape[1]):
        early = candidates[:, None, note] >= candidates[None, :, note - 1] + _CLOSEST
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


def _joined(
    notes: Sequence[Note],
    onsets: NDArray[np.float64],
    offsets: NDArray[np.float64],
    strength: float,
    end: float,
) -> list[Note]:
    """Give every note its new times: held to the next one if it was, never beyond it, never nothing."""
    limits = np.append(np.where(np.diff(onsets) > 0, onsets[1:], np.inf), np.inf)
    played = []
    following = [*(after.onset - note.offset for note, after in pairwise(notes)), np.inf]
    for note, onset, offset, limit, gap in zip(notes, onsets, offsets, limits, following, strict=True):
        if gap < _BOUND and np.isfinite(limit):
            offset += strength * max(0.0, limit - offset)
        last = min(limit, end)
        offset = min(max(offset, onset + min(SHORTEST, last - onset)), last)
        played.append(replace(note, onset=float(onset), offset=float(offset)))
    return played
