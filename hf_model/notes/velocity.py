"""MIDI velocities of sung notes, estimated from the recording's level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note

FRAME_RATE = 100.0
"""Level values per second."""

MIDDLE = 75.0
"""Velocity of the recording's median note."""

HALF_RANGE = 35.0
"""Velocities lie within ``MIDDLE`` plus and minus this."""

SCALE_DB = 16.0
"""Level above the median at which a note gets 76 % (tanh 1) of ``HALF_RANGE``."""

PHRASE_GAP = 0.25
"""Seconds of rest that separate phrases, which are smoothed separately."""

OUTLIER_DB = 8.0
"""Maximum deviation of a note from the median of the five notes around it; vowels alone differ by 5 dB."""

SMOOTHING = 0.3
"""Seconds; standard deviation of the Gaussian window that smooths a phrase."""

MAX_WEIGHT = 0.5
"""Seconds; longer notes have the same weight in smoothing."""

FLOOR_DB = -100.0


def estimate_velocities(audio: NDArray[np.float32], sample_rate: int, notes: Sequence[Note]) -> list[Note]:
    """Estimate the velocity of every note.

    Parameters
    ----------
    audio : ndarray, shape (sample,) or (channel, sample)
        The recording; velocities depend on level differences within it, not on its overall level.
    sample_rate : int
        Hz.
    notes : sequence of Note
        Notes of the recording.

    Returns
    -------
    list of Note
        The same notes with velocities 40-110 around a median of about 75.
    """
    if not notes:
        return []
    levels = note_levels(audio, sample_rate, notes)
    smooth = np.concatenate([smooth_phrase(levels[part], notes[part]) for part in split_phrases(notes)])
    above = smooth - np.median(smooth)
    values = np.floor(MIDDLE + HALF_RANGE * np.tanh(above / SCALE_DB) + 0.5).astype(int)
    return [replace(note, velocity=int(value)) for note, value in zip(notes, values, strict=True)]


def split_phrases(notes: Sequence[Note]) -> list[slice]:
    """Split notes, sorted by onset, at rests of more than ``PHRASE_GAP``."""
    later = range(1, len(notes))
    starts = [0, *(i for i in later if notes[i].onset - notes[i - 1].offset > PHRASE_GAP), len(notes)]
    return [slice(first, last) for first, last in pairwise(starts)]


def smooth_phrase(levels: NDArray[np.float64], notes: Sequence[Note]) -> NDArray[np.float64]:
    """Limit outliers among the levels (note,) of a phrase, then smooth over neighbouring notes."""
    padded = np.pad(levels, 2, mode="reflect" if len(levels) > 2 else "edge")
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    limited = median + np.clip(levels - median, -OUTLIER_DB, OUTLIER_DB)
    centre = np.array([0.5 * (note.onset + note.offset) for note in notes])
    weight = np.array([min(note.duration, MAX_WEIGHT) for note in notes])
    weights = np.exp(-0.5 * ((centre[:, np.newaxis] - centre) / SMOOTHING) ** 2) * weight
    return np.asarray(weights @ limited / weights.sum(axis=1))


def note_levels(audio: NDArray[np.float32], sample_rate: int, notes: Sequence[Note]) -> NDArray[np.float64]:
    """Measure the level of every note: the 80th percentile over its 10 ms frames, to ignore breaths and gaps.

    Returns
    -------
    ndarray, shape (note,)
        dB relative to a full-scale square wave; at least ``FLOOR_DB``.
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
