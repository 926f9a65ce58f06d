"""The sustaining pedal: where a pianist would take it in a melody, and what it does to the notes."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hf_model.config import check_range
from hf_model.notes.note import Note

LEGATO_GAP = 0.15
"""Seconds; notes with a longer rest between them are detached, and the rest is kept."""

PRESS_AFTER = 0.12
"""Seconds after the key: the pedal catches the new note alone, once the ones before it are damped."""

LIFT_AFTER = 0.06
"""Seconds for which the notes before still sound under the new one: legato without a blur."""

PHRASE_RING = 0.5
"""Seconds for which the end of a phrase rings on."""

LONGEST_HOLD = 2.0
"""Seconds; then the pedal is changed with the next note in any case."""

CONSONANT = frozenset({0, 3, 4, 5, 7, 8, 9})
"""Semitones, modulo the octave, of two notes that may sound together; with seconds and tritones the pedal changes."""


@dataclass(frozen=True, order=True)
class Pedal:
    """The pedal held down.

    Attributes
    ----------
    down, up : float
        Seconds, ``up`` after ``down``.

    Raises
    ------
    ConfigError
        For an impossible span.
    """

    down: float
    up: float

    def __post_init__(self) -> None:
        """Refuse a pedal that goes up before it goes down."""
        check_range("up - down", self.up - self.down, 1e-9, float("inf"))


def gentle_pedals(notes: Sequence[Note]) -> list[Pedal]:
    """Pedal a melody as a pianist would: in legato phrases only, changed with the harmony, lifted at the phrase's end.

    A pedal begins shortly after a note and ends shortly after the onset of the first note that does not blend with
    those it holds.

    Parameters
    ----------
    notes : sequence of Note
        Keys, in any order.

    Returns
    -------
    list of Pedal
        One after the other; none where notes are detached.
    """
    played = sorted(notes)
    pedals: list[Pedal] = []
    first = 0
    while first < len(played):
        last = _last_held(played, first)
        legato = last > first or (first > 0 and _is_legato(played[first - 1], played[first]))
        goes_on = last + 1 < len(played) and _is_legato(played[last], played[last + 1])
        if legato or goes_on:
            down = played[first].onset + PRESS_AFTER
            up = played[last + 1].onset + LIFT_AFTER if goes_on else _phrase_end(played, last)
            if up - down > LIFT_AFTER:
                pedals.append(Pedal(max(down, pedals[-1].up + 1e-3) if pedals else down, up))
        first = last + 1
    return pedals


def sustained(notes: Sequence[Note], pedals: Sequence[Pedal]) -> list[Note]:
    """Let notes that end while the pedal is down sound until it goes up.

    Parameters
    ----------
    notes : sequence of Note
        As the keys are held.
    pedals : sequence of Pedal
        In any order.

    Returns
    -------
    list of Note
        As they sound, in the same order; a key that is struck again is damped by whoever plays.
    """
    spans = sorted(pedals)
    starts = [span.down for span in spans]
    held = []
    for note in notes:
        offset = note.offset
        place = bisect.bisect_right(starts, offset) - 1
        if place >= 0 and offset < spans[place].up:
            offset = spans[place].up
        held.append(replace(note, offset=offset) if offset != note.offset else note)
    return held


def _last_held(played: Sequence[Note], first: int) -> int:
    """Find the last note that may sound together with note ``first`` and all between."""
    last = first
    while last + 1 < len(played):
        after = played[last + 1]
        blends = all((round(after.pitch) - round(note.pitch)) % 12 in CONSONANT for note in played[first : last + 1])
        fits = after.offset - played[first].onset <= LONGEST_HOLD
        if not (blends and fits and _is_legato(played[last], after)):
            break
        last += 1
    return last


def _is_legato(before: Note, after: Note) -> bool:
    return after.onset - before.offset <= LEGATO_GAP


def _phrase_end(played: Sequence[Note], last: int) -> float:
    """Give the time at which the pedal is lifted after a phrase: before the next note begins."""
    ring = played[last].offset + PHRASE_RING
    if last + 1 < len(played):
        ring = min(ring, 0.5 * (played[last].offset + played[last + 1].onset))
    return ring
