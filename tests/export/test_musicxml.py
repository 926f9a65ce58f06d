from __future__ import annotations

import re
import sys
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hf_model.export.musicxml import MusicXMLError, lay_out, write_musicxml
from hf_model.export.notation import notate
from hf_model.music.accompaniment import accompany
from hf_model.music.arrangement import Arranged
from hf_model.music.chords import Chord
from hf_model.music.ensemble.band import write_band
from hf_model.music.key import Key, parse_key
from hf_model.music.quantization import STRAIGHT, estimate_swing
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note


def attributes(namespace: str, *names: str) -> str:
    """A schema with nothing but attributes, for the two namespaces that MusicXML borrows some from."""
    lines = "".join(f'<xs:attribute name="{name}" type="xs:string"/>' for name in names)
    return f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{namespace}">{lines}</xs:schema>'


XLINK = attributes("http://www.w3.org/1999/xlink", "href", "type", "role", "title", "show", "actuate")
XML = attributes("http://www.w3.org/XML/1998/namespace", "lang", "space")


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    """The W3C's schema of MusicXML 4.0, as the package "musicxml" carries it; nothing is fetched."""
    from lxml import etree

    source = Path(find_spec("musicxml").submodule_search_locations[0]) / "generate_classes"
    folder = tmp_path_factory.mktemp("schema")
    text = (source / "musicxml_4_0.xsd").read_text(encoding="utf-8")
    (folder / "musicxml.xsd").write_text(text.replace("http://www.musicxml.org/xsd/", ""), encoding="utf-8")
    (folder / "xlink.xsd").write_text(XLINK, encoding="utf-8")
    (folder / "xml.xsd").write_text(XML, encoding="utf-8")
    return etree.XMLSchema(etree.parse(folder / "musicxml.xsd", etree.XMLParser(no_network=True)))


def validate(schema, path: Path) -> None:
    from lxml import etree

    document = etree.parse(str(path), etree.XMLParser(no_network=True, load_dtd=False))
    assert schema.validate(document), schema.error_log.last_error


def tempo(bpm=120.0, n_beats=24, downbeat=0, meter=(4, 4), start=0.0) -> Tempo:
    return Tempo(bpm, 1.0, tuple(start + 60.0 / bpm * k for k in range(n_beats)), downbeat, meter, 1.0)


def arranged(notes, clock=None, key="C major", left=(), chords=()) -> Arranged:
    return Arranged(list(notes), list(notes), list(left), clock or tempo(), parse_key(key), 0.0, chords=tuple(chords))


def line(*parts, clock=None, start=0.0) -> list[Note]:
    """Notes one after the other from (key, beats); None is a rest."""
    clock = clock or tempo()
    notes, now = [], start
    for key, beats in parts:
        a, b = clock.to_seconds([now, now + float(beats)])
        if key is not None:
            notes.append(Note(float(a), float(b), float(key)))
        now += float(beats)
    return notes


def read_back(path: Path):
    """(quarters from the first downbeat, key, quarters) of every note, ties joined, by an outside reader."""
    from music21 import converter

    score = converter.parse(path)
    found = []
    for part in score.parts:
        measures = list(part.getElementsByClass("Measure"))
        pickup = measures[0].duration.quarterLength if measures[0].number == 0 else 0
        notes: list[tuple[Fraction, int, Fraction]] = []
        for sign in part.flatten().notes:
            if "ChordSymbol" in sign.classes:
                continue
            for pitch in sign.pitches:
                start, length = Fraction(sign.offset) - Fraction(pickup), Fraction(sign.quarterLength)
                if sign.tie is not None and sign.tie.type != "start":
                    k = max(k for k, (a, key, n) in enumerate(notes) if key == pitch.midi and a + n == start)
                    notes[k] = (notes[k][0], pitch.midi, notes[k][2] + length)
                else:
                    notes.append((start, pitch.midi, length))
        found.append(notes)
    return score, found


