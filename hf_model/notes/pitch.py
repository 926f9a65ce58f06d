"""Pitch: conversions between Hz, MIDI numbers and note names, and tuning estimation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

A4_HZ = 440.0
A4_PITCH = 69.0
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
LETTERS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11, "h": 11}
"""Semitones above C; "h" is the German name of B."""


def hz_to_pitch(f0: ArrayLike) -> NDArray[np.float64]:
    """Convert frequency to MIDI numbers.

    Parameters
    ----------
    f0 : array_like, any shape
        Hz, positive.

    Returns
    -------
    ndarray, same shape
        Float MIDI numbers, 69 = 440 Hz.

    Raises
    ------
    ValueError
        If a frequency is not positive.
    """
    values = np.asarray(f0, dtype=np.float64)
    if not np.all(values > 0):
        msg = f"f0 must be positive, got {values.min()} Hz; mask unvoiced frames first"
        raise ValueError(msg)
    return np.asarray(A4_PITCH + 12.0 * np.log2(values / A4_HZ))


def pitch_to_hz(pitch: ArrayLike) -> NDArray[np.float64]:
    """Convert MIDI numbers (float allowed) to Hz."""
    return np.asarray(A4_HZ * 2.0 ** ((np.asarray(pitch, dtype=np.float64) - A4_PITCH) / 12.0))


def pitch_to_name(pitch: float) -> str:
    """Name the nearest key: 60 is "C4"; halves up, as in :func:`hf_model.notes.note.to_keys`."""
    key = math.floor(pitch + 0.5)
    return f"{NAMES[key % 12]}{key // 12 - 1}"


def name_to_key(name: str) -> int:
    """Convert a note name ("C4", "f#3", "Bb5") to its MIDI number; C4 is 60.

    Raises
    ------
    ValueError
        For anything else.
    """
    letter, rest = name[:1].lower(), name[1:]
    accidentals = len(rest) - len(rest.lstrip("#b♯♭"))
    try:
        shift = sum(1 if accidental in "#♯" else -1 for accidental in rest[:accidentals])
        return LETTERS[letter] + shift + 12 * (int(rest[accidentals:]) + 1)
    except (KeyError, ValueError):
        msg = f"{name!r} is not a note, expected a MIDI number or a name such as C4 or F#3"
        raise ValueError(msg) from None


def estimate_tuning(pitches: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Estimate a singer's deviation from 440 Hz tuning.

    The circular mean of the fractional pitches: a voice 45 cents flat does not alternate between keys.

    Parameters
    ----------
    pitches : array_like, shape (note,)
        Float MIDI numbers.
    weights : array_like, shape (note,), optional
        For example durations in seconds.

    Returns
    -------
    float
        Semitones in (-0.5, 0.5], to subtract from a pitch before rounding; 0 without notes or if the fractions are
        spread evenly (mean resultant length below 0.2).
    """
    values = np.asarray(pitches, dtype=np.float64)
    if values.size == 0:
        return 0.0
    weight = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64)
    total = float(weight.sum())
    if total <= 0:
        return 0.0
    resultant = np.sum(weight * np.exp(2j * np.pi * values)) / total
    if abs(resultant) < 0.2:
        return 0.0
    return float(np.angle(resultant) / (2 * np.pi))
