"""Made songs in six genres: what a drummer, a bass, a comping instrument and a melody play in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from hf_model.alignment.band import HAT, KICK, OPEN_HAT, RIDE, SHAKER, SNARE, STICK, Part
from hf_model.notes.note import Note

PROGRESSIONS = ((0, 4, 5, 3), (0, 3, 4, 4), (0, 5, 3, 4), (0, 0, 3, 4), (5, 3, 0, 4), (0, 1, 4, 0))
"""Degrees of the scale, a chord a bar."""

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)

Hits = Sequence[tuple[float, int]]


@dataclass(frozen=True)
class Genre:
    """How a genre is played.

    Attributes
    ----------
    bpm : (float, float)
        Lowest and highest tempo, quarters a minute.
    n_beats : int
        In a bar.
    drums : sequence of (beat, key)
        A bar; empty for no drums.
    bass : sequence of (beat, step)
        Onsets in a bar, and semitones above the root.
    chords : sequence of float
        Beats on which the chord is struck.
    held : float
        Beats for which it is held.
    bass_programs, chord_programs, lead_programs : tuple of int
        General MIDI.
    density : float
        Probability of a melody note on each half of a beat.
    is_minor : float
        Probability of a minor key.
    drum_chance : float
        Probability that there are drums.
    """

    bpm: tuple[float, float]
    n_beats: int
    drums: Hits
    bass: Hits
    chords: Sequence[float]
    held: float
    bass_programs: tuple[int, ...]
    chord_programs: tuple[int, ...]
    lead_programs: tuple[int, ...]
    density: float = 0.6
    is_minor: float = 0.3
    drum_chance: float = 1.0


def _every(step: float, n_beats: float, key: int, start: float = 0.0) -> list[tuple[float, int]]:
    return [(float(at), key) for at in np.arange(start, n_beats, step)]


GENRES: dict[str, Genre] = {
    "rock": Genre(
        (105, 155),
        4,
        [*_every(0.5, 4, HAT), (0, KICK), (1, SNARE), (2, KICK), (2.5, KICK), (3, SNARE)],
        _every(0.5, 4, 0),
        [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5],
        0.45,
        (33, 34),
        (29, 30),
        (27, 29, 30, 81),
        is_minor=0.5,
    ),
    "techno": Genre(
        (122, 140),
        4,
        [*_every(1, 4, KICK), *_every(1, 4, OPEN_HAT, 0.5), *_every(0.25, 4, HAT), (1, 39), (3, 39)],
        _every(0.25, 4, 0),
        [0.5, 1.5, 2.5, 3.5],
        0.3,
        (38, 39, 87),
        (81, 90, 62),
        (80, 81, 87),
        0.7,
        0.9,
    ),
    "waltz": Genre(
        (90, 190),
        3,
        [(0, KICK), (1, HAT), (2, HAT)],
        [(0, 0)],
        [1, 2],
        0.7,
        (32, 43, 58),
        (0, 21, 48, 24),
        (40, 21, 73, 71),
        0.45,
        0.25,
        0.35,
    ),
    "march": Genre(
        (100, 126),
        2,
        [(0, KICK), (1, KICK), *_every(0.5, 2, SNARE), (0.25, SNARE), (1.75, SNARE), (0, 49)],
        [(0, 0), (1, 7)],
        [0.5, 1.5],
        0.3,
        (58,),
        (60, 61, 57),
        (56, 72, 57),
        0.55,
        0.1,
    ),
    "ballad": Genre(
        (56, 82),
        4,
        [*_every(1, 4, RIDE), (0, KICK), (2, STICK)],
        [(0, 0), (2, 7)],
        [0, 1, 2, 3],
        1.1,
        (32, 33, 35),
        (0, 4, 48, 89),
        (0, 40, 65, 73),
        0.35,
        0.4,
        0.5,
    ),
    "bossa": Genre(
        (116, 150),
        4,
        [*_every(0.5, 4, SHAKER), (0, STICK), (1.5, STICK), (3, STICK), (0, KICK), (1.5, KICK), (2, KICK)],
        [(0, 0), (1.5, 7), (2, 7), (3.5, 0)],
        [0, 1, 1.5, 2.5, 3.5],
        0.4,
        (32, 35),
        (24, 25),
        (73, 65, 11, 24),
        0.4,
        0.4,
    ),
}
"""Tempo, drums, bass, chords, instruments."""


def write_arrangement(genre: str, seconds: float, rng: Generator) -> list[Part]:
    """Write a song of a genre with random key, tempo, chords, melody, instruments and levels."""
    style = GENRES[genre]
    beat = 60.0 / rng.uniform(*style.bpm)
    scale = MINOR if rng.random() < style.is_minor else MAJOR
    tonic = int(rng.integers(12))
    progression = PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))]
    n_bars = int(seconds / (beat * style.n_beats)) + 1
    roots = [(tonic + scale[progression[bar % 4] % 7]) % 12 for bar in range(n_bars)]
    chords = [_chord(scale, tonic, progression[bar % 4]) for bar in range(n_bars)]
    bar_seconds = style.n_beats * beat

    def place(bar: int, at: float, length: float, key: float, velocity: float) -> Note:
        onset = bar * bar_seconds + at * beat + float(rng.normal(0.0, 0.006))
        return Note(max(0.0, onset), max(0.0, onset) + length * beat, key, int(np.clip(velocity, 20, 120)))

    drums = [
        place(bar, at, 0.2, key, rng.normal(85, 10))
        for bar in range(n_bars)
        for at, key in style.drums
        if rng.random() < 0.95
    ]
    bass = [
        place(bar, at, 0.8 if len(style.bass) < 4 else 0.4, 28 + (roots[bar] - 28) % 12 + step, rng.normal(88, 8))
        for bar in range(n_bars)
        for at, step in style.bass
    ]
    comping = [
        place(bar, at, style.held, key, rng.normal(70, 8))
        for bar in range(n_bars)
        for at in style.chords
        for key in chords[bar]
    ]
    lead = _melody(style, n_bars, scale, tonic, place, rng)
    parts = [
        Part(_one(style.bass_programs, rng), tuple(bass), int(rng.integers(80, 120))),
        Part(_one(style.chord_programs, rng), tuple(comping), int(rng.integers(60, 110)), int(rng.integers(30, 98))),
        Part(_one(style.lead_programs, rng), tuple(lead), int(rng.integers(80, 125)), int(rng.integers(40, 88))),
    ]
    if drums and rng.random() < style.drum_chance:
        kit = {"techno": 25, "ballad": 40, "bossa": 32}.get(genre, 0)
        parts.append(Part(kit, tuple(drums), int(rng.integers(70, 120)), is_drum=True))
    return [_within(part, seconds) for part in parts]


def _chord(scale: Sequence[int], tonic: int, degree: int) -> list[int]:
    """Give a triad on a degree of a scale, around middle C."""
    tones = [(tonic + scale[(degree + step) % 7]) % 12 for step in (0, 2, 4)]
    return sorted(53 + (tone - 53) % 12 for tone in tones)


def _melody(
    style: Genre,
    n_bars: int,
    scale: Sequence[int],
    tonic: int,
    place: Callable[[int, float, float, float, float], Note],
    rng: Generator,
) -> list[Note]:
    """Walk up and down the scale, with rests."""
    keys = [key for key in range(62, 86) if (key - tonic) % 12 in scale]
    at, notes = len(keys) // 2, []
    for bar in range(n_bars):
        for half in range(2 * style.n_beats):
            if rng.random() < style.density * (1.3 if half % 2 == 0 else 0.6):
                at = int(np.clip(at + rng.integers(-2, 3), 0, len(keys) - 1))
                notes.append(place(bar, half / 2, float(rng.choice([0.45, 0.9])), keys[at], rng.normal(92, 10)))
    return notes


def _one(programs: Sequence[int], rng: Generator) -> int:
    return int(programs[int(rng.integers(len(programs)))])


def _within(part: Part, seconds: float) -> Part:
    """Cut what sounds after the end."""
    kept = [note for note in sorted(part.notes) if note.onset < seconds - 0.05]
    cut = [Note(n.onset, min(n.offset, seconds), n.pitch, n.velocity) for n in kept]
    return Part(part.program, tuple(cut), part.volume, part.pan, part.is_drum)
