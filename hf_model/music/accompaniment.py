"""A simple left hand: bass and chords in the pattern of a style, softly below the melody, with smooth voice leading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np

from hf_model.config import check_choice
from hf_model.music.chords import Chord
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

LOWEST_BASS, LOWEST_VOICE, HIGHEST_VOICE = 24, 43, 64
"""MIDI numbers: the lowest bass, and the range of the chord; lower, close chords are muddy."""

CENTRE = 54.0
"""MIDI number around which the chord lies, if the melody is high enough."""

BASS_SHARE, VOICE_SHARE = 0.72, 0.58
"""Velocities relative to the melody's median."""

HELD = 0.92
"""Share of a beat for which a chord is held."""

STYLES = ("plain", "waltz", "ballad", "arpeggio", "swing", "staccato")
"""Patterns of the left hand: see :func:`pattern`."""

BROKEN = (0, 1, 2, 1)
"""Order in which the tones of a chord are played one after another."""

EARLY = 0.3
"""Beats by which the last note may begin before its beat and still get a chord there."""

MIN_DURATION = 0.06
"""Seconds; shorter notes are left out."""


@dataclass(frozen=True)
class Stroke:
    """What the left hand plays within a beat.

    Attributes
    ----------
    start, length : float
        Shares of the beat from its beginning; a length over 1 goes on into the next beats of the bar.
    has_bass : bool
        The bass of the chord, or its fifth if ``is_fifth``.
    tones : tuple of int
        Which tones of the chord above the bass, from the lowest, 0.
    """

    start: float
    length: float
    has_bass: bool = False
    tones: tuple[int, ...] = ()
    is_fifth: bool = False


@dataclass(frozen=True)
class Beat:
    """A beat to be accompanied.

    Attributes
    ----------
    start, stop : float
        Seconds.
    chord : Chord
    bar, place : int
        Number of the bar, 0 from the first downbeat on, and the place in it, from 0.
    has_bass : bool
        Whether the bar begins, its middle, or another chord.
    """

    start: float
    stop: float
    chord: Chord
    bar: int
    place: int
    has_bass: bool


def accompany(melody: Sequence[Note], chords: Sequence[Chord], tempo: Tempo, style: str = "plain") -> list[Note]:
    """Add chords below a melody.

    The last beat is held until the melody ends, with bass and chord.

    Parameters
    ----------
    melody : sequence of Note
        Piano keys, sorted by onset.
    chords : sequence of Chord
        From :func:`hf_model.music.chords.estimate_chords`.
    tempo : Tempo
        The beats.
    style : str
        One of ``STYLES``.

    Returns
    -------
    list of Note
        Sorted by onset; all below the melody notes at the same time, none after its end.

    Raises
    ------
    ConfigError
        For another style.
    """
    check_choice("style", style, STYLES)
    if not melody or not chords:
        return []
    loudness = float(np.median([note.velocity for note in melody]))
    end = melody[-1].offset
    voices: tuple[int, ...] = ()
    played: list[Note] = []
    for beat in list_beats(chords, tempo, melody[0].onset, melody[-1].onset, end):
        is_last = beat.stop >= end
        strokes = [Stroke(0.0, 1.0, True, (0, 1, 2))] if is_last else pattern(style, beat.place, beat.has_bass, tempo)
        ceiling = lowest_key(melody, beat.start, beat.stop)
        if any(stroke.tones for stroke in strokes):
            voices = voicing(beat.chord, ceiling, voices)
        length = beat.stop - beat.start
        for stroke in strokes:
            start = beat.start + stroke.start * length
            offset = end if is_last else min(start + stroke.length * length, end)
            if offset - start < MIN_DURATION:
                continue
            top = lowest_key(melody, start, offset)
            for key, share in _keys(beat.chord, stroke, voices, ceiling):
                if key < top:
                    played.append(Note(start, offset, float(key), int(np.clip(round(share * loudness), 1, 127))))
    return sorted(played)


def lowest_key(melody: Sequence[Note], start: float, stop: float) -> float:
    """Find the lowest key of the melody in a time."""
    return min((note.pitch for note in melody if note.onset < stop and note.offset > start), default=127.0)


def _keys(chord: Chord, stroke: Stroke, voices: Sequence[int], ceiling: float) -> Iterator[tuple[int, float]]:
    """Give the keys of a stroke and their velocities relative to the melody."""
    bass = bass_key(chord, ceiling)
    bass = bass + 7 if stroke.is_fifth and bass + 7 < ceiling else bass
    if stroke.has_bass:
        yield bass, BASS_SHARE
    for key in {voices[tone] for tone in stroke.tones if tone < len(voices)}:
        if not (stroke.has_bass and key == bass):
            yield key, VOICE_SHARE


