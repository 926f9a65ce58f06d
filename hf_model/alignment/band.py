"""Parts of a band, written from the tracks, chords and beats of a song."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from hf_model.corpora.pop909_songs import Song
from hf_model.notes.note import Note

KEYS = (0, 0, 1, 2, 4, 5, 6, 16, 18, 24, 25, 26, 46)
"""General MIDI programs (from 0) of the accompaniment: pianos, organs, guitars, harp."""

GUITARS = (24, 25, 25, 26, 27, 27, 28, 29, 30, 30)
PADS = (48, 48, 49, 50, 51, 52, 53, 61, 62, 88, 89, 91, 94)
BASSES = (32, 33, 33, 34, 35, 36, 38, 39)
LEADS = (11, 21, 22, 24, 27, 29, 30, 40, 41, 42, 53, 54, 56, 60, 64, 65, 65, 66, 68, 71, 73, 75, 80, 81, 82, 85)
"""Programs that play melodies, and that a separator takes for a voice most easily."""

KITS = (0, 0, 8, 16, 24, 25, 32, 40)
KICK, STICK, SNARE, CLAP, HAT, OPEN_HAT, CRASH, RIDE, TAMBOURINE, SHAKER = 36, 37, 38, 39, 42, 46, 49, 51, 54, 70
TOMS = (50, 47, 45, 43)

LOWEST_BASS = 28
GUITAR_CENTRE, PAD_CENTRE = 55, 60

FILL_REST = 1.2
"""Seconds; rests of the singer that are as long get a solo."""


@dataclass(frozen=True)
class Part:
    """One instrument.

    Attributes
    ----------
    program : int
        General MIDI, from 0; the kit for drums.
    notes : tuple of Note
        Integer pitches; keys of the drum map for drums.
    volume, pan : int
        0-127; 64 is the centre.
    is_drum : bool
    """

    program: int
    notes: tuple[Note, ...]
    volume: int = 100
    pan: int = 64
    is_drum: bool = False


def write_band(song: Song, seconds: float, rng: Generator) -> list[Part]:
    """Write a band for a song: which instruments play, and what, is random.

    Parameters
    ----------
    song : Song
        An excerpt that begins at 0.
    seconds : float
        Its duration.
    rng : Generator

    Returns
    -------
    list of Part
        Without empty parts; at least one with a note if the song has a track, a chord or a beat.
    """
    writers: list[tuple[float, Callable[[Song, float, Generator], Part]]] = [
        (0.9, _keys), (0.8, _bridge), (0.5, _fills), (0.06, _doubling), (0.45, _pad), (0.5, _guitar), (0.92, _bass),
        (0.85, _drums),
    ]  # fmt: skip
    chosen = [writer for chance, writer in writers if rng.random() < chance] or [_keys, _bass, _drums]
    parts = [writer(song, seconds, rng) for writer in chosen]
    return [_within(part, seconds) for part in parts if part.notes]


def _within(part: Part, seconds: float) -> Part:
    """Cut the notes of a part at the end of the excerpt."""
    cut = [replace(note, offset=min(note.offset, seconds)) for note in part.notes if 0 <= note.onset < seconds - 0.02]
    return replace(part, notes=tuple(note for note in cut if note.duration > 0.01))


def _part(rng: Generator, programs: tuple[int, ...], notes: list[Note], low: int, high: int, wide: float) -> Part:
    pan = int(np.clip(rng.normal(64.0, wide), 0, 127))
    return Part(int(rng.choice(programs)), tuple(notes), int(rng.integers(low, high)), pan)


def _keys(song: Song, seconds: float, rng: Generator) -> Part:  # noqa: ARG001
    return _part(rng, KEYS, song.piano, 70, 127, 20.0)


def _bridge(song: Song, seconds: float, rng: Generator) -> Part:  # noqa: ARG001
    octave = 12 * int(rng.choice([-1, 0, 0, 0]))
    notes = [replace(note, pitch=float(np.clip(note.pitch + octave, 24, 100))) for note in song.bridge]
    return _part(rng, LEADS, notes, 60, 122, 18.0)


def _doubling(song: Song, seconds: float, rng: Generator) -> Part:  # noqa: ARG001
    octave = 12 * int(rng.choice([0, 0, 1, -1]))
    notes = [replace(note, pitch=float(np.clip(note.pitch + octave, 24, 100))) for note in song.melody]
    return _part(rng, LEADS, notes, 50, 100, 25.0)


def _fills(song: Song, seconds: float, rng: Generator) -> Part:
    """Write a solo in the rests of the singer: steps and leaps through the tones of the chords."""
    ends = [(0.0, 0.0), *((note.onset, note.offset) for note in song.melody), (seconds, seconds)]
    rests = [(one[1], other[0]) for one, other in pairwise(ends) if other[0] - one[1] >= FILL_REST]
    beat = float(np.median(np.diff(song.beats))) if len(song.beats) > 1 else 0.5
    pitch, notes = float(rng.integers(60, 77)), list[Note]()
    for start, end in rests:
        now = start + float(rng.uniform(0.05, 0.4))
        while now < end - 0.1:
            length = beat * float(rng.choice([0.25, 0.5, 0.5, 1.0, 1.0, 2.0]))
            tones = song.chord_at(now)
            near = [p for p in range(52, 89) if p % 12 in tones and 0 < abs(p - pitch) <= 7]
            pitch = float(rng.choice(near)) if near and rng.random() < 0.8 else float(np.clip(pitch + 2, 52, 88))
            if rng.random() < 0.85:
                notes.append(Note(now, min(now + length, end), pitch, int(rng.integers(70, 120))))
            now += length
    return _part(rng, LEADS, notes, 70, 125, 12.0)


def _spans(song: Song, seconds: float) -> Iterator[tuple[float, float, tuple[int, ...]]]:
    """Yield onset, offset and pitch classes of the chords."""
    for span in song.chords:
        onset, offset = max(0.0, span.onset), min(seconds, span.offset)
        tones = song.chord_at((onset + offset) / 2) if offset > onset else ()
        if tones:
            yield onset, offset, tones


def _voicing(tones: tuple[int, ...], centre: int) -> list[int]:
    return [centre - 6 + (tone - centre + 6) % 12 for tone in tones]


def _pad(song: Song, seconds: float, rng: Generator) -> Part:
    centre, velocity = PAD_CENTRE + int(rng.integers(-5, 9)), int(rng.integers(60, 100))
    notes = [
        Note(onset, offset, float(key), velocity)
        for onset, offset, tones in _spans(song, seconds)
        for key in _voicing(tones, centre)
    ]
    return _part(rng, PADS, notes, 50, 105, 12.0)


def _eighths(song: Song) -> Iterator[tuple[int, float, float]]:
    """Yield position in the bar (in eighths), onset and duration of every eighth."""
    position = 0
    for number, (beat, after) in enumerate(pairwise(song.beats.tolist())):
        position = 0 if song.downbeats[number] else position
        for half in range(2):
            yield position + half, beat + half * (after - beat) / 2, (after - beat) / 2
        position += 2


def _guitar(song: Song, seconds: float, rng: Generator) -> Part:  # noqa: ARG001
    pattern, centre = rng.random(8) < rng.uniform(0.4, 1.0), GUITAR_CENTRE + int(rng.integers(-7, 8))
    broken, power = rng.random() < 0.35, rng.random() < 0.3
    notes = list[Note]()
    for position, onset, duration in _eighths(song):
        tones = song.chord_at(onset)
        if not tones or not pattern[position % 8]:
            continue
        keys = _voicing((tones[0], (tones[0] + 7) % 12) if power else tones, centre)
        for number, key in enumerate([keys[position % len(keys)]] if broken else keys):
            late = onset + 0.008 * number
            notes.append(Note(late, late + duration * 1.4, float(key), int(rng.integers(65, 110))))
    return _part(rng, GUITARS, notes, 55, 115, 35.0)


def _bass(song: Song, seconds: float, rng: Generator) -> Part:
    style = int(rng.integers(4))  # whole chords, quarters, eighths, a rhythm of its own
    velocity = int(rng.integers(75, 115))
    if style == 0:
        notes = [
            Note(onset, offset, float(LOWEST_BASS + (tones[0] - LOWEST_BASS) % 12), velocity)
            for onset, offset, tones in _spans(song, seconds)
        ]
        return _part(rng, BASSES, notes, 80, 127, 4.0)
    pattern = rng.random(8) < 0.5
    pattern[0] = True
    notes = []
    for position, onset, duration in _eighths(song):
        tones = song.chord_at(onset)
        if tones and (style == 2 or (style == 1 and position % 2 == 0) or (style == 3 and pattern[position % 8])):
            tone = tones[0] if rng.random() < 0.8 else tones[2]
            key, length = LOWEST_BASS + (tone - LOWEST_BASS) % 12, duration * (1.9 if style == 1 else 1.0)
            notes.append(Note(onset, onset + 0.95 * length, float(key), velocity))
    return _part(rng, BASSES, notes, 80, 127, 4.0)


def _drums(song: Song, seconds: float, rng: Generator) -> Part:  # noqa: ARG001
    kick = rng.random(8) < rng.uniform(0.1, 0.4)
    kick[0] = True
    cymbal, back = int(rng.choice([HAT, HAT, RIDE, SHAKER, TAMBOURINE])), int(rng.choice([SNARE, SNARE, CLAP, STICK]))
    four, dense = rng.random() < 0.25, rng.random() < 0.6
    notes, bar = list[Note](), 0

    def hit(onset: float, key: int, low: int, high: int) -> None:
        notes.append(Note(onset, onset + 0.1, float(key), int(rng.integers(low, high))))

    for position, onset, duration in _eighths(song):
        bar += position == 0
        fill = bar % 4 == 0 and position >= 4 and rng.random() < 0.5
        if position == 0 and bar % 8 == 1:
            hit(onset, CRASH, 80, 115)
        if kick[position % 8] or (four and position % 2 == 0):
            hit(onset, KICK, 90, 122)
        if position % 4 == 2:
            hit(onset, back, 80, 120)
        if dense or position % 2 == 0:
            hit(onset, OPEN_HAT if cymbal == HAT and rng.random() < 0.06 else cymbal, 45, 95)
        if fill:
            tom = TOMS[(position - 4) % 4]
            hit(onset, tom, 80, 115)
            hit(onset + duration / 2, tom, 70, 110)
    return Part(int(rng.choice(KITS)), tuple(notes), int(rng.integers(75, 127)), 64, is_drum=True)
