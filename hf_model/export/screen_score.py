"""A score engraved for a screen: safe pictures as wide as asked, and when each note sounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from xml.etree import ElementTree

from hf_model.export.engraving import SVG, engrave_document
from hf_model.export.musicxml import lay_out, to_musicxml
from hf_model.music.arrangement import Arranged
from hf_model.notes.note import Note

SCALE = 0.4
"""Pixels a unit of verovio: staves of 29 pixels."""

MARGIN = 40
"""Units at each side."""

PREFIX = "score-"
"""Of all ids, so that none is one of the page's own."""

SHAPES = {
    *("svg", "g", "path", "use", "defs", "symbol", "text", "tspan"),
    *("rect", "polygon", "polyline", "ellipse", "circle", "line"),
}
"""The only elements that are kept: no style, no script, no link, no foreign content."""

OUTLINED = {"path", "rect", "polygon", "polyline", "ellipse"}
"""Drawn with an outline in the colour of the text, as verovio's style sheet says."""

ATTRIBUTES = {
    *("id", "class", "d", "transform", "points", "width", "height", "viewBox", "version", "overflow"),
    *("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "dx", "dy", "fill", "stroke", "opacity"),
    *("stroke-width", "stroke-linecap", "stroke-linejoin", "stroke-dasharray", "fill-opacity", "stroke-opacity"),
    *("font-size", "font-style", "font-weight", "text-anchor"),
}
"""The only attributes that are kept, beside references to elements of the same picture."""

REFERENCE = "{http://www.w3.org/1999/xlink}href"

_NAME = re.compile(r"[\w-]{1,80}", re.ASCII)
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

Element = ElementTree.Element


@dataclass(frozen=True)
class EngravedNote:
    """A note head of a picture: the id of its group, when it sounds in seconds, and its key (MIDI number)."""

    id: str
    onset: float
    offset: float
    key: int


@dataclass(frozen=True)
class ScreenScore:
    """SVG documents, one below the other, and their notes in the order of the score."""

    pictures: list[str]
    notes: list[EngravedNote]


def engrave_for_screen(arranged: Arranged, title: str = "", width: int = 800, words: Sequence[str] = ()) -> ScreenScore:
    """Engrave a score as wide as a part of a page.

    Parameters
    ----------
    arranged : Arranged
    title : str
        Any text: it is shown as text.
    width : int
        Pixels.
    words : sequence of str
        What is sung on each note of the right hand; "_" holds the syllable before. Shown under the notes.

    Raises
    ------
    hf_model.export.musicxml.MusicXMLError
        If verovio or music21 is not installed.
    """
    document = ElementTree.fromstring(to_musicxml(arranged, title))
    notes = _name_notes(document, arranged, words)
    text = ElementTree.tostring(document, encoding="unicode")
    pictures = engrave_document(text, in_pages=False, width=round(width / SCALE), scale=SCALE, margin=MARGIN)
    return ScreenScore([as_safe_picture(picture) for picture in pictures], notes)


def as_safe_picture(picture: str) -> str:
    """Keep of an SVG document only shapes and texts: nothing that runs, loads or styles anything."""
    root = _safe(ElementTree.fromstring(picture))
    if root is None:
        msg = "the picture is not an SVG document"
        raise ValueError(msg)
    root.set("fill", "currentColor")
    return ElementTree.tostring(root, encoding="unicode")


def _safe(element: Element) -> Element | None:
    name = element.tag.removeprefix(SVG)
    if name not in SHAPES or "placeholder" in element.get("class", "").split():
        return None
    kept = Element(SVG + name, {"stroke": "currentColor"} if name in OUTLINED else {})
    kept.text = element.text if name in {"text", "tspan"} else None
    for attribute, value in element.attrib.items():
        if attribute in {"href", REFERENCE}:
            if _NAME.fullmatch(value[1:]) and value.startswith("#"):
                kept.set("href", f"#{PREFIX}{value[1:]}")
        elif attribute == "id":
            if _NAME.fullmatch(value):
                kept.set("id", PREFIX + value.removeprefix(PREFIX))
        elif attribute in ATTRIBUTES and "url(" not in value.lower():
            kept.set(attribute, value)
    for child in element:
        safe = _safe(child)
        if safe is not None:
            safe.tail = child.tail if name in {"text", "tspan"} else None
            kept.append(safe)
    return kept


@dataclass
class _Head:
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


def _name_notes(document: Element, arranged: Arranged, words: Sequence[str]) -> list[EngravedNote]:
    """Give every note of the document an id, find when it sounds, and write the words under it."""
    tempo = arranged.tempo
    texts = dict(zip((id(note) for note in arranged.piano_notes), words, strict=False))
    named: list[EngravedNote] = []
    last: dict[tuple[int, bool, int], int] = {}
    for number, head in enumerate(_heads(document, arranged)):
        name = f"{PREFIX}n{number}"
        head.element.set("id", name)
        places = [float(place + tempo.downbeat) for place in (head.place, head.place + head.length)]
        start, end = map(float, tempo.to_seconds(places))
        staff = (head.part, head.is_left, head.key)
        if head.is_tied and staff in last:
            before = named[last[staff]]
            end = max(end, before.offset)
            named[last[staff]] = replace(before, offset=start)
        else:
            note = _nearest(_notes_of_staff(arranged, head), head.key, start)
            if note is not None:
                start, end = note.onset, note.offset
                _write_word(head.element, texts.get(id(note), ""))
        last[staff] = number
        named.append(EngravedNote(name, start, end, head.key))
    return named


def _notes_of_staff(arranged: Arranged, head: _Head) -> Sequence[Note]:
    """Give the notes of which a written note is one."""
    if head.part:
        return arranged.band[head.part - 1].notes
    return arranged.accompaniment if head.is_left else arranged.piano_notes


def _nearest(notes: Sequence[Note], key: int, seconds: float) -> Note | None:
    """Find the note of a key that begins nearest to a time."""
    return min((note for note in notes if note.pitch == key), key=lambda note: abs(note.onset - seconds), default=None)


def _write_word(element: Element, word: str) -> None:
    word = "".join(filter(str.isprintable, word))  # XML has no control characters
    if word and word != "_":
        lyric = ElementTree.SubElement(element, "lyric")
        ElementTree.SubElement(lyric, "syllabic").text = "single"
        ElementTree.SubElement(lyric, "text").text = word


def _heads(document: Element, arranged: Arranged) -> list[_Head]:
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


def _head(element: Element, part: int, place: Fraction, length: Fraction) -> _Head:
    step, alter, octave = (element.findtext(f"pitch/{name}") for name in ("step", "alter", "octave"))
    key = 12 * (int(octave or 4) + 1) + _STEPS[step or "C"] + int(float(alter or 0))
    is_tied = any(tie.get("type") == "stop" for tie in element.findall("tie"))
    return _Head(element, part, place, length, key, element.findtext("staff") == "2", is_tied)
