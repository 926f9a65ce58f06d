"""Synthetic legato on one vowel: scales with glides, wide vibrato, slides and trills, by additive synthesis."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz

Audio = NDArray[np.float32]
Recording = tuple[Audio, list[Note]]

RATE = VOICE_STFT.sample_rate
MAJOR = (0, 2, 4, 5, 7, 9, 11, 12)
RESONANCES = ((650.0, 140.0), (1150.0, 160.0), (2600.0, 250.0))
"""Centre and width of the vowel's resonances, Hz."""

LEAD = 0.5
"""Seconds of silence before and after the notes."""


def legato(notes: Sequence[Note], glide: float, vibrato: float = 0.0, rate: float = 5.5, seed: int = 0) -> Audio:
    """Sing notes on one vowel without a break.

    Parameters
    ----------
    notes : sequence of Note
        Sorted; each begins where the one before ends.
    glide : float
        Seconds from one pitch to the next, centred on the onset.
    vibrato : float
        Semitones on either side.
    rate : float
        Vibratos a second.
    seed : int
        Determines phases, noise and the unsteadiness of the pitch.

    Returns
    -------
    ndarray, shape (sample,)
        16 kHz.
    """
    rng = np.random.default_rng([seed, 0x1E6])
    times = np.arange(round((notes[-1].offset + LEAD) * RATE)) / RATE
    pitch = np.full(len(times), notes[0].pitch)
    for before, note in itertools.pairwise(notes):
        where = np.clip((times - note.onset) / max(glide, 1e-3) + 0.5, 0.0, 1.0)
        pitch += (note.pitch - before.pitch) * (0.5 - 0.5 * np.cos(np.pi * where))
    knots = np.arange(0.0, times[-1] + 0.1, 0.05)
    pitch += np.interp(times, knots, rng.normal(0.0, 0.06, len(knots))) + vibrato * np.sin(2.0 * np.pi * rate * times)
    f0 = pitch_to_hz(pitch)
    phase = 2.0 * np.pi * np.cumsum(f0) / RATE
    audio = np.zeros(len(times))
    for number in range(1, int(7000.0 / f0.max()) + 1):
        hz = number * f0
        shape = sum(1.0 / (1.0 + ((hz - centre) / width) ** 2) for centre, width in RESONANCES)
        audio += (0.03 + shape) / number * np.sin(number * phase + rng.uniform(0.0, 6.3))
    level = np.clip((times - notes[0].onset) / 0.04, 0.0, 1.0) * np.clip((notes[-1].offset - times) / 0.06, 0.0, 1.0)
    audio = level * (audio / np.abs(audio).max() + 0.004 * rng.standard_normal(len(times)))
    return np.asarray(0.4 * audio + 1e-4 * rng.standard_normal(len(times)), dtype=np.float32)


def line(pitches: Sequence[float], duration: float) -> list[Note]:
    """Make notes of equal duration without rests."""
    return [Note(LEAD + i * duration, LEAD + (i + 1) * duration, float(p)) for i, p in enumerate(pitches)]


def _scales(glides: Sequence[float], duration: float = 0.6) -> Iterator[Recording]:
    for tonic in (45, 52, 57, 62, 67):
        for glide in glides:
            notes = line([tonic + step for step in MAJOR], duration)
            yield legato(notes, glide, seed=tonic), notes


def _vibrato(extents: Sequence[float]) -> Iterator[Recording]:
    for tonic in (50, 57, 64, 69):
        for extent in extents:
            for rate in (4.5, 5.5, 7.0):
                notes = line([tonic, tonic + 5, tonic + 3], 1.5)
                yield legato(notes, 0.08, extent, rate, seed=tonic), notes


def _slides() -> Iterator[Recording]:
    for tonic in (48, 55, 60, 67):
        for interval in (4, 7, -5):
            notes = line([tonic, tonic + interval], 1.8)
            yield legato(notes, 0.8, seed=tonic + interval), notes


def _trills(duration: float) -> Iterator[Recording]:
    for tonic in (52, 59, 64, 69):
        for step in (1, 2):
            notes = line([tonic + step * (i % 2) for i in range(20)], duration)
            yield legato(notes, 0.03, seed=tonic + step), notes


TESTS: dict[str, Callable[[], Iterator[Recording]]] = {
    "scales of 0.6 s a note, glides of 40 to 100 ms": lambda: _scales((0.04, 0.06, 0.1)),
    "scales of 0.6 s a note, glides of 150 to 300 ms": lambda: _scales((0.15, 0.2, 0.25, 0.3)),
    "scales of 0.35 s a note, glides of 40 to 100 ms": lambda: _scales((0.04, 0.06, 0.1), 0.35),
    "slides of 0.8 s between two notes": _slides,
    "three notes, vibrato of 50 and 100 cents": lambda: _vibrato((0.5, 1.0)),
    "three notes, vibrato of 150 and 200 cents": lambda: _vibrato((1.5, 2.0)),
    "trills, 80 ms a note": lambda: _trills(0.08),
    "trills, 120 ms a note": lambda: _trills(0.12),
}
"""Recordings of each kind, with their notes."""