def bar_sums(path: Path) -> list[list[Fraction]]:
    """Quarters in every bar of every staff."""
    root = ElementTree.parse(path).getroot()
    divisions = int(root.findtext(".//divisions"))
    sums = []
    for bar in root.iter("measure"):
        staves: dict[str, Fraction] = {}
        for note in bar.iter("note"):
            if note.find("chord") is None:
                staff = note.findtext("staff") or "1"
                staves[staff] = staves.get(staff, Fraction(0)) + Fraction(int(note.findtext("duration")), divisions)
        sums.append(list(staves.values()))
    return sums


def test_a_bar_of_quarters_and_eighths(tmp_path, schema):
    path = tmp_path / "a.musicxml"
    write_musicxml(path, arranged(line((60, 1), (62, 0.5), (64, 0.5), (65, 1), (67, 1), (60, 4))), "Five notes")
    validate(schema, path)
    score, (notes,) = read_back(path)
    assert notes == [(0, 60, 1), (1, 62, 0.5), (1.5, 64, 0.5), (2, 65, 1), (3, 67, 1), (4, 60, 4)]
    assert score.metadata.bestTitle == "Five notes"
    assert bar_sums(path) == [[4], [4]]


def test_triplets_ties_rests_and_a_pick_up(tmp_path, schema):
    path = tmp_path / "a.musicxml"
    clock = tempo(downbeat=1)
    third = Fraction(1, 3)
    parts = [(67, 1), (60, third), (62, third), (64, third), (65, 1.5), (None, 0.5), (67, 3), (72, 0.75), (71, 0.25)]
    write_musicxml(path, arranged(line(*parts, clock=clock), clock))
    validate(schema, path)
    _, (notes,) = read_back(path)
    expected, now = [], Fraction(-1)
    for key, beats in parts:
        if key is not None:
            expected.append((now, key, Fraction(beats)))
        now += Fraction(beats)
    assert notes == expected
    assert bar_sums(path) == [[1], [4], [4]]
    assert ElementTree.parse(path).getroot().find(".//measure").get("implicit") == "yes"


def test_three_four_and_six_eight(tmp_path, schema):
    for meter, quarters in (((3, 4), 3), ((2, 4), 2), ((6, 8), 3), ((12, 8), 6)):
        clock = tempo(meter=meter)
        path = tmp_path / "a.musicxml"
        notes = line((60, 1), (62, Fraction(1, 3)), (64, Fraction(2, 3)), (65, 1), (67, 2), clock=clock)
        write_musicxml(path, arranged(notes, clock))
        validate(schema, path)
        assert {total for bar in bar_sums(path) for total in bar} == {quarters}
        beat = Fraction(3, 2) if meter[1] == 8 else Fraction(1)
        _, (found,) = read_back(path)
        assert [(a, k) for a, k, _ in found] == [
            (0, 60), (beat, 62), (beat * 4 / 3, 64), (2 * beat, 65), (3 * beat, 67)
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "keys", "spelt"),
    [
        ("Eb major", (63, 68, 66), ["E-4", "A-4", "G-4"]),
        ("A major", (61, 66, 68), ["C#4", "F#4", "G#4"]),
        ("A minor", (68, 66, 70), ["G#4", "F#4", "B-4"]),
        ("F major", (70, 71, 59), ["B-4", "B4", "B3"]),
        ("F# major", (65, 66, 60), ["E#4", "F#4", "B#3"]),
        ("Db major", (61, 66, 60), ["D-4", "G-4", "C4"]),
    ],
)
def test_pitches_are_spelt_by_the_key(tmp_path, name, keys, spelt):
    path = tmp_path / "a.musicxml"
    write_musicxml(path, arranged(line(*((key, 1) for key in keys)), key=name))
    score, _ = read_back(path)
    assert [note.pitch.nameWithOctave for note in score.flatten().notes] == spelt
    assert [note.pitch.midi for note in score.flatten().notes] == list(keys)


