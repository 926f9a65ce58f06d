"""Long recordings decoded piece by piece: memory does not grow with the length."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hf_model.notes import Note

Curves = list[NDArray[np.float32]]
"""Onset, offset, voicing (frame,) and pitch (frame, pitch_bin), as probabilities."""

OVERLAP_SECONDS = 3.0
"""What is decoded on both sides of a border beside what counts, so that the border leaves no trace."""

LONGEST_SECONDS = 60.0
"""A tone that goes on longer is divided: a machine's hum may never end."""


class PieceDecoder:
    """Decode a recording whose probabilities come in chunks.

    A note counts once what follows is known for ``OVERLAP_SECONDS`` too; the next piece begins as much before the
    first note that does not count yet.

    Parameters
    ----------
    decode : callable
        Turns onset, offset, voicing and pitch into sorted notes, seconds from the first frame.
    frame_rate : float
        Frames a second.
    piece_seconds : float
        Longer than twice ``OVERLAP_SECONDS``: what is decoded at once; less at the beginning, and more where the
        longest note asks for it.
    """

    def __init__(self, decode: Callable[..., list[Note]], frame_rate: float, piece_seconds: float) -> None:
        self._decode, self._frame_rate = decode, frame_rate
        self._piece_frames = piece_seconds * frame_rate
        self._waiting: Curves = []
        self._start = 0  # frame of the recording at which what is waiting begins
        self._done = -math.inf  # offset of the last note that counts

    def push(self, chunk: Curves) -> list[Note]:
        """Take the next probabilities, of any length; return the notes that are final now, in seconds of the whole."""
        waiting = self._waiting
        self._waiting = waiting = (
            [np.concatenate(pair) for pair in zip(waiting, chunk, strict=True)] if waiting else list(chunk)
        )
        if self._start and len(waiting[0]) < self._piece_frames:
            return []
        horizon = (self._start + len(waiting[0])) / self._frame_rate - OVERLAP_SECONDS
        notes, open_note = self._decoded(horizon)
        keep = max(self._start, math.floor((min(horizon, open_note) - OVERLAP_SECONDS) * self._frame_rate))
        self._waiting = [curve[keep - self._start :].copy() for curve in waiting]
        self._start = keep
        return notes

    def finish(self) -> list[Note]:
        """Return the rest of the notes: nothing follows."""
        return self._decoded(math.inf)[0] if self._waiting and len(self._waiting[0]) else []

    def _decoded(self, horizon: float) -> tuple[list[Note], float]:
        """Give new notes that end before the horizon, and the onset of the first that does not, or infinity."""
        notes: list[Note] = []
        shift = self._start / self._frame_rate
        for note in self._decode(*self._waiting):
            onset, offset = note.onset + shift, note.offset + shift
            if (onset + offset) / 2 <= self._done:
                continue
            if offset > horizon:
                if horizon - onset < LONGEST_SECONDS:
                    return notes, onset
                offset = horizon
            notes.append(replace(note, onset=max(onset, self._done), offset=offset))
            self._done = offset
        return notes, math.inf
