"""Notation: performed notes on sixteenths or triplets, in bars, split into tied note values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.music.quantization import STRAIGHT, straighten
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

DIVISIONS = ((4, 3), (6, 8))
"""Divisions of a beat, the simplest first: sixteenths, triplets; if these have no place for every note, sextuplets and
thirty-seconds."""

COMPOUND_DIVISIONS = ((3, 6), (12,))
"""The same where a beat is a dotted quarter."""

COARSER = {6: 3, 8: 4}
COMPOUND_COARSER = {12: 6}
"""The first note after a rest is on a coarser division: a rest is no shorter than a sixteenth or a triplet."""

SIMPLER = 0.6
"""A less simple division must have an error smaller by this factor."""

EARLY, COMPOUND_EARLY = 1 / 8, 1 / 12
"""Beats; an onset at most this much before a beat belongs to it: half a sixteenth."""

MIN_REST, MIN_REST_SECONDS = 0.45, 0.24
"""Beats and seconds; a shorter gap between two notes is a breath, which is not written."""

_SIMPLE_VALUES = tuple(Fraction(n, 8) for n in (1, 2, 3, 4, 6, 8))
_TRIPLET_VALUES = tuple(Fraction(n, 6) for n in (1, 2, 4))
_COMPOUND_VALUES = tuple(Fraction(n, 12) for n in (1, 2, 3, 4, 6, 8, 12))
"""Fractions of a beat with a note value of their own."""

Placed = tuple[Fraction, Fraction, tuple[int, ...]]
"""Start and end in beats from the first downbeat, and the keys that sound."""


def notate(notes: Sequence[Note], tempo: Tempo, swing: float = STRAIGHT) -> list[Placed]:
    """Quantise notes to the grid of a score.

    Parameters
    ----------
    notes : sequence of Note
        Sorted by onset; notes with one onset are a chord.
    tempo : Tempo
    swing : float
        Place in the beat of the second of two swung eighths, which are written as even ones.

    Returns
    -------
    list of (Fraction, Fraction, keys)
        Sorted, without overlap; positions in beats from the first downbeat, negative in a pick-up. Of notes closer
        than a thirty-second the longest is kept.
    """
    groups: list[list[Note]] = []
    for note in notes:
        if groups and note.onset - groups[-1][0].onset < 1e-3:
            groups[-1].append(note)
        else:
            groups.append([note])
    if not groups:
        return []
    onsets, offsets = (
        straighten(tempo.to_beats(times), swing) - tempo.downbeat
        for times in ([group[0].onset for group in groups], [max(note.offset for note in group) for group in groups])
    )
    if tempo.is_compound:
        starts, grid = _on_grid(onsets, offsets, COMPOUND_DIVISIONS, COMPOUND_EARLY)
    else:
        starts, grid = _on_grid(onsets, offsets, DIVISIONS, EARLY)
    kept = sorted(starts)
    placed = []
    for k, following in zip(kept, [*kept[1:], None], strict=True):
        start, end = starts[k], None
        if following is not None:
            gap = groups[following][0].onset - max(note.offset for note in groups[k])
            if onsets[following] - offsets[k] < MIN_REST or gap < MIN_REST_SECONDS:
                end = starts[following]
        if end is None:
            end = _end_before_rest(start, float(offsets[k]), grid, 3 if tempo.is_compound else 2)
            if following is not None:
                division = grid[math.floor(starts[following])]
                coarse = (COMPOUND_COARSER if tempo.is_compound else COARSER).get(division, division)
                starts[following] = Fraction(math.floor(starts[following] * coarse), coarse)
                end = min(end, starts[following])
        placed.append((start, end, tuple(sorted({int(note.pitch) for note in groups[k]}))))
    return placed


def _on_grid(
    onsets: NDArray[np.float64], offsets: NDArray[np.float64], divisions: Sequence[Sequence[int]], early: float
) -> tuple[dict[int, Fraction], dict[int, int]]:
    """Choose the simplest division that fits in each beat.

    Returns
    -------
    starts : dict of int to Fraction
        By note; of two with the same start the longer one is kept.
    grid : dict of int to int
        Division of each beat in which notes begin.
    """
    starts: dict[int, Fraction] = {}
    grid: dict[int, int] = {}
    beats = np.floor(onsets + early).astype(np.int64)
    for beat in np.unique(beats):
        numbers = np.flatnonzero(beats == beat)
        inside = onsets[numbers] - beat
        division = _choose_division(inside, divisions)
        grid[int(beat)] = division
        at: dict[int, int] = {}
        for number, step in zip(numbers, _steps(inside, division), strict=True):
            other = at.get(int(step))
            if other is None or offsets[number] - onsets[number] > offsets[other] - onsets[other]:
                at[int(step)] = int(number)
        starts.update({number: int(beat) + Fraction(step, division) for step, number in at.items()})
    return starts, grid


def _steps(inside: NDArray[np.float64], division: int) -> NDArray[np.int64]:
    """Round positions in a beat (0-1) to its steps; the next beat is excluded."""
    return np.clip(np.round(inside * division), 0, division - 1).astype(np.int64)


def _choose_division(inside: NDArray[np.float64], divisions: Sequence[Sequence[int]]) -> int:
    """Choose the division of a beat from its onsets (0-1)."""
    for group in divisions:
        best, least = group[-1], math.inf
        for division in group:
            steps = _steps(inside, division)
            if len(set(steps.tolist())) == len(steps):
                error = float(np.abs(inside - steps / division).mean()) + 0.01
                if error < SIMPLER * least:
                    best, least = division, error
        if least < math.inf:
            return best
    return divisions[-1][-1]


def _end_before_rest(start: Fraction, place: float, grid: dict[int, int], parts: int) -> Fraction:
    """Round the end of a note to the next beat, or else to half a beat or thirds, so that no short rest follows.

    ``parts`` are those of a beat without onsets: 2, or 3 if it is a dotted quarter.
    """
    beat = math.floor(place + MIN_REST)
    place = max(place, float(beat))
    division = grid.get(beat, parts)
    coarse = 3 if division % 3 == 0 else 2
    end = beat + Fraction(round((place - beat) * coarse), coarse)
    return max(end, start + Fraction(1, grid[math.floor(start)]))


def beat_of(onset: float, tempo: Tempo) -> int:
    """Give the beat of an onset in seconds, from the first downbeat."""
    return math.floor(float(tempo.to_beats(onset)) + (COMPOUND_EARLY if tempo.is_compound else EARLY)) - tempo.downbeat


def lay_bars(
    placed: Sequence[Placed], beats_per_bar: int, opening: int | None = None
) -> list[tuple[Fraction, Fraction]]:
    """Give the bars: start and end in beats; the first bar begins on the beat of the first note, or of ``opening``."""
    first = min([start for start, _, _ in placed] or [Fraction(0)])
    first = first if opening is None else min(first, Fraction(opening))
    last = max((end for _, end, _ in placed), default=Fraction(beats_per_bar))
    start = math.floor(first / beats_per_bar) * beats_per_bar
    bars = [(Fraction(s), Fraction(s + beats_per_bar)) for s in range(start, math.ceil(last), beats_per_bar)]
    if math.floor(first) > start:
        bars[0] = (Fraction(math.floor(first)), bars[0][1])
    return bars


def with_rests(placed: Sequence[Placed], bars: Sequence[tuple[Fraction, Fraction]]) -> list[Placed]:
    """Fill gaps with rests (no keys)."""
    filled: list[Placed] = []
    now = bars[0][0]
    for start, end, keys in placed:
        if start > now:
            filled.append((now, start, ()))
        filled.append((start, end, keys))
        now = end
    if now < bars[-1][1]:
        filled.append((now, bars[-1][1], ()))
    return filled


def split(
    start: Fraction, end: Fraction, keys: tuple[int, ...], bars: Sequence[tuple[Fraction, Fraction]], tempo: Tempo
) -> list[tuple[Fraction, Fraction, tuple[int, ...], str | None]]:
    """Split a note at bar lines and beats into tied note values."""
    cuts = {start, end} | {edge for bar in bars for edge in bar if start < edge < end}
    spans = []
    for a, b in pairwise(sorted(cuts)):
        spans += _split_in_bar(a, b, tempo)
    ties: list[str | None] = [None] * len(spans)
    if keys and len(spans) > 1:
        ties = ["start", *["continue"] * (len(spans) - 2), "stop"]
    return [(a, b - a, keys, tie) for (a, b), tie in zip(spans, ties, strict=True)]


def _split_in_bar(start: Fraction, end: Fraction, tempo: Tempo) -> list[tuple[Fraction, Fraction]]:
    """Split a span within a bar."""
    length = end - start
    whole = {Fraction(n) for n in ((1, 2, 4) if tempo.is_compound else (1, 2, 3, 4))}
    if start.denominator == 1 and length in whole:
        return [(start, end)]
    if not tempo.is_compound and start.denominator <= 2 and length in {Fraction(1), Fraction(3, 2)}:
        return [(start, end)]  # a syncopation, or a dotted quarter
    next_beat = Fraction(math.floor(start) + 1)
    if end <= next_beat:
        values = (
            _COMPOUND_VALUES
            if tempo.is_compound
            else _TRIPLET_VALUES
            if start.denominator % 3 == 0 or end.denominator % 3 == 0
            else _SIMPLE_VALUES
        )
        if not tempo.is_compound and start.denominator > 1 and 6 in {start.denominator, end.denominator}:
            # Readers of MusicXML want whole triplets of sixteenths in either half of the beat.
            length = min(length, Fraction(math.floor(2 * start) + 1, 2) - start)
        part = max(value for value in values if value <= length)
        middle = start + part
    elif start.denominator == 1:
        middle = start + max((part for part in whole if part < length), default=Fraction(1))
    else:
        middle = next_beat
    first = [(start, middle)] if end <= next_beat else _split_in_bar(start, middle, tempo)
    return [*first, *(_split_in_bar(middle, end, tempo) if middle < end else [])]
