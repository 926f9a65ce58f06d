"""Pitch conversions: Hz, MIDI numbers, note names, and the tuning of a recording."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

A4_HZ = 440.0
A4_PITCH = 69.0
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


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
    """Name the nearest key: 60 is "C4"; halves go up, as in :func:`hf_model.notes.note.to_keys`."""
    key = math.floor(pitch + 0.5)
    return f"{NAMES[key % 12]}{key // 12 - 1}"


def estimate_tuning(pitches: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Estimate how far a singer is from 440 Hz tuning.

    The circular mean of the fractional pitches, so that a voice 45 cents flat does not flip between keys.

    Parameters
    ----------
    pitches : array_like, shape (note,)
        Float MIDI numbers.
    weights : array_like, shape (note,), optional
        For instance durations in seconds.

    Returns
    -------
    float
        Semitones in (-0.5, 0.5]; subtract it from a pitch before rounding. 0 without notes, or when the fractions
        point nowhere (mean resultant length under 0.2).
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
