from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench.music.scores import perform
from bench.music.tunes import TUNES
from hf_model.export.engraving import SVG, engrave
from hf_model.export.screen_score import ATTRIBUTES, PREFIX, REFERENCE, SHAPES, as_safe_picture, engrave_for_screen
from hf_model.music.arrangement import Arrangement, arrange
from hf_model.music.chords import Chord
from hf_model.notes.note import Note

pytest.importorskip("verovio")

AULD = perform(next(tune for tune in TUNES if tune.name == "auld lang syne"))
WITH_LEFT = arrange(
    [Note(0.5 * k, 0.5 * k + 0.48, 60.0 + step) for k, step in enumerate((0, 0, 7, 7, 9, 9, 7))],
    4.0,
    Arrangement(accompany=True, tempo=120.0, meter="4/4"),
)


def groups(picture: str, name: str) -> list[ElementTree.Element]:
    return [
        group for group in ElementTree.fromstring(picture).iter(f"{SVG}g") if name in group.get("class", "").split()
    ]


def test_every_note_knows_when_it_sounds():
    score = engrave_for_screen(AULD, "Auld Lang Syne")
    assert len(score.notes) == len(AULD.piano_notes)
    for found, note in zip(score.notes, AULD.piano_notes, strict=True):
        assert (found.key, found.onset, found.offset) == (note.pitch, note.onset, note.offset)
    drawn = {group.get("id") for group in groups(score.pictures[0], "note")}
    assert {note.id for note in score.notes} <= drawn


def test_both_hands_and_ties_are_found():
    score = engrave_for_screen(WITH_LEFT)
    assert {note.key for note in score.notes} == {int(note.pitch) for note in WITH_LEFT.both_hands}
    long = arrange([Note(0.0, 0.48, 60.0), Note(0.5, 4.4, 62.0)], 5.0, Arrangement(tempo=120.0, meter="4/4"))
    heads = [note for note in engrave_for_screen(long).notes if note.key == 62]
    assert len(heads) > 1, "a note over the bar line is drawn more than once"
    assert heads[0].onset == 0.5
    assert [head.offset for head in heads[:-1]] == [head.onset for head in heads[1:]], "one takes over from the other"
    assert any(head.onset == pytest.approx(2.0) for head in heads[1:]), "at the bar line"
    assert heads[-1].offset >= 4.0


def test_the_notes_of_a_band_sound_when_the_band_plays_them():
    melody = [Note(0.5 * k, 0.5 * k + 0.48, key) for k, key in enumerate((62.0, 62, 69, 69, 71, 71, 69, 67, 67, 66))]
    played = arrange(melody, 6.0, Arrangement(accompany=True, ensemble="band", tempo=120.0, meter="4/4"))
    (second,) = (part for part in played.band if part.name == "second voice")
    assert {note.pitch for note in second.notes} & {note.pitch for note in melody}, "both have notes of one key"
    score = engrave_for_screen(played, words=[f"w{k}" for k in range(len(melody))])
    first, last = len(melody), len(melody) + len(second.notes)
    found = [(note.key, note.onset, note.offset) for note in score.notes[first:last]]
    assert found == [(note.pitch, note.onset, note.offset) for note in second.notes]
    texts = "".join(score.pictures)
    assert texts.count(">w2<") == 1, "words are under the melody alone"


def test_a_narrow_score_has_more_systems():
    wide, narrow = (engrave_for_screen(AULD, width=width).pictures[0] for width in (1000, 340))
    assert len(groups(narrow, "system")) > len(groups(wide, "system"))
    assert ElementTree.fromstring(narrow).get("width") == "340px"


def test_words_are_under_their_notes():
    score = engrave_for_screen(AULD, words=["Should", "old", "_", "ac\x01", "quaint"])
    texts = ["".join(group.itertext()).strip() for group in groups(score.pictures[0], "verse")]
    assert texts == ["Should", "old", "ac", "quaint"]


HOSTILE = '"><script>alert(1)</script><svg onload="alert(2)"><a href="javascript:alert(3)">&lt;b&gt; &amp;#x3c;img'


def test_a_hostile_title_stays_text():
    picture = engrave_for_screen(AULD, HOSTILE).pictures[0]
    root = ElementTree.fromstring(picture)
    assert HOSTILE in "".join(root.itertext())
    assert "<script" not in picture
    assert_safe(root)


def assert_safe(root: ElementTree.Element) -> None:
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in SHAPES
        for name, value in element.attrib.items():
            assert name in {*ATTRIBUTES, "href"}
            assert name != "href" or value.startswith(f"#{PREFIX}")
            assert "url(" not in value


def test_only_shapes_and_texts_of_a_picture_are_kept():
    hostile = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="alert(1)">
      <style>@import url(http://192.0.2.1/a.css)</style><script>alert(2)</script><script href="http://192.0.2.1/a.js"/>
      <foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="javascript:alert(3)"/></foreignObject>
      <a xlink:href="javascript:alert(4)"><path d="M0 0"/></a><image href="http://192.0.2.1/a.png"/>
      <use xlink:href="http://192.0.2.1/a.svg#a"/><use xlink:href="#head"/><use href="#x y"/>
      <g id="record" class="note" style="background: url(http://192.0.2.1)" onclick="alert(5)"><path d="M1 1"/></g>
      <rect fill="URL(http://192.0.2.1/#a)" width="1"/><set attributeName="onload" to="alert(6)"/><animate/>
      <text x="1">words <tspan>and more</tspan> after</text></svg>"""
    safe = as_safe_picture(hostile)
    assert_safe(ElementTree.fromstring(safe))
    assert not {word for word in ("alert", "192.0.2.1", "style", "script") if word in safe}
    assert f'id="{PREFIX}record"' in safe, "no id of the page's own"
    assert f'href="#{PREFIX}head"' in safe
    assert "words <" in safe
    assert " after" in safe
    assert REFERENCE not in ATTRIBUTES


def test_every_thread_can_engrave():
    engrave_for_screen(AULD)
    with ThreadPoolExecutor(1) as thread:
        score = thread.submit(engrave_for_screen, AULD).result()
    assert len(groups(score.pictures[0], "note")) == len(AULD.piano_notes)


def test_the_chord_symbol_of_f_sharp_is_in_order():
    arranged = replace(AULD, chords=(Chord(0.0, 9.0, 6, is_minor=True),))
    (picture,) = engrave(arranged, in_pages=False)
    chords = {"".join("".join(group.itertext()).split()) for group in groups(picture, "harm")}
    assert "F♯m" in chords