def test_two_hands_with_chord_symbols(tmp_path, schema):
    clock = tempo()
    melody = line((72, 4), (69, 4), (71, 4), (72, 4))
    chords = [
        Chord(2.0 * k, 2.0 * k + 2, root, is_minor)
        for k, (root, is_minor) in enumerate([(0, 0), (9, 1), (7, 0), (0, 0)])
    ]
    left = accompany(melody, chords, clock)
    path = tmp_path / "a.musicxml"
    write_musicxml(path, arranged(melody, clock, left=left, chords=chords), "Two hands")
    validate(schema, path)
    score, (right, below) = read_back(path)
    assert [key for _, key, _ in right] == [72, 69, 71, 72]
    assert sorted({key for _, key, _ in below}) == sorted({int(note.pitch) for note in left})
    figures = [symbol.figure for symbol in score.flatten().getElementsByClass("ChordSymbol")]
    assert figures == ["C", "Am", "G", "C"]
    assert all(total == 4 for bar in bar_sums(path) for total in bar)
    assert all(len(bar) == 2 for bar in bar_sums(path))


def test_titles_may_hold_anything(tmp_path, schema):
    path = tmp_path / "a.musicxml"
    write_musicxml(path, arranged(line((60, 1))), '<script>&"\x00\x1b\ud800 Für Élise\n')
    validate(schema, path)
    score, _ = read_back(path)
    assert score.metadata.bestTitle == '<script>&" Für Élise'


def test_silence_is_a_bar_of_rest(tmp_path, schema):
    path = tmp_path / "a.musicxml"
    write_musicxml(path, arranged([]))
    validate(schema, path)
    assert bar_sums(path) == [[4]]


def test_without_music21_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_model.export.musicxml.find_spec", lambda _name: None)
    with pytest.raises(MusicXMLError, match=r"pip install 'hummingface\[score\]'"):
        write_musicxml(tmp_path / "a.musicxml", arranged([]))
    assert not list(tmp_path.iterdir())


def test_importing_the_module_does_not_import_music21():
    assert "hf_model.export.musicxml" in sys.modules
    from subprocess import run

    ran = run(
        [sys.executable, "-c", "import sys, hf_model.export.musicxml; assert 'music21' not in sys.modules"], check=False
    )
    assert ran.returncode == 0


def test_uneven_playing_is_notated_evenly():
    rng = np.random.default_rng(1)
    exact = line((60, 1), (62, 0.5), (64, 0.5), (65, 0.75), (64, 0.25), (62, 1), (60, 2))
    sung = [Note(max(n.onset + rng.normal(0, 0.02), 0), n.offset - 0.06, n.pitch) for n in exact]
    clock = tempo()
    assert notate(sung, clock)[:-1] == notate(exact, clock)[:-1]
    assert [end - start for start, end, _ in notate(exact, clock)] == [1, 0.5, 0.5, 0.75, 0.25, 1, 2]


melodies = st.lists(
    st.tuples(st.integers(21, 108), st.floats(0.03, 3.0), st.one_of(st.just(0.0), st.floats(0, 2.5))),
    min_size=1, max_size=16,
)  # fmt: skip
meters = st.sampled_from([(4, 4), (3, 4), (2, 4), (6, 8), (9, 8), (12, 8)])


