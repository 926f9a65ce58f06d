"""Ornaments: grace notes, mordents and trills, merged into the notes that they ornament."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hf_model.notes.note import Note

ORNAMENT, GRACE = 0.14, 0.09
"""Seconds: longest ornament; longest ornament between two different pitches (a longer one is a passing note)."""

TWO_NOTES = 0.35
"""Seconds; if both notes around a mordent are as long, they are two notes."""

STABLE = 1.8
"""Ratio of durations from which a note can be an ornament of its neighbour."""

MAX_GAP = 0.0625
"""Seconds between an ornament and its main note."""


def remove_ornaments(notes: Sequence[Note]) -> list[Note]:
    """Merge grace notes, mordents, trills and fragments of split notes into the main notes.

    Short notes without a long neighbour stay: they are a fast melody.
    """
    kept = list(notes)
    for index in sorted(range(len(kept)), key=lambda i: notes[i].duration):
        short = notes[index]
        if short.duration >= ORNAMENT:
            break
        place = next((i for i, note in enumerate(kept) if note is short), None)
        if place is None:
            continue  # it was extended over a shorter note and is no ornament any more
        before = kept[place - 1] if place > 0 and short.onset - kept[place - 1].offset < MAX_GAP else None
        after = kept[place + 1] if place + 1 < len(kept) and kept[place + 1].onset - short.offset < MAX_GAP else None
        main_note = _main_note(short, before, after)
        if main_note is None:
            continue
        if before is not None and after is not None and _is_mordent(before, after):
            kept[place - 1 : place + 2] = [replace(before, offset=after.offset)]
        elif main_note is before:
            kept[place - 1 : place + 1] = [replace(main_note, offset=max(main_note.offset, short.offset))]
        else:
            kept[place : place + 2] = [replace(main_note, onset=short.onset)]
    return _join_fragments(kept)


def _main_note(short: Note, before: Note | None, after: Note | None) -> Note | None:
    """Choose the neighbour that a short note ornaments; None if it is no ornament."""
    stable = [note for note in (before, after) if note is not None and note.duration >= STABLE * short.duration]
    near = [note for note in stable if 0.5 <= abs(note.pitch - short.pitch) <= 2.5]
    if not near:
        return None
    if before is not None and after is not None and abs(before.pitch - after.pitch) < 0.5:
        return before if before in near else after
    if short.duration >= GRACE:
        return None
    return max(near, key=lambda note: note.duration)


def _is_mordent(before: Note, after: Note) -> bool:
    """Whether the notes around an ornament are one note: the same pitch, and one of them short."""
    return abs(before.pitch - after.pitch) < 0.5 and min(before.duration, after.duration) < TWO_NOTES


def _join_fragments(notes: Sequence[Note]) -> list[Note]:
    """Join neighbouring notes of one pitch without a gap if one is a fragment."""
    joined: list[Note] = []
    for note in notes:
        last = joined[-1] if joined else None
        is_split = last is not None and note.onset - last.offset < 0.03 and abs(note.pitch - last.pitch) < 0.5
        if last is not None and is_split and min(last.duration, note.duration) < ORNAMENT:
            longer = max(last, note, key=lambda part: part.duration)
            joined[-1] = replace(longer, onset=last.onset, offset=note.offset)
        else:
            joined.append(note)
    return joined
