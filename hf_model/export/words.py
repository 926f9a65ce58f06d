"""Words under the notes of a MusicXML document: hyphens within words, and lines where a syllable is held."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from hf_model.export.score_notes import Element, find_note, list_heads
from hf_model.music.arrangement import Arranged

HOLD, HYPHEN = "_", "-"
"""A note that holds the syllable before it; the end of a syllable whose word goes on."""

SYLLABIC = {(False, False): "single", (False, True): "begin", (True, True): "middle", (True, False): "end"}
"""By whether the word began before, and whether it goes on."""


def with_words(document: bytes, arranged: Arranged, words: Sequence[str]) -> bytes:
    """Write words under the notes of the right hand.

    Parameters
    ----------
    document : bytes
        As :func:`hf_model.export.musicxml.to_musicxml` makes it of ``arranged``.
    arranged : Arranged
    words : sequence of str
        What is sung on each note of the right hand: a syllable, which ends with "-" if its word goes on; "_" holds the
        one before; "" is nothing.
    """
    if not any(words):
        return document
    root = ElementTree.fromstring(document)
    texts = dict(zip((id(note) for note in arranged.piano_notes), words, strict=False))
    line: list[tuple[Element, str]] = []
    for head in list_heads(root, arranged):
        if head.part or head.is_left or head.element.find("chord") is not None:
            continue
        note = None if head.is_tied else find_note(arranged, head)
        line.append((head.element, HOLD if head.is_tied else texts.get(id(note), "")))
    _write_line(line)
    start = document.index(b"<score-partwise")  # what comes before it ElementTree does not keep
    body: bytes = ElementTree.tostring(root, encoding="utf-8")
    return document[:start] + body


def _write_line(line: Sequence[tuple[Element, str]]) -> None:
    """Write the syllables of notes, one after the other."""
    has_begun = False
    for index, (element, word) in enumerate(line):
        text = "".join(filter(str.isprintable, word))  # XML has no control characters
        if text in {"", HOLD}:
            continue
        goes_on = text.endswith(HYPHEN) and len(text) > 1
        held = 0
        while index + held + 1 < len(line) and line[index + held + 1][1] == HOLD:
            held += 1
        lyric = ElementTree.SubElement(element, "lyric")
        ElementTree.SubElement(lyric, "syllabic").text = SYLLABIC[has_begun, goes_on]
        ElementTree.SubElement(lyric, "text").text = text.removesuffix(HYPHEN) if goes_on else text
        if held and not goes_on:  # within a word the hyphens go on
            ElementTree.SubElement(lyric, "extend", {"type": "start"})
            last = ElementTree.SubElement(line[index + held][0], "lyric")
            ElementTree.SubElement(last, "extend", {"type": "stop"})
        has_begun = goes_on
