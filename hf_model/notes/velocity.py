"""How loud each note is sung, as MIDI velocities: the piano follows the singer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note

FRAME_RATE = 100.0
"""Loudness values a second."""

MIDDLE = 75.0
"""Velocity of the recording's median note."""

HALF_RANGE = 35.0
"""The softest and the loudest notes approach ``MIDDLE`` minus and plus this much."""

SCALE_DB = 16.0
"""A note so much above the median gets three quarters (tanh 1) of ``HALF_RANGE``."""

PHRASE_GAP = 0.25
"""Seconds of rest that end a phrase; what is sung before and after does not smooth each other."""

OUTLIER_DB = 8.0
"""A note counts as at most so much above or below the middle of its five neighbours: a vowel alone makes 5 dB."""

SMOOTHING = 0.3
"""Seconds; how far a note's neighbours within the phrase count (standard deviation of a bell curve)."""

LONGEST_WEIGHT = 0.5
"""Seconds; the level of a longer note is not surer."""

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
    smooth = np.concatenate([smooth_phrase(levels[part], notes[part]) for part in phrases(notes)])
    above = smooth - np.median(smooth)
    values = np.floor(MIDDLE + HALF_RANGE * np.tanh(above / SCALE_DB) + 0.5).astype(int)
    return [replace(note, velocity=int(value)) for note, value in zip(notes, values, strict=True)]


def phrases(notes: Sequence[Note]) -> list[slice]:
    """Cut notes, sorted by onset, where the singer rests."""
    later = range(1, len(notes))
    starts = [0, *(i for i in later if notes[i].onset - notes[i - 1].offset > PHRASE_GAP), len(notes)]
    return [slice(first, last) for first, last in pairwise(starts)]


def smooth_phrase(levels: NDArray[np.float64], notes: Sequence[Note]) -> NDArray[np.float64]:
    """Limit outliers among the levels (note,) of a phrase, then let neighbours agree; its rise and fall stay."""
    padded = np.pad(levels, 2, mode="reflect" if len(levels) > 2 else "edge")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    limited = middle + np.clip(levels - middle, -OUTLIER_DB, OUTLIER_DB)
    centre = np.array([0.5 * (note.onset + note.offset) for note in notes])
    sure = np.array([min(note.duration, LONGEST_WEIGHT) for note in notes])
    weights = np.exp(-0.5 * ((centre[:, np.newaxis] - centre) / SMOOTHING) ** 2) * sure
    return np.asarray(weights @ limited / weights.sum(axis=1))


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
