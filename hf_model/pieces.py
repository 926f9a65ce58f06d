"""Long recordings decoded piece by piece: memory does not grow with the length."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hf_model.notes import Note

Curves = list[NDArray[np.float32]]
"""Onset, offset, voicing (frame,) and pitch (frame, pitch_bin), as probabilities."""

PIECE_SECONDS = 100.0
"""A piece is decoded once so much is waiting."""

OVERLAP_SECONDS = 5.0
"""What is decoded on both sides of a border beside what counts, so that the border leaves no trace."""


def decode_in_pieces(
    chunks: Iterable[Curves], decode: Callable[..., list[Note]], frame_rate: float, piece_seconds: float = PIECE_SECONDS
) -> list[Note]:
    """Decode a recording whose probabilities come in chunks.

    A note counts once what follows is known for ``OVERLAP_SECONDS`` too; the next piece begins as much before the
    first note that does not count yet.

    Parameters
    ----------
    chunks : iterable of Curves
        One after the other, of any length.
    decode : callable
        Turns onset, offset, voicing and pitch into sorted notes, seconds from the first frame.
    frame_rate : float
        Frames a second.
    piece_seconds : float
        Longer than twice ``OVERLAP_SECONDS`` and the longest note.

    Returns
    -------
    list of Note
        Sorted, without overlaps; seconds from the first chunk's first frame.
    """
    notes: list[Note] = []
    waiting: Curves = []
    start = 0
    for chunk in chunks:
        waiting = [np.concatenate(pair) for pair in zip(waiting, chunk, strict=True)] if waiting else list(chunk)
        if len(waiting[0]) < piece_seconds * frame_rate:
            continue
        horizon = (start + len(waiting[0])) / frame_rate - OVERLAP_SECONDS
        open_note = _take(notes, decode(*waiting), start / frame_rate, horizon)
        keep = max(start, math.floor((min(horizon, open_note) - OVERLAP_SECONDS) * frame_rate))
        waiting = [curve[keep - start :].copy() for curve in waiting]
        start = keep
    if waiting and len(waiting[0]):
        _take(notes, decode(*waiting), start / frame_rate, math.inf)
    return notes


def _take(notes: list[Note], found: list[Note], shift: float, horizon: float) -> float:
    """Add those that are new and end before the horizon; return the onset of the first that does not, or infinity."""
    done = notes[-1].offset if notes else -math.inf
    for note in found:
        onset, offset = note.onset + shift, note.offset + shift
        if (onset + offset) / 2 <= done:
            continue
        if offset > horizon:
            return onset
        notes.append(replace(note, onset=max(onset, done), offset=offset))
        done = offset
    return math.inf
