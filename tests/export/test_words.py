"""Words under the notes of a MusicXML document."""

from xml.etree import ElementTree

import pytest

from hf_model.export.engraving import SVG
from hf_model.export.musicxml import to_musicxml
from hf_model.export.screen_score import engrave_for_screen
from hf_model.export.words import with_words
from hf_model.music.arrangement import Arranged, Arrangement, arrange
from hf_model.notes.note import Note

pytest.importorskip("music21")

MELODY = [Note(0.5 * k, 0.5 * k + 0.48, 60.0 + step) for k, step in enumerate((0, 2, 4, 5, 7, 5, 4, 2))]
SCORE = arrange(MELODY, 4.0, Arrangement(tempo=120.0, meter="4/4"))


def lyrics(score: Arranged, words: list[str]) -> list[tuple[str, ...]]:
    """Give the syllabic, the text and the extend of each note's lyric; () for a note without one."""
    root = ElementTree.fromstring(with_words(to_musicxml(score), score, words))
    found: list[tuple[str, ...]] = []
    for note in root.iter("note"):
        if note.find("pitch") is not None:
            (lyric,) = note.findall("lyric") or [None]
            texts = [] if lyric is None else [lyric.findtext("syllabic"), lyric.findtext("text")]
            extend = None if lyric is None else lyric.find("extend")
            found.append((*filter(None, texts), *([] if extend is None else [extend.get("type", "")])))
    return found


def test_syllables_of_a_word_are_joined() -> None:
    assert lyrics(SCORE, ["ba-", "na-", "na", "split"]) == [
        ("begin", "ba"),
        ("middle", "na"),
        ("end", "na"),
        ("single", "split"),
        *[()] * 4,
    ]


def test_a_held_syllable_has_a_line_to_its_last_note() -> None:
    found = lyrics(SCORE, ["glo-", "_", "ria", "_", "_", "in", "_", "x"])
    assert found == [
        ("begin", "glo"),  # hyphens go on to the end of the word
        (),
        ("end", "ria", "start"),
        (),
        ("stop",),
        ("single", "in", "start"),
        ("stop",),
        ("single", "x"),
    ]


def test_a_line_goes_on_over_ties() -> None:
    notes = [Note(0.0, 0.98, 60.0), Note(1.0, 3.98, 62.0), Note(4.0, 4.48, 64.0)]
    score = arrange(notes, 5.0, Arrangement(tempo=120.0, meter="4/4"))
    assert lyrics(score, ["one", "two", "three"]) == [
        ("single", "one"),
        ("single", "two", "start"),
        ("stop",),
        ("single", "three"),
    ]


@pytest.mark.parametrize("words", [[], ["", ""], ["_", "_"], ["\0\1"], ["-"], ["<b>"], ["a-"] * 50])
def test_strange_words_are_a_valid_document(words: list[str]) -> None:
    lyrics(SCORE, words)


def test_the_document_stays_as_it_was() -> None:
    document = to_musicxml(SCORE)
    assert with_words(document, SCORE, []) == document
    words = with_words(document, SCORE, ["la"])
    assert words[: words.index(b"<score-partwise")] == document[: document.index(b"<score-partwise")]


def test_hyphens_and_lines_are_engraved() -> None:
    pytest.importorskip("verovio")

    def n_strokes(words: list[str]) -> int:
        root = ElementTree.fromstring(engrave_for_screen(SCORE, words=words).pictures[0])
        syllables = [group for group in root.iter(f"{SVG}g") if group.get("class") == "syl"]
        return sum(
            len(group.findall(f".//{SVG}{shape}")) for group in syllables for shape in ("rect", "polygon", "path")
        )

    assert n_strokes(["la", "la", "la"]) == 0
    assert n_strokes(["ba-", "na-", "na"]) >= 2
    assert n_strokes(["la", "_", "_", "la"]) >= 1
