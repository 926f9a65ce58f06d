"""Slurred singing: melodies on one vowel, bound by glides, some with a wide vibrato or trills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from hf_model.notes.note import Note
from hf_model.singer.voice import Voice, log_uniform

STYLE = "vowel"
"""Singing style of slurred melodies."""

MIN_TRILLED, TRILL_NOTE = 0.45, (0.1, 0.14)
"""Seconds: shortest note that becomes a trill, and range of a trill's notes."""

WIDE_VIBRATO_CHANCE = 0.3
TRILL_CHANCE = 0.3
"""Fraction of slurred songs with trills; in these, of the long notes."""


def slur(voice: Voice, rng: Generator) -> Voice:
    """Make a voice that binds its notes by glides of 40 to 300 ms, in some songs with a vibrato of up to 200 cents."""
    bound = replace(voice, legato=1.0, glide=log_uniform(rng, 0.04, 0.3))
    if rng.random() >= WIDE_VIBRATO_CHANCE:
        return bound
    cents, rate = log_uniform(rng, 60.0, 200.0), float(rng.uniform(4.0, 8.0))
    return replace(bound, vibrato_cents=cents, vibrato_rate=rate, vibrato_chance=1.0, vibrato_delay=0.1)


def add_trills(score: Sequence[Note], rng: Generator) -> list[Note]:
    """Replace some long notes by trills with the note one or two semitones above, each of whose notes is labelled.

    Parameters
    ----------
    score : sequence of Note
        Sorted.
    """
    if rng.random() >= TRILL_CHANCE:
        return list(score)
    notes: list[Note] = []
    for note in score:
        if note.duration < MIN_TRILLED or rng.random() >= TRILL_CHANCE:
            notes.append(note)
            continue
        count, step = round(note.duration / rng.uniform(*TRILL_NOTE)), int(rng.integers(1, 3))
        times = np.linspace(note.onset, note.offset, count + 1).tolist()
        for number, (onset, offset) in enumerate(pairwise(times)):
            notes.append(replace(note, onset=onset, offset=offset, pitch=note.pitch + step * (number % 2)))
    return notes
