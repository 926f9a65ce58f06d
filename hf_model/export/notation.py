"""From performed to written: notes on sixteenths or triplets, in bars, cut into signs that are tied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

DIVISIONS = (4, 3, 6, 8)
"""Steps in a beat, the plainest first: sixteenths, triplets, sextuplets, thirty-seconds."""

COMPOUND_DIVISIONS = (3, 6, 12)
"""The same where a beat is a dotted quarter."""

PLAIN = 0.6
"""A less plain division must fit so many times better."""

EARLY = 1 / 16
"""Beats: so little before a beat still belongs to it."""

SHORT_REST = Fraction(1, 2)
"""Beats: a shorter silence between two notes is not written."""

_PLAIN_SIGNS = tuple(Fraction(n, 8) for n in (1, 2, 3, 4, 6, 8))
_TRIPLET_SIGNS = tuple(Fraction(n, 6) for n in (1, 2, 4))
_COMPOUND_SIGNS = tuple(Fraction(n, 12) for n in (1, 2, 3, 4, 6, 8, 12))
"""Shares of a beat that one sign stands for."""

Placed = tuple[Fraction, Fraction, tuple[int, ...]]
"""Start and end in beats from the first downbeat, and the keys that sound."""


def notate(notes: Sequence[Note], tempo: Tempo) -> list[Placed]:
    """Put notes on the grid of a score.

    Parameters
    ----------
    notes : sequence of Note
        Sorted by onset; notes with one onset are a chord.
    tempo : Tempo

    Returns
    -------
    list of (Fraction, Fraction, keys)
        In order, without overlap; positions in beats from the first downbeat, negative in a pick-up. Of notes closer
        than a thirty-second the longest is written.
    """
    groups: list[list[Note]] = []
    for note in notes:
        if groups and note.onset - groups[-1][0].onset < 1e-3:
            groups[-1].append(note)
        else:
            groups.append([note])
    if not groups:
        return []
    onsets = tempo.to_beats([group[0].onset for group in groups]) - tempo.downbeat
    offsets = tempo.to_beats([max(note.offset for note in group) for group in groups]) - tempo.downbeat
    starts, grid = _on_grid(onsets, offsets, COMPOUND_DIVISIONS if tempo.is_compound else DIVISIONS)
    kept = sorted(starts)
    placed = []
    for k, following in zip(kept, [*kept[1:], None], strict=True):
        start = starts[k]
        end = max(
            start + Fraction(1, grid[math.floor(start)]), _nearest(offsets[k], grid, 3 if tempo.is_compound else 2)
        )
        if following is not None and starts[following] - end < SHORT_REST:
            end = starts[following]
        placed.append((start, end, tuple(sorted({int(note.pitch) for note in groups[k]}))))
    return placed


def _on_grid(
    onsets: NDArray[np.float64], offsets: NDArray[np.float64], divisions: Sequence[int]
) -> tuple[dict[int, Fraction], dict[int, int]]:
    """Choose in each beat the plainest division that fits.

    Returns
    -------
    starts : dict of int to Fraction
        By note; where two fall together the longer one stays.
    grid : dict of int to int
        Steps in a beat, for beats in which notes begin.
    """
    starts: dict[int, Fraction] = {}
    grid: dict[int, int] = {}
    beats = np.floor(onsets + EARLY).astype(np.int64)
    for beat in np.unique(beats):
        numbers = np.flatnonzero(beats == beat)
        inside = onsets[numbers] - beat
        division = _division(inside, divisions)
        grid[int(beat)] = division
        at: dict[int, int] = {}
        for number, step in zip(numbers, _steps(inside, division), strict=True):
            rival = at.get(int(step))
            if rival is None or offsets[number] - onsets[number] > offsets[rival] - onsets[rival]:
                at[int(step)] = int(number)
        starts.update({number: int(beat) + Fraction(step, division) for step, number in at.items()})
    return starts, grid


def _steps(inside: NDArray[np.float64], division: int) -> NDArray[np.int64]:
    """Round places in a beat (0-1) to its steps; the next beat is not one of them."""
    return np.clip(np.round(inside * division), 0, division - 1).astype(np.int64)


def _division(inside: NDArray[np.float64], divisions: Sequence[int]) -> int:
    """Choose how to divide a beat, given its onsets (0-1)."""
    best, least = divisions[-1], math.inf
    for division in divisions:
        steps = _steps(inside, division)
        if len(set(steps.tolist())) < len(steps):
            continue
        error = float(np.abs(inside - steps / division).mean()) + 0.01
        if error < PLAIN * least:
            best, least = division, error
    return best


def _nearest(place: float, grid: dict[int, int], empty: int) -> Fraction:
    """Round an end to the steps of its beat; a beat in which nothing begins has ``empty`` steps."""
    beat = math.floor(place)
    division = grid.get(beat, empty)
    return beat + Fraction(round((place - beat) * division), division)


def lay_bars(placed: Sequence[Placed], beats_per_bar: int) -> list[tuple[Fraction, Fraction]]:
    """Lay bars over what is written: start and end in beats; a first bar that is shorter holds a pick-up."""
    first = min((start for start, _, _ in placed), default=Fraction(0))
    last = max((end for _, end, _ in placed), default=Fraction(beats_per_bar))
    start = math.floor(first / beats_per_bar) * beats_per_bar
    bars = [(Fraction(s), Fraction(s + beats_per_bar)) for s in range(start, math.ceil(last), beats_per_bar)]
    if first < 0 and math.floor(first) > start:
        bars[0] = (Fraction(math.floor(first)), bars[0][1])
    return bars


def with_rests(placed: Sequence[Placed], bars: Sequence[tuple[Fraction, Fraction]]) -> list[Placed]:
    """Fill what is silent with rests (no keys)."""
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


def cut(
    start: Fraction, end: Fraction, keys: tuple[int, ...], bars: Sequence[tuple[Fraction, Fraction]], tempo: Tempo
) -> list[tuple[Fraction, Fraction, tuple[int, ...], str | None]]:
    """Cut a note at bar lines and beats into lengths that a sign has; the pieces are tied."""
    cuts = {start, end} | {edge for bar in bars for edge in bar if start < edge < end}
    spans = []
    for a, b in pairwise(sorted(cuts)):
        spans += _signs(a, b, tempo)
    ties: list[str | None] = [None] * len(spans)
    if keys and len(spans) > 1:
        ties = ["start", *["continue"] * (len(spans) - 2), "stop"]
    return [(a, b - a, keys, tie) for (a, b), tie in zip(spans, ties, strict=True)]


def _signs(start: Fraction, end: Fraction, tempo: Tempo) -> list[tuple[Fraction, Fraction]]:
    """Cut what lies within a bar."""
    length = end - start
    whole = {Fraction(n) for n in ((1, 2, 4) if tempo.is_compound else (1, 2, 3, 4))}
    if start.denominator == 1 and length in whole:
        return [(start, end)]
    if not tempo.is_compound and start.denominator <= 2 and length in {Fraction(1), Fraction(3, 2)}:
        return [(start, end)]  # a syncopation, or a dotted quarter
    next_beat = Fraction(math.floor(start) + 1)
    if end <= next_beat:
        signs = (
            _COMPOUND_SIGNS
            if tempo.is_compound
            else _TRIPLET_SIGNS
            if start.denominator % 3 == 0 or end.denominator % 3 == 0
            else _PLAIN_SIGNS
        )
        part = max(sign for sign in signs if sign <= length)
        middle = start + part
    elif start.denominator == 1:
        middle = start + max((part for part in whole if part < length), default=Fraction(1))
    else:
        middle = next_beat
    first = [(start, middle)] if end <= next_beat else _signs(start, middle, tempo)
    return [*first, *(_signs(middle, end, tempo) if middle < end else [])]
