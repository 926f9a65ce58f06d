"""Singing heard while it arrives: notes as soon as they are final, the same as of the whole recording."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.audio.reader import check_format
from hf_model.audio.resampling import RateChanger
from hf_model.config import check_range
from hf_model.notes.note import Note
from hf_model.transcriber.posteriors import CHUNK_FRAMES, Curves, Network, PosteriorStream


class NoteStream:
    """Notes of singing that arrives block by block: those of the whole recording, however it is cut into blocks.

    Give it every block with ``push`` and tell it the end with ``finish``; each returns the notes that became final.
    Memory does not grow with the length. :func:`hf_model.listen` makes one with the weights that ship.

    Parameters
    ----------
    network : Network
    decode : callable
        Turns onset, offset, voicing and pitch into notes.
    sample_rate : int
        Hz, of the blocks.
    chunk_seconds : float
        0.5 to 60: what is computed at once. A note is returned at most :attr:`latency` seconds after its end. The
        notes are exactly those of the whole recording with the default, and with others but for rounding.
    """

    def __init__(
        self,
        network: Network,
        decode: Callable[..., list[Note]],
        *,
        sample_rate: int = 16000,
        chunk_seconds: float | None = None,
    ) -> None:
        grid = network.stft_config
        seconds = CHUNK_FRAMES / grid.frame_rate if chunk_seconds is None else chunk_seconds
        check_range("chunk_seconds", seconds, 0.5, 60.0)
        chunk_frames = round(seconds * grid.frame_rate)
        check_format(sample_rate, 1)
        self._rate = RateChanger(sample_rate, grid.sample_rate)
        self._posteriors = PosteriorStream(network, chunk_frames)
        piece_seconds = 2 * OVERLAP_SECONDS + seconds  # so that every chunk is decoded at once
        self._decoder = PieceDecoder(decode, grid.frame_rate, piece_seconds)
        self._finished = False
        self.latency = self._posteriors.latency + OVERLAP_SECONDS
        """Seconds of singing after a note's end, at most, until it is returned."""

    def push(self, audio: ArrayLike) -> list[Note]:
        """Take the next samples.

        Parameters
        ----------
        audio : array_like, shape (sample,)
            Floating point, full scale at 1; any number of samples.

        Returns
        -------
        list of Note
            Those that are final now; seconds from the first sample of all.

        Raises
        ------
        ValueError
            For another shape or type, for values that are not numbers, and after :meth:`finish`.
        """
        block: NDArray[Any] = np.asarray(audio)
        if self._finished:
            msg = "the stream is finished; begin a new one"
            raise ValueError(msg)
        if block.ndim != 1 or not np.issubdtype(block.dtype, np.floating):
            msg = f"audio must be floating point with shape (sample,), got {block.dtype} with shape {block.shape}"
            raise ValueError(msg)
        if not np.isfinite(block).all():
            msg = f"sample {int(np.argmin(np.isfinite(block)))} of the block is not a finite number"
            raise ValueError(msg)
        return self._hear(self._rate.push(block.astype(np.float32, copy=False)))

    def finish(self) -> list[Note]:
        """Return the rest of the notes: nothing follows."""
        if self._finished:
            return []
        self._finished = True
        notes = self._hear(self._rate.finish())
        for curves in self._posteriors.finish():
            notes += self._decoder.push(curves)
        return notes + self._decoder.finish()

    def _hear(self, audio: NDArray[np.float32]) -> list[Note]:
        return [note for curves in self._posteriors.push(audio) for note in self._decoder.push(curves)]


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
