"""The kinds of errors of a transcription, note by note, and the traits of the notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from hf_model.evaluation.note_matching import ONSET_TOLERANCE, PITCH_TOLERANCE, find_hits, offset_tolerance
from hf_model.notes.note import Note

QUARTER_TONE, SEMITONE = 0.75, 1.5
"""Semitones: limits of the pitch errors "50-75 cents" and "semitone"."""

MOVED = 0.25
"""Seconds: a note of the right pitch whose onset error is no larger is early or late, not missed."""

COVERED = 0.5
"""Share of a note that another must cover to count as its estimate."""

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
"""Each wrong note is of one kind. ``merged``: both of two notes that were transcribed as one. The parts of a ``split``
note are not ``extra``."""

SHORT, LONG = 0.25, 0.6
"""Seconds: shorter and longer notes."""

LOW, HIGH = 55.0, 67.0
"""MIDI numbers: below the first, and from the second on."""

STEP = 2.5
"""Semitones: a larger interval is a leap."""

LEGATO, PHRASE = 0.03, 0.4
"""Seconds of silence before a note: less is legato, more begins a phrase."""


@dataclass(frozen=True)
class NoteOutcome:
    """The result for one note.

    Attributes
    ----------
    kind : str
        ``RIGHT`` or one of ``KINDS``.
    reference, estimate : Note, optional
        The labelled note (None if ``extra``) and its estimate (None if ``missed``).
    traits : tuple of str
        As :func:`traits` gives them; empty if ``extra``.
    """

    kind: str
    reference: Note | None
    estimate: Note | None
    traits: tuple[str, ...] = ()

    @property
    def onset(self) -> float:
        """Seconds: the labelled onset, the estimated one of an ``extra`` note."""
        note = self.reference or self.estimate
        return note.onset if note else 0.0


def classify_errors(reference: Sequence[Note], estimate: Sequence[Note]) -> list[NoteOutcome]:
    """Classify every note of the reference, and every estimated note that belongs to none of them.

    Parameters
    ----------
    reference, estimate : sequence of Note
        One voice: notes do not overlap.

    Returns
    -------
    list of NoteOutcome
        One for each reference note, sorted, then one for each ``extra`` note. A note is "right" where COnPOff counts
        it.
    """
    reference, estimate = sorted(reference), sorted(estimate)
    partner = _pair(reference, estimate)
    used = set(partner.values())
    kinds = {i: _kind_of_pair(reference[i], estimate[j]) for i, j in partner.items()}
    for index, note in enumerate(reference):
        if kinds.get(index) == "offset early":
            rest = [i for i in _inside(note, estimate) if i not in used and _same_pitch(note, estimate[i])]
            if rest:
                kinds[index] = "split"
                used.update(rest)
    for index, note in enumerate(reference):
        if index in partner:
            continue
        kinds[index], found = _kind_without_onset(note, estimate, used)
        if found is not None and kinds[index] == "merged":
            owner = next((i for i, j in partner.items() if j == found), None)
            if owner is not None and kinds[owner] == "offset late":
                kinds[owner] = "merged"
        if found is not None:
            partner[index] = found
            used.add(found)
    outcomes = [
        NoteOutcome(kinds[i], note, estimate[partner[i]] if i in partner else None, its_traits)
        for i, (note, its_traits) in enumerate(zip(reference, traits(reference), strict=True))
    ]
    return outcomes + [NoteOutcome("extra", None, note) for i, note in enumerate(estimate) if i not in used]


def traits(notes: Sequence[Note]) -> Iterator[tuple[str, ...]]:
    """Give the traits of each note of a melody, in order of onset.

    Duration (short, middling, long), pitch (low, middle, high), onset (first of a phrase, legato onset, onset after a
    gap), interval (repeated pitch, step, leap; none for the first note), and for some: last of a phrase.
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
"""All values of :func:`traits`."""


def _pair(reference: Sequence[Note], estimate: Sequence[Note]) -> dict[int, int]:
    """Pair notes whose onsets are within the tolerance: as many right ones as COnPOff counts, then all possible."""
    if not reference or not estimate:
        return {}
    con, conp, conpoff = find_hits(reference, estimate)
    onsets = (np.array([note.onset for note in notes], dtype=np.float64) for notes in (reference, estimate))
    distance = np.abs(np.subtract.outer(*onsets))
    # right in all, then in pitch, then in onset, then near: no number of lesser pairs outweighs a better one
    worth = 1e6 * conpoff + 1e3 * conp + 1.0 * con - 0.01 * con * distance
    rows, columns = linear_sum_assignment(-worth)
    return {int(i): int(j) for i, j in zip(rows, columns, strict=True) if con[i, j]}


def _kind_of_pair(note: Note, found: Note) -> str:
    """Classify a pair of notes whose onsets match."""
    if not _same_pitch(note, found):
        return _kind_of_pitch(found.pitch - note.pitch)
    late = found.offset - note.offset
    if round(abs(late), 4) <= offset_tolerance(note.duration):
        return RIGHT
    return "offset late" if late > 0 else "offset early"


def _kind_of_pitch(away: float) -> str:
    octaves = round(away / 12)
    if octaves and abs(away - 12 * octaves) <= PITCH_TOLERANCE:
        return "octave"
    return "50-75 cents" if abs(away) < QUARTER_TONE else "semitone" if abs(away) < SEMITONE else "other pitch"


def _kind_without_onset(note: Note, estimate: Sequence[Note], used: set[int]) -> tuple[str, int | None]:
    """Classify a note whose onset matches none, as moved, merged or missed, with the index of its estimate if any."""
    over = [
        i for i, other in enumerate(estimate) if _overlap(note, other) >= COVERED * min(note.duration, other.duration)
    ]
    moved = [
        i
        for i in over
        if i not in used and _same_pitch(note, estimate[i]) and abs(estimate[i].onset - note.onset) <= MOVED
    ]
    if moved:
        nearest = min(moved, key=lambda i: abs(estimate[i].onset - note.onset))
        return ("onset early" if estimate[nearest].onset < note.onset else "onset late"), nearest
    merged_into = [i for i in over if i in used and _overlap(note, estimate[i]) >= COVERED * note.duration]
    return ("merged", merged_into[0]) if merged_into else ("missed", None)


def _inside(note: Note, estimate: Sequence[Note]) -> list[int]:
    """List the indices of estimated notes that begin later inside the note and lie mostly in it."""
    return [
        i
        for i, other in enumerate(estimate)
        if note.onset + ONSET_TOLERANCE < other.onset < note.offset
        and _overlap(note, other) >= COVERED * other.duration
    ]


def _same_pitch(note: Note, other: Note) -> bool:
    return abs(note.pitch - other.pitch) <= PITCH_TOLERANCE


def _overlap(note: Note, other: Note) -> float:
    return min(note.offset, other.offset) - max(note.onset, other.onset)
