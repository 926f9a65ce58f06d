"""MusicXML scores: bars, ties, triplets, key and chord symbols, for one hand, two, or a band."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_model.export.notation import Placed, beat_of, lay_bars, notate, split, with_rests
from hf_model.export.spelling import letter_and_alter, octave_of, spell_class, spell_line
from hf_model.music.arrangement import Arranged
from hf_model.music.chords import Chord
from hf_model.music.key import Key
from hf_model.music.quantization import STRAIGHT, estimate_swing
from hf_model.music.tempo import Tempo
from hf_model.notes.midi_parts import DRUM_CHANNEL
from hf_model.notes.part import Part

if TYPE_CHECKING:
    from music21.stream import Score

STAVES = {"treble": (64, 77), "bass": (43, 57)}
"""MIDI numbers of the lowest and the highest line."""

DRUM_PLACES = {36: "F4", 37: "C5", 38: "C5", 45: "D5", 42: "G5", 46: "G5", 49: "A5"}
"""Where the drums of General MIDI are written on the staff."""

CROSSES = frozenset((37, 42, 46, 49))
"""Those with a cross for a head."""

NAMES = (b"<part-name>", b"<part-abbreviation>")
"""Names at the staves, which a piano alone does not need; music21 cannot hide them."""

_INVALID_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class MusicXMLError(Exception):
    """Why a score cannot be written."""


def write_musicxml(path: Path | str, arranged: Arranged, title: str = "") -> None:
    """Write a score.

    The performance is notated as a musician would write it: in sixteenths or triplets, whichever fits each beat better,
    without short gaps between notes. The audio and the MIDI file keep the performed times.

    Parameters
    ----------
    path : path
    arranged : Arranged
        Melody, with left hand and chords if present.
    title : str
        Any text; characters that XML does not allow are removed.

    Raises
    ------
    MusicXMLError
        If music21 is not installed.
    """
    Path(path).write_bytes(to_musicxml(arranged, title))


def require_music21() -> None:
    """Check that music21 is installed.

    Raises
    ------
    MusicXMLError
        With the command that installs it.
    """
    if find_spec("music21") is None:
        raise MusicXMLError("MusicXML needs music21, which is not installed: pip install 'hummingface[score]'")


def to_musicxml(arranged: Arranged, title: str = "") -> bytes:
    """Make the document that :func:`write_musicxml` writes."""
    require_music21()
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    text: bytes = GeneralObjectExporter(to_score(arranged, title)).parse()
    for name in () if arranged.band else NAMES:
        text = text.replace(name, name[:-1] + b' print-object="no">')
    return text


def to_score(arranged: Arranged, title: str = "") -> Score:
    """Build the score for music21."""
    from music21 import expressions, layout, metadata, stream

    swing, right, left, others, bars = lay_out(arranged)
    score = stream.Score()
    score.metadata = metadata.Metadata()
    score.metadata.title = " ".join(_INVALID_XML.sub("", title).split()) or "Melody"
    score.metadata.add("arranger", "HummingFace")
    hands = [_staff(right, bars, arranged, is_left=False)]
    if swing != STRAIGHT:
        mark = expressions.TextExpression("Swing")
        mark.placement = "above"
        hands[0].getElementsByClass("Measure")[0].insert(0, mark)
    if left:
        hands.append(_staff(left, bars, arranged, is_left=True))
    for hand in hands:
        score.insert(0, hand)
    if left:
        score.insert(0, layout.StaffGroup(hands, name="Piano", symbol="brace"))
    for number, (part, placed) in enumerate(zip(arranged.band, others, strict=True), start=2):
        score.insert(0, _band_staff(part, placed, bars, arranged, number))
    return score


def lay_out(
    arranged: Arranged,
) -> tuple[float, list[Placed], list[Placed], list[list[Placed]], list[tuple[Fraction, Fraction]]]:
    """Give the swing, the notes of right hand, left hand and band on the grid, and the bars, in beats."""
    tempo = arranged.tempo
    swing = STRAIGHT if tempo.is_compound else estimate_swing(arranged.piano_notes, tempo)
    right = notate(arranged.piano_notes, tempo, swing)
    left = notate(arranged.accompaniment, tempo, swing)
    others = [notate(sorted(part.notes), tempo, swing) for part in arranged.band]
    placed = [*right, *left, *(note for other in others for note in other)]
    opening = None if arranged.opening is None else beat_of(arranged.opening, tempo)
    return swing, right, left, others, lay_bars(placed, tempo.beats_per_bar, opening)


def _band_staff(
    part: Part, placed: Sequence[Placed], bars: Sequence[tuple[Fraction, Fraction]], arranged: Arranged, number: int
) -> Any:
    """Write the staff of an instrument of a band."""
    from music21 import clef, instrument, stream

    staff = stream.Part(id=part.name)
    player = instrument.UnpitchedPercussion() if part.is_drum else instrument.instrumentFromMidiProgram(part.program)
    player.partName, player.partId, player.instrumentId = part.name, f"P{number}", f"I{number}"
    player.midiProgram, player.midiChannel = part.program, DRUM_CHANNEL if part.is_drum else number
    staff.insert(0, player)
    signs = {"bass": clef.BassClef, "treble": clef.TrebleClef}
    sign = clef.PercussionClef() if part.is_drum else signs[_choose_clef(placed)]()
    _fill(staff, placed, bars, arranged, sign, is_drum=part.is_drum)
    return staff


def _staff(
    placed: Sequence[Placed], bars: Sequence[tuple[Fraction, Fraction]], arranged: Arranged, is_left: bool
) -> Any:
    """Write one staff."""
    from music21 import clef, instrument, stream, tempo

    found = arranged.tempo
    beat = Fraction(3, 2) if found.is_compound else Fraction(1)
    part = stream.PartStaff(id="left" if is_left else "right")
    piano = instrument.Piano()
    piano.partId, piano.instrumentId = "P1", "I1"
    part.insert(0, piano)
    _fill(
        part,
        placed,
        bars,
        arranged,
        clef.BassClef() if is_left or _choose_clef(placed) == "bass" else clef.TrebleClef(),
    )
    measures = list(part.getElementsByClass("Measure"))
    if not is_left:
        measures[0].insert(0, tempo.MetronomeMark(number=round(found.bpm), referent=float(beat)))
    for place, chord in [] if is_left else _chord_beats(arranged.chords, found, bars):
        for (start, end), bar in zip(bars, measures, strict=True):
            if start <= place < end:
                bar.insert(float((place - start) * beat), _chord_symbol(chord, arranged.key))
    return part


def _fill(
    part: Any,
    placed: Sequence[Placed],
    bars: Sequence[tuple[Fraction, Fraction]],
    arranged: Arranged,
    sign: Any,
    *,
    is_drum: bool = False,
) -> None:
    """Write the bars of a staff, with the clef ``sign``."""
    from music21 import key, meter, stream

    found = arranged.tempo
    beat = Fraction(3, 2) if found.is_compound else Fraction(1)
    written = [part for start, end, keys in with_rests(placed, bars) for part in split(start, end, keys, bars, found)]
    spelled = _spell([keys for _, _, keys, _ in written], arranged.key)
    for number, (start, end) in enumerate(bars, start=0 if bars[0][1] - bars[0][0] < found.beats_per_bar else 1):
        bar = stream.Measure(number=number)
        if start == bars[0][0]:
            bar.append(sign)
            if not is_drum:
                bar.append(key.Key(_name(spell_class(arranged.key.tonic, arranged.key)), arranged.key.mode))
            bar.append(meter.TimeSignature(found.meter_name))
            whole = Fraction(found.beats_per_bar)
            if end - start < whole:
                bar.paddingLeft = float((whole - (end - start)) * beat)
                bar.showNumber = stream.enums.ShowNumber.NEVER
        for (begin, length, keys, tie), places in zip(written, spelled, strict=True):
            if start <= begin < end:
                sign_of = _strokes(length * beat, keys) if is_drum else _element(length * beat, keys, tie, places)
                bar.insert((begin - start) * beat, sign_of)
        if end == bars[-1][1]:
            bar.rightBarline = "final"
        part.append(bar)


def _strokes(length: Fraction, keys: tuple[int, ...]) -> Any:
    """Make a rest, a stroke or several strokes of drums; ``length`` in quarters."""
    from music21 import note, percussion

    if not keys:
        return note.Rest(quarterLength=length)
    strokes = []
    for key in keys:
        stroke = note.Unpitched(displayName=DRUM_PLACES.get(key, "C5"), quarterLength=length)
        if key in CROSSES:
            stroke.notehead = "x"
        strokes.append(stroke)
    return strokes[0] if len(strokes) == 1 else percussion.PercussionChord(strokes, quarterLength=length)


def _choose_clef(placed: Sequence[Placed]) -> str:
    """Choose the clef with fewer ledger lines, treble if both have as many."""

    def n_ledger_lines(clef: str) -> float:
        low, high = STAVES[clef]
        return sum(float(end - start) * max(low - key, key - high, 0) for start, end, keys in placed for key in keys)

    return min(STAVES, key=n_ledger_lines)


def _element(length: Fraction, keys: tuple[int, ...], tie: str | None, places: Sequence[int]) -> Any:
    """Make a note, a chord or a rest; ``length`` in quarters, ``places`` on the line of fifths."""
    from music21 import chord, note, pitch
    from music21.tie import Tie

    if not keys:
        return note.Rest(quarterLength=length)
    pitches = []
    for number, place in zip(keys, places, strict=True):
        pitches.append(pitch.Pitch(f"{_name(place)}{octave_of(number, place)}"))
    sign = note.Note(pitches[0], quarterLength=length) if len(keys) == 1 else chord.Chord(pitches, quarterLength=length)
    if tie:
        sign.tie = Tie(tie)
    return sign


def _spell(groups: Sequence[tuple[int, ...]], key: Key) -> list[list[int]]:
    """Spell the notes of a staff: single notes by those beside them, chords as it is usual in the key."""
    line = spell_line([keys[0] if len(keys) == 1 else None for keys in groups], key)
    return [
        [spell_class(number % 12, key) for number in keys] if place is None else [place]
        for keys, place in zip(groups, line, strict=True)
    ]


def _name(place: int) -> str:
    """Give the name that music21 has for a place on the line of fifths: "B-", "F#"."""
    letter, alter = letter_and_alter(place)
    return letter + ("#" * alter if alter > 0 else "-" * -alter)


def _chord_beats(
    chords: Sequence[Chord], tempo: Tempo, bars: Sequence[tuple[Fraction, Fraction]]
) -> list[tuple[Fraction, Chord]]:
    """Give the beat of each chord; of a band's chords, those before the first bar are left out."""
    first = bars[0][0]
    spans = [
        [Fraction(round(float(tempo.to_beats(time)) - tempo.downbeat)) for time in (chord.onset, chord.offset)]
        for chord in chords
    ]
    return [(max(start, first), chord) for (start, end), chord in zip(spans, chords, strict=True) if end > first]


def _chord_symbol(chord: Chord, key: Key) -> Any:
    from music21 import harmony

    return harmony.ChordSymbol(root=_name(spell_class(chord.root, key)), kind="minor" if chord.is_minor else "major")
