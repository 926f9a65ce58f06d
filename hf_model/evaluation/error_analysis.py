"""What kind of mistake a transcription makes of each note, and what kind of note it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note

ONSET_TOLERANCE = 0.05
"""Seconds, either side: as the scores have it."""

OFFSET_RATIO = 0.2
"""An offset may be off by the larger of this share of the note and ``ONSET_TOLERANCE``."""

PITCH_TOLERANCE = 0.5
"""Semitones."""

QUARTER_TONE, SEMITONE = 0.75, 1.5
"""Semitones: up to the first a pitch is a near miss, up to the second a semitone off."""

MOVED = 0.25
"""Seconds: a note of the right pitch whose onset is off by no more is early or late, not missed."""

COVERED = 0.5
"""Share of a note that another must fill to stand for it."""

RIGHT = "right"
KINDS = (
    "missed",
    "extra",
    "split",
    "merged",
    "octave",
    "semitone",
    "50-75 cents",
    "other pitch",
    "onset early",
    "onset late",
    "offset early",
    "offset late",
)
"""Every way to be wrong. ``merged`` are both notes that were heard as one; what a split note was split into is not
``extra``."""

SHORT, LONG = 0.25, 0.6
"""Seconds: shorter and longer notes."""

LOW, HIGH = 55.0, 67.0
"""MIDI numbers: lower notes, and those from here on."""

STEP = 2.5
"""Semitones: a larger interval is a leap."""

LEGATO, PHRASE = 0.03, 0.4
"""Seconds of silence: less is none, more divides phrases."""


@dataclass(frozen=True)
class Verdict:
    """What became of one note.

    Attributes
    ----------
    kind : str
        ``RIGHT`` or one of ``KINDS``.
    reference, estimate : Note, optional
        The labelled note (none if ``extra``) and the one heard for it, if any.
    traits : tuple of str
        What kind of note it was (:func:`traits`); empty if ``extra``.
    """

    kind: str
    reference: Note | None
    estimate: Note | None
    traits: tuple[str, ...] = ()

    @property
    def onset(self) -> float:
        """Seconds: where to look."""
        note = self.reference or self.estimate
        return note.onset if note else 0.0


def judge(reference: Sequence[Note], estimate: Sequence[Note]) -> list[Verdict]:
    """Say of every note of the reference what became of it, and list the estimated notes that nobody sang.

    Parameters
    ----------
    reference, estimate : sequence of Note
        One voice: notes do not overlap.

    Returns
    -------
    list of Verdict
        One for each reference note, in order, each of exactly one kind; then one for each ``extra`` note. A note is
        "right" where COnPOff counts it.
    """
    truth, heard = sorted(reference), sorted(estimate)
    partner = _pair(truth, heard)
    kinds: dict[int, str] = {}
    explained = set(partner.values())
    for index, note in enumerate(truth):
        if index in partner:
            kinds[index] = _kind_of_pair(note, heard[partner[index]])
    for index, note in enumerate(truth):
        if kinds.get(index) == "offset early":
            rest = [i for i in _inside(note, heard) if i not in explained and _same_pitch(note, heard[i])]
            if rest:
                kinds[index] = "split"
                explained.update(rest)
    for index, note in enumerate(truth):
        if index in partner:
            continue
        kinds[index], found = _kind_without_onset(note, heard, explained)
        if found is not None and kinds[index] == "merged":
            owner = next((i for i, j in partner.items() if j == found), None)
            if owner is not None and kinds[owner] == "offset late":
                kinds[owner] = "merged"
        if found is not None:
            partner[index] = found
            explained.add(found)
    kept = [
        Verdict(kinds[i], note, heard[partner[i]] if i in partner else None, found)
        for i, (note, found) in enumerate(zip(truth, traits(truth), strict=True))
    ]
    return kept + [Verdict("extra", None, note) for i, note in enumerate(heard) if i not in explained]


def traits(notes: Sequence[Note]) -> Iterator[tuple[str, ...]]:
    """Say of each note of a melody, in order of onset, what kind of note it is: five traits, one of each family.

    Duration (short, middling, long), pitch (low, middle, high), how it is reached (first of a phrase, legato onset,
    onset after a gap), from where (repeated pitch, step, leap; nothing at the beginning), where it stands (last of a
    phrase; nothing elsewhere).
    """
    for index, note in enumerate(notes):
        before = notes[index - 1] if index else None
        after = notes[index + 1] if index + 1 < len(notes) else None
        found = ["short" if note.duration < SHORT else "long" if note.duration > LONG else "middling"]
        found.append("low" if note.pitch < LOW else "high" if note.pitch >= HIGH else "middle")
        if before is None or note.onset - before.offset > PHRASE:
            found.append("first of a phrase")
        else:
            found.append("legato onset" if note.onset - before.offset < LEGATO else "onset after a gap")
        if before is not None:
            interval = abs(note.pitch - before.pitch)
            found.append("repeated pitch" if interval <= PITCH_TOLERANCE else "step" if interval < STEP else "leap")
        if after is None or after.onset - note.offset > PHRASE:
            found.append("last of a phrase")
        yield tuple(found)


TRAITS = (
    *("short", "middling", "long", "low", "middle", "high", "first of a phrase", "legato onset", "onset after a gap"),
    *("repeated pitch", "step", "leap", "last of a phrase"),
)
"""All that :func:`traits` says."""


def _pair(truth: Sequence[Note], heard: Sequence[Note]) -> dict[int, int]:
    """Pair notes whose onsets are within the tolerance: as many right ones as COnPOff counts, then all that can be."""
    if not truth or not heard:
        return {}
    from scipy.optimize import linear_sum_assignment

    away = np.abs(_column(truth, "onset")[:, None] - _column(heard, "onset")[None])
    pitch = np.abs(_column(truth, "pitch")[:, None] - _column(heard, "pitch")[None])
    late = np.abs(_column(truth, "offset")[:, None] - _column(heard, "offset")[None])
    allowed = away.round(4) <= ONSET_TOLERANCE
    # right in all, then in pitch, then in onset, then near: no number of lesser pairs outweighs a better one
    tolerance = np.array([offset_tolerance(note) for note in truth])[:, None]
    right = allowed & (pitch <= PITCH_TOLERANCE)
    worth = 1e6 * (right & (late.round(4) <= tolerance)) + 1e3 * right + 1.0 * allowed - 0.01 * allowed * away
    rows, columns = linear_sum_assignment(-worth)
    return {int(i): int(j) for i, j in zip(rows, columns, strict=True) if allowed[i, j]}


def offset_tolerance(note: Note) -> float:
    """Seconds by which a note's offset may be off."""
    return max(ONSET_TOLERANCE, OFFSET_RATIO * note.duration)


