"""The sustain pedal: placing it in a melody, and its effect on note durations."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hf_model.config import check_range
from hf_model.notes.note import Note

LEGATO_GAP = 0.15
"""Seconds; notes with a longer rest between them are detached, and the pedal is up in the rest."""

PRESS_AFTER = 0.12
"""Seconds from the onset of a note to pedal down, so that the previous notes are already damped."""

LIFT_AFTER = 0.06
"""Seconds from the onset of the next note to pedal up: the overlap of a legato."""

PHRASE_RING = 0.5
"""Seconds by which the pedal prolongs the last note of a phrase."""

MAX_HOLD = 2.0
"""Seconds of notes held by one pedal."""

CONSONANT = frozenset({0, 3, 4, 5, 7, 8, 9})
"""Intervals in semitones, modulo the octave, of notes that may share a pedal."""


@dataclass(frozen=True, order=True)
class Pedal:
    """One span of the pedal.

    Attributes
    ----------
    down, up : float
        Seconds, ``up`` after ``down``.

    Raises
    ------
    ConfigError
        If ``up`` is not after ``down``.
    """

    down: float
    up: float

    def __post_init__(self) -> None:
        """Check the order."""
        check_range("up - down", self.up - self.down, 1e-9, float("inf"))


def place_pedals(notes: Sequence[Note]) -> list[Pedal]:
    """Place the pedal in a melody: in legato phrases, changed with the harmony, lifted at the end of a phrase.

    The pedal goes down shortly after a note, and up shortly after the onset of the first note that is not consonant
    with the notes it holds.

    Parameters
    ----------
    notes : sequence of Note
        Keys, in any order.

    Returns
    -------
    list of Pedal
        Sorted, without overlap; none where notes are detached.
    """
    played = sorted(notes)
    pedals: list[Pedal] = []
    first = 0
    while first < len(played):
        last = _last_held(played, first)
        legato = last > first or (first > 0 and _is_legato(played[first - 1], played[first]))
        continues = last + 1 < len(played) and _is_legato(played[last], played[last + 1])
        if legato or continues:
            down = played[first].onset + PRESS_AFTER
            up = played[last + 1].onset + LIFT_AFTER if continues else _phrase_end(played, last)
            if up - down > LIFT_AFTER:
                pedals.append(Pedal(max(down, pedals[-1].up + 1e-3) if pedals else down, up))
        first = last + 1
    return pedals


def apply_pedals(notes: Sequence[Note], pedals: Sequence[Pedal]) -> list[Note]:
    """Prolong notes that end while the pedal is down until it goes up.

    Parameters
    ----------
    notes : sequence of Note
        With the offsets of the keys.
    pedals : sequence of Pedal
        In any order.

    Returns
    -------
    list of Note
        With the offsets of the sound, in the same order; notes of the same key may overlap.
    """
    spans = sorted(pedals)
    starts = [span.down for span in spans]
    prolonged = []
    for note in notes:
        offset = note.offset
        index = bisect.bisect_right(starts, offset) - 1
        if index >= 0 and offset < spans[index].up:
            offset = spans[index].up
        prolonged.append(replace(note, offset=offset) if offset != note.offset else note)
    return prolonged


def _last_held(played: Sequence[Note], first: int) -> int:
    """Find the last note that may share a pedal with note ``first`` and all notes between."""
    last = first
    while last + 1 < len(played):
        following = played[last + 1]
        consonant = all(
            (round(following.pitch) - round(note.pitch)) % 12 in CONSONANT for note in played[first : last + 1]
        )
        fits = following.offset - played[first].onset <= MAX_HOLD
        if not (consonant and fits and _is_legato(played[last], following)):
            break
        last += 1
    return last


def _is_legato(previous: Note, following: Note) -> bool:
    return following.onset - previous.offset <= LEGATO_GAP


def _phrase_end(played: Sequence[Note], last: int) -> float:
    """Time at which the pedal goes up after a phrase, before the next note."""
    ring = played[last].offset + PHRASE_RING
    if last + 1 < len(played):
        ring = min(ring, 0.5 * (played[last].offset + played[last + 1].onset))
    return ring
