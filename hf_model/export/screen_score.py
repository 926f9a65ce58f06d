"""A score engraved for a screen: safe pictures as wide as asked, and when each note sounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree

from hf_model.export.engraving import SVG, engrave_document
from hf_model.export.musicxml import to_musicxml
from hf_model.export.score_notes import find_note, list_heads
from hf_model.export.words import with_words
from hf_model.music.arrangement import Arranged

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
        What is sung on each note of the right hand, shown under it; see :func:`hf_model.export.words.with_words`.

    Raises
    ------
    hf_model.export.musicxml.MusicXMLError
        If verovio or music21 is not installed.
    """
    document = ElementTree.fromstring(with_words(to_musicxml(arranged, title), arranged, words))
    notes = _name_notes(document, arranged)
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


def _name_notes(document: Element, arranged: Arranged) -> list[EngravedNote]:
    """Give every note of the document an id, and find when it sounds."""
    tempo = arranged.tempo
    named: list[EngravedNote] = []
    last: dict[tuple[int, bool, int], int] = {}
    for number, head in enumerate(list_heads(document, arranged)):
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
            note = find_note(arranged, head)
            if note is not None:
                start, end = note.onset, note.offset
        last[staff] = number
        named.append(EngravedNote(name, start, end, head.key))
    return named
