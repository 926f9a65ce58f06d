"""Clips of one note each: the whole range of every instrument, soft and loud, short and ringing out into silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.random import Generator

from hf_model.alignment.band import Part
from hf_model.instruments.classes import DRUMS, PROGRAMS, RANGES
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, sing
from hf_model.training.instruments.clips import (
    BEYOND,
    CLIP_SECONDS,
    GAP,
    InstrumentClip,
    rendered,
    sung_clip,
)

MORE_PROGRAMS = {"piano": (3,)}
"""Programs beside those of the classes: a piano whose strings are out of tune with each other."""

SHORTEST = 0.12
"""Seconds."""

SOFTEST = 8
"""Velocity; sound fonts are silent below."""

LATEST = 1.0
"""Seconds of silence before a note, at most."""

FAMILIES = {"piano": 3}
"""How many times as many notes: the one instrument of which people record single notes over the whole keyboard."""

HITS = (35, 36, 37, 38, 39, 40, 41, 42, 43, 45, 46, 47, 48, 49, 51, 53, 54, 56, 57, 69, 70, 75, 76)
"""Keys of drums and cymbals."""


def note_clips(font: Path, n_clips: int, seed: int) -> Iterator[InstrumentClip]:
    """Play single notes on all instruments of a General MIDI sound font.

    Parameters
    ----------
    font : Path
    n_clips : int
        Clips a class, spread over its programs; of a piano, three times as many.
    seed : int

    Yields
    ------
    InstrumentClip
        Its group is the sound font and the word "notes".

    Raises
    ------
    FileNotFoundError, OSError
        As :func:`hf_model.alignment.band_audio.render_band`.
    """
    rng = np.random.default_rng([seed, 1, *font.name.encode()])
    group = f"{font.name}, notes"
    for name, usual in PROGRAMS.items():
        programs, total = usual + MORE_PROGRAMS.get(name, ()), n_clips * FAMILIES.get(name, 1)
        low, high = RANGES[name]
        keys = np.arange(max(LOWEST_KEY, low - BEYOND), min(HIGHEST_KEY, high + BEYOND) + 1)
        if name == "piano":
            keys = np.arange(LOWEST_KEY, HIGHEST_KEY + 1)
        for index, program in enumerate(programs):
            count = len(range(index, total, len(programs)))
            notes = tuple(_note(clip, int(rng.choice(keys)), rng) for clip in range(count))
            if count:
                yield from rendered(Part(program, notes), count, font, name, rng, group)
    for kit in (0, 16):
        count = max(1, n_clips // 2)
        notes = tuple(_note(clip, int(rng.choice(HITS)), rng) for clip in range(count))
        yield from rendered(Part(kit, notes, is_drum=True), count, font, DRUMS, rng, group)


def _note(clip: int, key: int, rng: Generator) -> Note:
    """Draw a note of a clip: at its start or later, of any length and velocity."""
    onset = clip * (CLIP_SECONDS + GAP) + LATEST * float(rng.choice([0.01, 1.0])) * float(rng.random() ** 2)
    length = SHORTEST * (CLIP_SECONDS / SHORTEST) ** float(rng.random())
    end = min(onset + length, (clip + 1) * (CLIP_SECONDS + GAP) - GAP)
    return Note(onset, end, float(key), int(rng.integers(SOFTEST, 128)))


def sung_note_clips(n_clips: int, seed: int) -> Iterator[InstrumentClip]:
    """Sing single notes with made voices, so that one note alone is not a sign of an instrument."""
    for index in range(n_clips):
        number = seed * 100_000 + 70_000 + index
        rng = np.random.default_rng([number, 6])
        first = compose(number, CLIP_SECONDS)[0]
        onset = float(rng.uniform(0.05, 0.6))
        pitch = float(np.clip(first.pitch + rng.choice([-12.0, 0.0, 0.0, 7.0, 12.0]), 36, 88))
        note = replace(first, onset=onset, offset=onset + float(rng.uniform(0.4, 4.0)), pitch=pitch)
        style = ("", "hum", "syllable", "")[index % 4]
        song = sing([note], number, SingerConfig(max_lead=0.2, max_tail=0.5, speech=0.0, style=style))
        clip = sung_clip(song, style, "made voices, notes")
        if clip is not None:
            yield clip