def pattern(style: str, place: int, has_bass: bool, tempo: Tempo) -> list[Stroke]:
    """Give the strokes of a beat.

    "plain": the bass on the first beat of the bar, on the third of four and where the chord changes; the chord on the
    other beats. "waltz": the same, with short chords. "ballad": broken chords in eighths over a held bass.
    "arpeggio": broken chords in sixteenths. "swing": a bass on every beat, and chords late between the beats.
    "staccato": as "plain", short.

    Parameters
    ----------
    style : str
        One of ``STYLES``.
    place : int
        Of the beat in its bar, from 0.
    has_bass : bool
        Whether the bar begins, its middle, or another chord.
    tempo : Tempo
    """
    chord = (0, 1, 2)
    if style == "ballad":
        rest = tempo.beats_per_bar - place
        first, second = (BROKEN[(2 * place + step) % len(BROKEN)] for step in (0, 1))
        held = [Stroke(0.0, HELD * rest, has_bass=True)] if has_bass else []
        return [*held, Stroke(0.0, 0.95, tones=(first,)), Stroke(0.5, 0.5, tones=(second,))]
    if style == "arpeggio":
        broken = [Stroke(step / 4, 0.5, tones=(BROKEN[step],)) for step in range(4)]
        return [Stroke(0.0, HELD, has_bass=True), *broken[1:]] if has_bass else broken
    if style == "swing":
        walking = Stroke(0.0, 0.85, has_bass=True, is_fifth=not has_bass)
        return [walking, Stroke(2 / 3, 0.25, tones=chord)] if place % 2 else [walking]
    lengths = {"plain": (HELD, HELD), "waltz": (HELD, 0.5), "staccato": (0.35, 0.3)}
    bass_length, chord_length = lengths[style]
    return [Stroke(0.0, bass_length, has_bass=True) if has_bass else Stroke(0.0, chord_length, tones=chord)]


def list_beats(chords: Sequence[Chord], tempo: Tempo, first: float, last: float, end: float) -> list[Beat]:
    """List the beats to play; none begins long after the last note."""
    numbers = np.arange(int(np.floor(tempo.to_beats(first) + 0.1)), int(np.ceil(tempo.to_beats(last))) + 2)
    found: list[Beat] = []
    previous: Chord | None = None
    for number, (start, stop) in zip(numbers, pairwise(tempo.to_seconds(numbers)), strict=False):
        if start < 0 or start > min(last + EARLY * (stop - start), end - MIN_DURATION):
            continue
        middle = (start + min(stop, end)) / 2
        chord = next((chord for chord in chords if chord.onset <= middle < chord.offset), chords[-1])
        bar, place = divmod(int(number) - tempo.downbeat, tempo.beats_per_bar)
        has_bass = bool(place == 0 or (tempo.beats_per_bar == 4 and place == 2) or chord != previous)
        previous = chord
        found.append(Beat(float(start), float(stop), chord, bar, place, has_bass))
    if found:
        found[-1] = replace(found[-1], stop=end)
    return found


def bass_key(chord: Chord, ceiling: float) -> int:
    """Choose the root between C2 and B2, or an octave lower if the melody is close."""
    key = 36 + chord.root
    return key - 12 if key >= ceiling - 3 and key - 12 >= LOWEST_BASS else key


def voicing(chord: Chord, ceiling: float, previous: Sequence[int]) -> tuple[int, ...]:
    """Choose three keys in close position that move least from the previous ones.

    Returns
    -------
    tuple of int
        Rising, below the melody; fewer if the melody is too low for three.
    """
    top = min(HIGHEST_VOICE, int(np.ceil(ceiling)) - 1)
    places = [[key for key in range(LOWEST_VOICE, top + 1) if key % 12 == pitch] for pitch in chord.pitch_classes]
    candidates = [tuple(sorted(keys)) for keys in product(*places) if max(keys) - min(keys) < 12]
    if not candidates:
        return tuple(sorted(options[-1] for options in places if options))
    return min(candidates, key=lambda keys: (_movement(keys, previous), abs(float(np.mean(keys)) - CENTRE)))


def _movement(keys: Sequence[int], previous: Sequence[int]) -> float:
    """Sum the movement of the voices in semitones, and a penalty for the distance from ``CENTRE``."""
    drift = 0.3 * abs(float(np.mean(keys)) - CENTRE)
    if len(previous) != len(keys):
        return drift
    return drift + sum(abs(a - b) for a, b in zip(keys, previous, strict=True))