@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # shrinking is slow
@given(melodies, meters, st.integers(0, 5), st.floats(40, 200), st.integers(0, 11), st.booleans(), st.floats(0, 3))
def test_any_performance_is_a_valid_score(tmp_path_factory, schema, parts, meter, downbeat, bpm, tonic, minor, lead):
    notes, now = [], lead
    for key, seconds, rest in parts:
        notes.append(Note(now, now + seconds, float(key)))
        now += seconds + rest
    clock = tempo(bpm, int(now * bpm / 60) + 3, downbeat, meter)
    written = notate(notes, clock, STRAIGHT if clock.is_compound else estimate_swing(notes, clock))
    assert len(written) <= len(notes)
    if all(note.duration > 0.3 * 60 / bpm for note in notes):
        assert [keys for _, _, keys in written] == [(key,) for key, _, _ in parts]
    assert all(start < end for start, end, _ in written)
    assert all(a[1] <= b[0] for a, b in pairwise(written))
    path = tmp_path_factory.mktemp("any") / "a.musicxml"
    key = Key(tonic, "minor" if minor else "major")
    write_musicxml(path, Arranged(notes, notes, [], clock, key, 0.0))
    validate(schema, path)
    whole = Fraction(meter[0] * 4, meter[1])
    sums = [bar[0] for bar in bar_sums(path)]
    assert set(sums[1:]) <= {whole}
    assert sums[0] <= whole
    _, (found,) = read_back(path)
    beat = Fraction(3, 2) if meter[1] == 8 else 1
    first = written[0][0] // clock.beats_per_bar * clock.beats_per_bar
    origin = (first + clock.beats_per_bar * (sums[0] < whole)) * beat
    ends = [(end - start) * beat for start, end, _ in written]
    assert [length for _, _, length in found] == ends
    assert [(a, k) for a, k, _ in found] == [(start * beat - origin, keys[0]) for start, _, keys in written]


def test_the_chords_of_an_intro_are_left_out(tmp_path):
    melody = line((60, 1), (62, 1), (64, 2), start=8)
    chords = [Chord(0.0, 2.0, 0, False), Chord(2.0, 4.5, 5, False), Chord(4.5, 6.0, 7, False)]
    write_musicxml(tmp_path / "song.musicxml", arranged(melody, chords=chords))
    roots = re.findall(r"<root-step>(\w)</root-step>", (tmp_path / "song.musicxml").read_text())
    assert roots == ["F", "G"]


@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (6, 8)])
def test_a_band_has_a_staff_for_each_instrument(tmp_path, schema, meter):
    import music21

    clock = tempo(meter=meter)
    notes = line(*[(72 + k % 3, 1) for k in range(3 * clock.beats_per_bar)], clock=clock)
    band = write_band(notes, [Chord(0.0, 60.0, 0, False)], clock, parse_key("C major"))
    write_musicxml(tmp_path / "band.musicxml", replace(arranged(notes, clock), band=band))
    validate(schema, tmp_path / "band.musicxml")
    score = music21.converter.parse(tmp_path / "band.musicxml")
    assert [part.partName for part in score.parts] == ["Piano", "second voice", "chords", "bass", "drums"]
    assert len({len(part.getElementsByClass("Measure")) for part in score.parts}) == 1
    for part in score.parts:
        for bar in part.getElementsByClass("Measure"):
            assert bar.duration.quarterLength == pytest.approx(
                clock.beats_per_bar * (1.5 if clock.is_compound else 1.0)
            )
    channels = [int(found) for found in re.findall(r"<midi-channel>(\d+)<", (tmp_path / "band.musicxml").read_text())]
    assert channels[-1] == 10, "the drums"
    assert 10 not in channels[:-1]


@pytest.mark.parametrize("meter", [(4, 4), (6, 8)])
def test_bars_are_counted_from_the_opening(tmp_path, meter):
    """Without the first notes, or with one before them, the others stay in their bars."""
    clock = tempo(meter=meter)
    notes = line(*[(60 + number, 1) for number in range(8)], clock=clock)
    whole = arranged(notes, clock)
    first = lay_out(whole)[-1][0]
    for kept in (notes, notes[5:]):
        assert lay_out(replace(whole, piano_notes=kept, opening=notes[0].onset))[-1][0] == first
    assert lay_out(replace(whole, piano_notes=notes[5:]))[-1][0] != first
    assert lay_out(replace(whole, piano_notes=notes, opening=notes[5].onset))[-1][0] == first
    write_musicxml(tmp_path / "score.musicxml", replace(whole, piano_notes=notes[5:], opening=notes[0].onset))
    sums = bar_sums(tmp_path / "score.musicxml")
    assert len({total for staves in sums for total in staves}) == 1
