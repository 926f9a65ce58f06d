"""How loud each note is sung, as MIDI velocities: the piano follows the singer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hf_model.notes import Note

FRAME_RATE = 100.0
"""Loudness values a second."""

MIDDLE = 75.0
"""Velocity of the recording's median note."""

HALF_RANGE = 35.0
"""The softest and the loudest notes approach ``MIDDLE`` minus and plus this much."""

SCALE_DB = 16.0
"""A note so much above the median gets three quarters (tanh 1) of ``HALF_RANGE``."""

OWN_WEIGHT = 0.6
"""How much a note's own level counts; the rest is its neighbours', since vowels alone differ by some 5 dB."""

FLOOR_DB = -100.0


def velocities(audio: NDArray[np.float32], sample_rate: int, notes: Sequence[Note]) -> list[Note]:
    """Give every note the velocity with which it is sung.

    Parameters
    ----------
    audio : ndarray, shape (sample,) or (channel, sample)
        The recording; only differences of level within it count, not how loud it is as a whole.
    sample_rate : int
        Hz.
    notes : sequence of Note
        Notes in it.

    Returns
    -------
    list of Note
        The same notes with velocities 40-110 around a median of about 75.
    """
    if not notes:
        return []
    levels = note_levels(audio, sample_rate, notes)
    padded = np.pad(levels, 1, mode="edge")
    smooth = OWN_WEIGHT * levels + (1.0 - OWN_WEIGHT) * 0.5 * (padded[:-2] + padded[2:])
    above = smooth - np.median(smooth)
    values = np.floor(MIDDLE + HALF_RANGE * np.tanh(above / SCALE_DB) + 0.5).astype(int)
    return [replace(note, velocity=int(value)) for note, value in zip(notes, values, strict=True)]


def note_levels(audio: NDArray[np.float32], sample_rate: int, notes: Sequence[Note]) -> NDArray[np.float64]:
    """Measure the level of every note: the 80th percentile of its 10 ms frames, so that breaths and gaps do not count.

    Returns
    -------
    ndarray, shape (note,)
        dB, 0 is a full-scale square wave; at least ``FLOOR_DB``.
    """
    mono = audio if audio.ndim == 1 else audio.mean(axis=0)
    hop = max(1, round(sample_rate / FRAME_RATE))
    n_frames = len(mono) // hop
    blocks = mono[: n_frames * hop].reshape(n_frames, hop)
    power = np.einsum("fs,fs->f", blocks, blocks).astype(np.float64) / hop
    frames = 10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DB / 10.0)))
    levels = np.full(len(notes), FLOOR_DB)
    for index, note in enumerate(notes):
        first, last = int(note.onset * sample_rate / hop), int(np.ceil(note.offset * sample_rate / hop))
        inside = frames[max(first, 0) : max(last, first + 1)]
        if inside.size:
            levels[index] = np.percentile(inside, 80)
    return levels
