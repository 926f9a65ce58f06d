"""A singer made by arithmetic: a score and a seed in, singing and the exact notes out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_model.config import check_range
from hf_model.notes import Note
from hf_model.performance import perform
from hf_model.vocal_tract import CONTROL_RATE, render

F0_RATE = 100.0
"""Frames a second of ``Song.f0``; frame m is centred on m / 100 s."""


@dataclass(frozen=True)
class SingerConfig:
    """Settings of the singer.

    Attributes
    ----------
    sample_rate : int
        Hz.
    max_lead, max_tail : float
        Longest silence before the first and after the last note, seconds; the length is drawn from the seed.
    """

    sample_rate: int = 16000
    max_lead: float = 1.0
    max_tail: float = 1.0

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        check_range("sample_rate", self.sample_rate, 8000, 96000)
        check_range("max_lead", self.max_lead, 0.0, 30.0)
        check_range("max_tail", self.max_tail, 0.0, 30.0)


@dataclass(frozen=True)
class Song:
    """Singing and the truth about it.

    Attributes
    ----------
    audio : ndarray, shape (sample,)
        float32 in [-1, 1].
    sample_rate : int
        Hz.
    notes : list of Note
        What was really sung, out of tune or not. The onset lies where a person marks it: at the vowel's start, for a
        nasal, a glide or a hum at the start of the new note's voice. The offset lies where the voice stops, or at
        the next onset in legato. The pitch is the mean of the note's steady part, as MIDI number.
    f0 : ndarray, shape (frame,)
        Hz at 100 frames a second, 0 where there is no voice.
    """

    audio: NDArray[np.float32]
    sample_rate: int
    notes: list[Note]
    f0: NDArray[np.float64]


DEFAULT = SingerConfig()


def sing(score: Sequence[Note], seed: int, config: SingerConfig = DEFAULT) -> Song:
    """Sing a score with a voice drawn from the seed.

    Parameters
    ----------
    score : sequence of Note
        What should be sung; one note at a time.
    seed : int
        Decides who sings, on which syllables, and every detail; the same seed gives the same song.

    Raises
    ------
    ValueError
        For an empty score or notes that overlap.
    """
    notes = sorted(score)
    if not notes:
        msg = "score is empty; a song needs at least one note"
        raise ValueError(msg)
    for first, second in zip(notes, notes[1:], strict=False):
        if second.onset < first.offset - 0.005:
            msg = f"score has overlapping notes at {second.onset} s; one voice sings one note at a time"
            raise ValueError(msg)
    rng = np.random.default_rng([seed, 0x51461])
    lead = float(rng.uniform(0.15, 1.0)) * config.max_lead - notes[0].onset
    n_seconds = notes[-1].offset + lead + float(rng.uniform(0.1, 1.0)) * config.max_tail
    n_samples = round(n_seconds * config.sample_rate)
    controls, heard, voice = perform(notes, rng, lead, n_seconds)
    audio = render(controls, voice, config.sample_rate, n_samples, rng)
    audio *= 10.0 ** rng.uniform(-0.8, -0.05) / (np.max(np.abs(audio)) + 1e-9)
    times = np.arange(1 + int(n_samples * F0_RATE) // config.sample_rate) / F0_RATE
    frame_times = np.arange(controls.n_frames) / CONTROL_RATE
    voiced = np.interp(times, frame_times, controls.voice) > 0.05
    f0 = np.where(voiced, 440.0 * 2.0 ** ((np.interp(times, frame_times, controls.pitch) - 69.0) / 12.0), 0.0)
    return Song(audio.astype(np.float32), config.sample_rate, heard, f0)
