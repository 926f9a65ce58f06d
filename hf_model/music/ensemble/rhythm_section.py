"""Bass and chords of a band: rhythms from pop songs in 4/4, patterns of the left hand in other metres."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.music.accompaniment import Beat, lowest_key, pattern, voicing
from hf_model.music.ensemble.bars import Song
from hf_model.music.ensemble.rhythms import STEPS, RhythmModel, context
from hf_model.notes.note import Note

LOWEST_BASS = 28
"""MIDI number: the lowest string of a bass guitar. Roots lie within an octave from there."""

BASS_SHARE, CHORD_SHARE = 0.6, 0.55
"""Velocities of bass and chords relative to the melody."""

FIFTH = 0.5
"""Share of fifths from which the bass plays the fifth of a chord that it has begun."""

STEPS_PER_BEAT = 4
LONGEST_CHORD = 8
"""Steps for which a chord is held at most: half a bar."""

CLASHES = frozenset((1, 6, 11))
"""Distances of pitch classes that the bass avoids below a note of the melody: semitones and the tritone."""

Hit = tuple[Beat, float, float]
"""A beat, the place in it where a note begins, and its length in beats."""


def play_bass(song: Song, model: RhythmModel) -> list[Note]:
    """Write the bass: the root where a chord begins, else the root or the fifth."""
    notes, previous = [], None
    for beat, share, length in _hits(song, model, "bass"):
        is_new = beat.chord != previous
        step = beat.place * STEPS_PER_BEAT + round(share * STEPS_PER_BEAT)
        has_fifth = not is_new and (model.fifths[step % STEPS] > FIFTH or _is_fifth_of_bar(song, beat, share))
        key = _bass_key(song, beat, share, has_fifth, is_new)
        note = song.note(beat, share, 0.95 * length, key, BASS_SHARE)
        notes += [note] if note else []
        previous = beat.chord
    return notes


def play_chords(song: Song, model: RhythmModel, style: str) -> list[Note]:
    """Write the chords; with another style than "plain", in the pattern of the left hand."""
    notes: list[Note] = []
    voices: tuple[int, ...] = ()
    strokes: list[tuple[Hit, tuple[int, ...]]]
    if song.tempo.meter == (4, 4) and style == "plain":
        strokes = [(hit, (0, 1, 2)) for hit in _hits(song, model, "chords")]
    else:
        strokes = list(_pattern_hits(song, style))
    for (beat, share, length), tones in strokes:
        start = beat.start + share * (beat.stop - beat.start)
        top = lowest_key(song.melody, start, min(start + length * (beat.stop - beat.start), song.end))
        voices = voicing(beat.chord, top, voices)
        for tone in {voices[tone] for tone in tones if tone < len(voices)}:
            note = song.note(beat, share, 0.92 * length, tone, CHORD_SHARE)
            notes += [note] if note else []
    return sorted(notes)


def _is_fifth_of_bar(song: Song, beat: Beat, share: float) -> bool:
    """Whether a metre without tables has the fifth here: on the last beat with a bass of a bar of two or four."""
    return song.tempo.meter != (4, 4) and song.tempo.beats_per_bar == 2 and beat.place == 1 and share == 0.0


def _bass_key(song: Song, beat: Beat, share: float, has_fifth: bool, is_new: bool) -> int:
    """Choose root or fifth; a chord that goes on may give way to the other one where the melody clashes with it."""
    root, _, fifth = beat.chord.pitch_classes
    wanted, other = (fifth, root) if has_fifth else (root, fifth)
    start = beat.start + share * (beat.stop - beat.start)
    sounding = [int(note.pitch) for note in song.melody if note.onset <= start + 0.05 and note.offset > start + 0.05]
    if not is_new and _clashes(wanted, sounding) and not _clashes(other, sounding):
        wanted = other
    return LOWEST_BASS + (wanted - LOWEST_BASS) % 12


def _clashes(pitch_class: int, keys: Sequence[int]) -> bool:
    return any((key - pitch_class) % 12 in CLASHES for key in keys)


def _hits(song: Song, model: RhythmModel, voice: str) -> Iterator[Hit]:
    """Place the rhythms of a voice on the beats, each note until the next one; the last beat has one."""
    if song.tempo.meter != (4, 4):
        yield from _simple_hits(song)
        return
    table = model.tables[voice]
    bars = song.bars
    chosen = table.choose([context(*_describe(song, bar)) for bar in bars])
    places: list[tuple[Beat, int]] = []
    previous = None
    for bar, rhythm in zip(bars, chosen, strict=True):
        for beat in bar:
            steps = _steps_of_beat(table.onsets[rhythm], beat, must=beat.chord != previous or beat is song.beats[-1])
            places += [(beat, step) for step in steps]
            previous = beat.chord
    numbers = {id(beat): number for number, beat in enumerate(song.beats)}
    times = [STEPS_PER_BEAT * numbers[id(beat)] + step for beat, step in places]
    times.append(STEPS_PER_BEAT * len(song.beats))
    longest = STEPS if voice == "bass" else LONGEST_CHORD
    for (beat, step), (time, following) in zip(places, pairwise(times), strict=True):
        yield beat, step / STEPS_PER_BEAT, min(following - time, longest) / STEPS_PER_BEAT


def _steps_of_beat(rhythm: NDArray[np.bool_], beat: Beat, must: bool) -> list[int]:
    """List the steps of a beat on which a rhythm has notes; ``must`` adds the first."""
    inside = rhythm[beat.place * STEPS_PER_BEAT : (beat.place + 1) * STEPS_PER_BEAT]
    return [step for step in range(STEPS_PER_BEAT) if inside[step] or (must and step == 0)]


def _describe(song: Song, bar: Sequence[Beat]) -> tuple[int, bool]:
    """Count the onsets of the melody in a bar, and say whether its chord changes."""
    n_onsets = sum(bar[0].start - 0.05 <= note.onset < bar[-1].stop - 0.05 for note in song.melody)
    return n_onsets, any(beat.chord != bar[0].chord for beat in bar)


def _simple_hits(song: Song) -> Iterator[Hit]:
    """Give the bass of other metres: on the first beat, in two also on the second, and where the chord changes."""
    numbers = [
        number
        for number, beat in enumerate(song.beats)
        if beat.has_bass or beat is song.beats[-1] or song.tempo.beats_per_bar == 2
    ]
    for number, following in pairwise([*numbers, len(song.beats)]):
        yield song.beats[number], 0.0, float(following - number)


def _pattern_hits(song: Song, style: str) -> Iterator[tuple[Hit, tuple[int, ...]]]:
    """Give the chords of the left hand's pattern: thirds of the beat in compound metres."""
    for beat in song.beats:
        if beat is song.beats[-1]:
            yield (beat, 0.0, 1.0), (0, 1, 2)
        elif style == "plain" and song.tempo.is_compound:
            yield (beat, 1 / 3, 0.3), (0, 1, 2)
            yield (beat, 2 / 3, 0.3), (0, 1, 2)
        else:
            for stroke in pattern(style, beat.place, beat.has_bass, song.tempo):
                if stroke.tones:
                    yield (beat, stroke.start, stroke.length), stroke.tones
