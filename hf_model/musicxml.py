"""Scores to read: MusicXML with bars, ties, triplets, key, chord symbols, for one hand or two."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_model.arrangement import Arranged
from hf_model.harmony import Chord
from hf_model.key import Key
from hf_model.notes import Note
from hf_model.tempo import Tempo

if TYPE_CHECKING:
    from music21.stream import Score

DIVISIONS = (4, 3, 6, 8)
"""Steps in a beat, the plainest first: sixteenths, triplets, sextuplets, thirty-seconds."""

COMPOUND_DIVISIONS = (3, 6, 12)
"""The same where a beat is a dotted quarter."""

PLAIN = 0.6
"""A less plain division must fit so many times better."""

EARLY = 1 / 16
"""Beats: so little before a beat still belongs to it."""

SHORT_REST = Fraction(1, 2)
"""Beats: a shorter silence between two notes is not written."""

TREBLE_FROM = 57.0
"""Median key from which a melody is written in the treble clef."""

_PLAIN_SIGNS = tuple(Fraction(n, 8) for n in (1, 2, 3, 4, 6, 8))
_TRIPLET_SIGNS = tuple(Fraction(n, 6) for n in (1, 2, 4))
_COMPOUND_SIGNS = tuple(Fraction(n, 12) for n in (1, 2, 3, 4, 6, 8, 12))
"""Shares of a beat that one sign stands for."""

_LETTERS = "FCGDAEB"
_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Placed = tuple[Fraction, Fraction, tuple[int, ...]]
"""Start and end in beats from the first downbeat, and the keys that sound."""


class MusicXMLError(Exception):
    """Why no score can be written."""


def write_musicxml(path: Path | str, arranged: Arranged, title: str = "") -> None:
    """Write a score.

    What was performed is written as a person would note it: on sixteenths or triplets, whichever is nearer in each
    beat, without the small silences between notes. The piano's recording and the MIDI file keep the performed times.

    Parameters
    ----------
    path : path
    arranged : Arranged
        Melody, and the left hand and chords if there are some.
    title : str
        Any text; what XML cannot hold is left out.

    Raises
    ------
    MusicXMLError
        If music21 is not installed.
    """
    if find_spec("music21") is None:
        raise MusicXMLError("MusicXML needs music21, which is not installed: pip install 'hummingface[score]'")
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    text = GeneralObjectExporter(to_score(arranged, title)).parse()
    Path(path).write_bytes(text)


def to_score(arranged: Arranged, title: str = "") -> Score:
    """Build the score that :func:`write_musicxml` writes."""
    from music21 import layout, metadata, stream

    right = notate(arranged.piano_notes, arranged.tempo)
    left = notate(arranged.accompaniment, arranged.tempo)
    bars = _bars([*right, *left], arranged.tempo.beats_per_bar)
    score = stream.Score()
    score.metadata = metadata.Metadata()
    score.metadata.title = " ".join(_NOT_XML.sub("", title).split()) or "Melody"
    score.metadata.add("arranger", "HummingFace")
    hands = [_hand(right, bars, arranged, is_left=False)]
    if left:
        hands.append(_hand(left, bars, arranged, is_left=True))
    for hand in hands:
        score.insert(0, hand)
    if left:
        score.insert(0, layout.StaffGroup(hands, name="Piano", symbol="brace"))
    return score


# ---------------------------------------------------------------------------------------------- performed to written
def notate(notes: Sequence[Note], tempo: Tempo) -> list[Placed]:
    """Put notes on the grid of a score.

    Parameters
    ----------
    notes : sequence of Note
        Sorted by onset; notes with one onset are a chord.
    tempo : Tempo

    Returns
    -------
    list of (Fraction, Fraction, keys)
        In order, without overlap; positions in beats from the first downbeat, negative in a pick-up. Of notes closer
        than a thirty-second the longest is written.
    """
    groups: list[list[Note]] = []
    for note in notes:
        if groups and note.onset - groups[-1][0].onset < 1e-3:
            groups[-1].append(note)
        else:
            groups.append([note])
    if not groups:
        return []
    onsets = tempo.to_beats([group[0].onset for group in groups]) - tempo.downbeat
    offsets = tempo.to_beats([max(note.offset for note in group) for group in groups]) - tempo.downbeat
    starts, grid = _on_grid(onsets, offsets, COMPOUND_DIVISIONS if tempo.is_compound else DIVISIONS)
    kept = sorted(starts)
    placed = []
    for k, following in zip(kept, [*kept[1:], None], strict=True):
        start = starts[k]
        end = max(
            start + Fraction(1, grid[math.floor(start)]), _nearest(offsets[k], grid, 3 if tempo.is_compound else 2)
        )
        if following is not None and starts[following] - end < SHORT_REST:
            end = starts[following]
        placed.append((start, end, tuple(sorted({int(note.pitch) for note in groups[k]}))))
    return placed


def _on_grid(
    onsets: NDArray[np.float64], offsets: NDArray[np.float64], divisions: Sequence[int]
) -> tuple[dict[int, Fraction], dict[int, int]]:
    """Choose in each beat the plainest division that fits.

    Returns
    -------
    starts : dict of int to Fraction
        By note; where two fall together the longer one stays.
    grid : dict of int to int
        Steps in a beat, for beats in which notes begin.
    """
    starts: dict[int, Fraction] = {}
    grid: dict[int, int] = {}
    beats = np.floor(onsets + EARLY).astype(np.int64)
    for beat in np.unique(beats):
        numbers = np.flatnonzero(beats == beat)
        inside = onsets[numbers] - beat
        division = _division(inside, divisions)
        grid[int(beat)] = division
        at: dict[int, int] = {}
        for number, step in zip(numbers, _steps(inside, division), strict=True):
            rival = at.get(int(step))
            if rival is None or offsets[number] - onsets[number] > offsets[rival] - onsets[rival]:
                at[int(step)] = int(number)
        starts.update({number: int(beat) + Fraction(step, division) for step, number in at.items()})
    return starts, grid


def _steps(inside: NDArray[np.float64], division: int) -> NDArray[np.int64]:
    """Round places in a beat (0-1) to its steps; the next beat is not one of them."""
    return np.clip(np.round(inside * division), 0, division - 1).astype(np.int64)


def _division(inside: NDArray[np.float64], divisions: Sequence[int]) -> int:
    """Choose how to divide a beat, given its onsets (0-1)."""
    best, least = divisions[-1], math.inf
    for division in divisions:
        steps = _steps(inside, division)
        if len(set(steps.tolist())) < len(steps):
            continue
        error = float(np.abs(inside - steps / division).mean()) + 0.01
        if error < PLAIN * least:
            best, least = division, error
    return best


def _nearest(place: float, grid: dict[int, int], empty: int) -> Fraction:
    """Round an end to the steps of its beat; a beat in which nothing begins has ``empty`` steps."""
    beat = math.floor(place)
    division = grid.get(beat, empty)
    return beat + Fraction(round((place - beat) * division), division)


# ------------------------------------------------------------------------------------------------- written to music21
def _bars(placed: Sequence[Placed], beats_per_bar: int) -> list[tuple[Fraction, Fraction]]:
    """Lay bars over what is written: start and end in beats; a first bar that is shorter holds a pick-up."""
    first = min((start for start, _, _ in placed), default=Fraction(0))
    last = max((end for _, end, _ in placed), default=Fraction(beats_per_bar))
    start = math.floor(first / beats_per_bar) * beats_per_bar
    bars = [(Fraction(s), Fraction(s + beats_per_bar)) for s in range(start, math.ceil(last), beats_per_bar)]
    if first < 0 and math.floor(first) > start:
        bars[0] = (Fraction(math.floor(first)), bars[0][1])
    return bars


def _hand(
    placed: Sequence[Placed], bars: Sequence[tuple[Fraction, Fraction]], arranged: Arranged, is_left: bool
) -> Any:
    """Write one staff."""
    from music21 import clef, instrument, key, meter, stream, tempo

    found = arranged.tempo
    beat = Fraction(3, 2) if found.is_compound else Fraction(1)
    part = stream.PartStaff(id="left" if is_left else "right")
    piano = instrument.Piano()
    piano.partId, piano.instrumentId = "P1", "I1"
    part.insert(0, piano)
    pieces = [
        piece for start, end, keys in _with_rests(placed, bars) for piece in _pieces(start, end, keys, bars, found)
    ]
    chords = [] if is_left else list(_chord_places(arranged.chords, found, bars))
    for number, (start, end) in enumerate(bars, start=0 if bars[0][1] - bars[0][0] < found.beats_per_bar else 1):
        bar = stream.Measure(number=number)
        if start == bars[0][0]:
            low = is_left or np.median([k for _, _, keys in placed for k in keys] or [60]) < TREBLE_FROM
            bar.append(clef.BassClef() if low else clef.TrebleClef())
            bar.append(key.Key(_spelt(arranged.key.tonic, arranged.key)[0], arranged.key.mode))
            bar.append(meter.TimeSignature(found.meter_name))
            if not is_left:
                bar.insert(0, tempo.MetronomeMark(number=round(found.bpm), referent=float(beat)))
            whole = Fraction(found.beats_per_bar)
            if end - start < whole:
                bar.paddingLeft = float((whole - (end - start)) * beat)
                bar.showNumber = stream.enums.ShowNumber.NEVER
        for place, chord in chords:
            if start <= place < end:
                bar.insert(float((place - start) * beat), _chord_symbol(chord, arranged.key))
        for piece_start, length, keys, tie in pieces:
            if start <= piece_start < end:
                bar.insert((piece_start - start) * beat, _element(length * beat, keys, tie, arranged.key))
        part.append(bar)
    return part


def _with_rests(placed: Sequence[Placed], bars: Sequence[tuple[Fraction, Fraction]]) -> list[Placed]:
    """Fill what is silent with rests (no keys)."""
    filled: list[Placed] = []
    now = bars[0][0]
    for start, end, keys in placed:
        if start > now:
            filled.append((now, start, ()))
        filled.append((start, end, keys))
        now = end
    if now < bars[-1][1]:
        filled.append((now, bars[-1][1], ()))
    return filled


def _pieces(
    start: Fraction, end: Fraction, keys: tuple[int, ...], bars: Sequence[tuple[Fraction, Fraction]], tempo: Tempo
) -> list[tuple[Fraction, Fraction, tuple[int, ...], str | None]]:
    """Cut a note at bar lines and beats into lengths that a sign has; the pieces are tied."""
    cuts = {start, end} | {edge for bar in bars for edge in bar if start < edge < end}
    spans = []
    for a, b in pairwise(sorted(cuts)):
        spans += _signs(a, b, tempo)
    ties: list[str | None] = [None] * len(spans)
    if keys and len(spans) > 1:
        ties = ["start", *["continue"] * (len(spans) - 2), "stop"]
    return [(a, b - a, keys, tie) for (a, b), tie in zip(spans, ties, strict=True)]


def _signs(start: Fraction, end: Fraction, tempo: Tempo) -> list[tuple[Fraction, Fraction]]:
    """Cut what lies within a bar."""
    length = end - start
    whole = {Fraction(n) for n in ((1, 2, 4) if tempo.is_compound else (1, 2, 3, 4))}
    if start.denominator == 1 and length in whole:
        return [(start, end)]
    if not tempo.is_compound and start.denominator <= 2 and length in {Fraction(1), Fraction(3, 2)}:
        return [(start, end)]  # a syncopation, or a dotted quarter
    next_beat = Fraction(math.floor(start) + 1)
    if end <= next_beat:
        signs = (
            _COMPOUND_SIGNS
            if tempo.is_compound
            else _TRIPLET_SIGNS
            if start.denominator % 3 == 0 or end.denominator % 3 == 0
            else _PLAIN_SIGNS
        )
        part = max(sign for sign in signs if sign <= length)
        middle = start + part
    elif start.denominator == 1:
        middle = start + max((part for part in whole if part < length), default=Fraction(1))
    else:
        middle = next_beat
    first = [(start, middle)] if end <= next_beat else _signs(start, middle, tempo)
    return [*first, *(_signs(middle, end, tempo) if middle < end else [])]


def _element(length: Fraction, keys: tuple[int, ...], tie: str | None, key: Key) -> Any:
    """Make a note, a chord or a rest of so many quarters."""
    from music21 import chord, note, pitch
    from music21.tie import Tie

    if not keys:
        return note.Rest(quarterLength=length)
    pitches = []
    for number in keys:
        name, alter = _spelt(number % 12, key)
        octave = (number - alter - _NATURAL[name[0]]) // 12 - 1
        pitches.append(pitch.Pitch(f"{name}{octave}"))
    sign = note.Note(pitches[0], quarterLength=length) if len(keys) == 1 else chord.Chord(pitches, quarterLength=length)
    if tie:
        sign.tie = Tie(tie)
    return sign


def _spelt(pitch_class: int, key: Key) -> tuple[str, int]:
    """Name a pitch class as the key does: a name for music21 ("B-", "F#"), and semitones above the natural.

    The twelve names lie next to each other on the line of fifths: in major from the lowered sixth to the raised first,
    in minor a fifth higher, with the leading note.
    """
    lowest = key.fifths - (4 if key.mode == "major" else 3)
    place = lowest + (pitch_class * 7 - lowest) % 12
    letter, alter = _LETTERS[(place + 1) % 7], (place + 1) // 7
    return letter + ("#" * alter if alter > 0 else "-" * -alter), alter


def _chord_places(
    chords: Sequence[Chord], tempo: Tempo, bars: Sequence[tuple[Fraction, Fraction]]
) -> list[tuple[Fraction, Chord]]:
    """Give the beat on which each chord is written."""
    places = [Fraction(round(float(tempo.to_beats(chord.onset)) - tempo.downbeat)) for chord in chords]
    return [(max(place, bars[0][0]), chord) for place, chord in zip(places, chords, strict=True)]


def _chord_symbol(chord: Chord, key: Key) -> Any:
    from music21 import harmony

    return harmony.ChordSymbol(root=_spelt(chord.root, key)[0], kind="minor" if chord.is_minor else "major")