def _column(notes: Sequence[Note], name: str) -> NDArray[np.float64]:
    return np.array([getattr(note, name) for note in notes], dtype=np.float64)


def _kind_of_pair(note: Note, found: Note) -> str:
    """Judge two notes that begin together."""
    if not _same_pitch(note, found):
        return _kind_of_pitch(found.pitch - note.pitch)
    late = found.offset - note.offset
    if round(abs(late), 4) <= offset_tolerance(note):
        return RIGHT
    return "offset late" if late > 0 else "offset early"


def _kind_of_pitch(away: float) -> str:
    octaves = round(away / 12)
    if octaves and abs(away - 12 * octaves) <= PITCH_TOLERANCE:
        return "octave"
    return "50-75 cents" if abs(away) < QUARTER_TONE else "semitone" if abs(away) < SEMITONE else "other pitch"


def _kind_without_onset(note: Note, heard: Sequence[Note], explained: set[int]) -> tuple[str, int | None]:
    """Judge a note whose onset was not found: moved, swallowed by a neighbour, or missed; and by what it was heard."""
    over = [i for i, other in enumerate(heard) if _overlap(note, other) >= COVERED * min(note.duration, other.duration)]
    moved = [
        i
        for i in over
        if i not in explained and _same_pitch(note, heard[i]) and abs(heard[i].onset - note.onset) <= MOVED
    ]
    if moved:
        nearest = min(moved, key=lambda i: abs(heard[i].onset - note.onset))
        return ("onset early" if heard[nearest].onset < note.onset else "onset late"), nearest
    swallowing = [i for i in over if i in explained and _overlap(note, heard[i]) >= COVERED * note.duration]
    return ("merged", swallowing[0]) if swallowing else ("missed", None)


def _inside(note: Note, heard: Sequence[Note]) -> list[int]:
    """Estimated notes that begin later inside the note and lie mostly in it."""
    return [
        i
        for i, other in enumerate(heard)
        if note.onset + ONSET_TOLERANCE < other.onset < note.offset
        and _overlap(note, other) >= COVERED * other.duration
    ]


def _same_pitch(note: Note, other: Note) -> bool:
    return abs(note.pitch - other.pitch) <= PITCH_TOLERANCE


def _overlap(note: Note, other: Note) -> float:
    return min(note.offset, other.offset) - max(note.onset, other.onset)
