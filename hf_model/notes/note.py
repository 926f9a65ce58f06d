"""Notes, and their conversion to arrays and to piano keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.pitch import estimate_tuning

LOWEST_KEY, HIGHEST_KEY = 21, 108
"""MIDI numbers of the 88 keys."""


@dataclass(frozen=True, order=True)
class Note:
    """One note.

    Attributes
    ----------
    onset, offset : float
        Seconds from the start of the recording; offset after onset.
    pitch : float
        MIDI number, 69 = 440 Hz; fractional for transcribed notes, integer for piano keys.
    velocity : int
        0-127.
    confidence : float
        0-1.

    Raises
    ------
    ValueError
        For a value outside its range.
    """

    onset: float
    offset: float
    pitch: float
    velocity: int = 80
    confidence: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (math.isfinite(self.onset) and math.isfinite(self.offset) and self.offset > self.onset):
            msg = f"note must have offset > onset, got onset {self.onset} s, offset {self.offset} s"
            raise ValueError(msg)
        if not 0 <= self.pitch <= 127:
            msg = f"pitch is {self.pitch}, allowed is 0 to 127 (MIDI number)"
            raise ValueError(msg)
        if not 0 <= self.velocity <= 127:
            msg = f"velocity is {self.velocity}, allowed is 0 to 127"
            raise ValueError(msg)
        if not 0 <= self.confidence <= 1:
            msg = f"confidence is {self.confidence}, allowed is 0 to 1"
            raise ValueError(msg)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.offset - self.onset


def to_arrays(notes: Sequence[Note]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split notes into intervals (note, 2) in seconds and pitches (note,), for mir_eval."""
    intervals = np.array([(note.onset, note.offset) for note in notes], dtype=np.float64).reshape(-1, 2)
    return intervals, np.array([note.pitch for note in notes], dtype=np.float64)


def to_keys(notes: Sequence[Note], tuning: float | None = None, transpose: int = 0) -> list[Note]:
    """Round transcribed notes to piano keys.

    Parameters
    ----------
    notes : sequence of Note
        With float pitches.
    tuning : float, optional
        The singer's offset from 440 Hz in semitones; estimated from the notes when not given.
    transpose : int
        Semitones.

    Returns
    -------
    list of Note
        Integer pitches 21-108; notes beyond the keyboard are moved by octaves.
    """
    if tuning is None:
        tuning = estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])
    return [replace(note, pitch=fold_to_keyboard(math.floor(note.pitch - tuning + 0.5) + transpose)) for note in notes]


def fold_to_keyboard(key: int) -> int:
    """Move a key by octaves until it lies on the keyboard (21-108)."""
    if key < LOWEST_KEY:
        key += 12 * math.ceil((LOWEST_KEY - key) / 12)
    if key > HIGHEST_KEY:
        key -= 12 * math.ceil((key - HIGHEST_KEY) / 12)
    return key
