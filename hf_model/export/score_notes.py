"""The notes of a MusicXML document that was made from an arrangement, and which note of the arrangement each one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from xml.etree import ElementTree

from hf_model.export.musicxml import lay_out
from hf_model.music.arrangement import Arranged
from hf_model.notes.note import Note

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

Element = ElementTree.Element


@dataclass
class Head:
    """A note of the document: its place in beats from the first downbeat, and whether it continues the one before.

    Parts are counted from 0, the piano; the others are those of the band.
    """

    element: Element
    part: int
    place: Fraction
    length: Fraction
    key: int
    is_left: bool
    is_tied: bool


def list_heads(document: Element, arranged: Arranged) -> list[Head]:
    """List the notes of a document without its rests."""
    *_, bars = lay_out(arranged)
    quarter = Fraction(2, 3) if arranged.tempo.is_compound else Fraction(1)  # in beats
    found = []
    for number, part in enumerate(document.iter("part")):
        bar, divisions = bars[0][0], Fraction(1)
        for measure in part.iter("measure"):
            place = end = onset = bar
            for element in measure:
                divisions = Fraction(element.findtext("divisions") or divisions)
                length = Fraction(element.findtext("duration") or 0) / divisions * quarter
                if element.tag == "backup":
                    place -= length
                elif element.tag in {"note", "forward"}:
                    if element.find("chord") is None:
                        onset, place = place, place + length
                    if element.find("pitch") is not None:
                        found.append(_head(element, number, onset, length))
                end = max(end, place)
            bar = end
    return found


def _head(element: Element, part: int, place: Fraction, length: Fraction) -> Head:
    step, alter, octave = (element.findtext(f"pitch/{name}") for name in ("step", "alter", "octave"))
    key = 12 * (int(octave or 4) + 1) + _STEPS[step or "C"] + int(float(alter or 0))
    is_tied = any(tie.get("type") == "stop" for tie in element.findall("tie"))
    return Head(element, part, place, length, key, element.findtext("staff") == "2", is_tied)


def find_note(arranged: Arranged, head: Head) -> Note | None:
    """Find the note of the arrangement that a written note begins: the nearest of its staff and key."""
    start = float(arranged.tempo.to_seconds(float(head.place + arranged.tempo.downbeat)))
    notes = (note for note in _notes_of_staff(arranged, head) if note.pitch == head.key)
    return min(notes, key=lambda note: abs(note.onset - start), default=None)


def _notes_of_staff(arranged: Arranged, head: Head) -> Sequence[Note]:
    if head.part:
        return arranged.band[head.part - 1].notes
    return arranged.accompaniment if head.is_left else arranged.piano_notes
