"""Streaming transcription: audio in blocks to notes, the same as for the whole recording."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.audio.reader import check_format
from hf_model.audio.resampling import StreamResampler
from hf_model.config import check_range
from hf_model.notes.note import Note
from hf_model.transcriber.posteriors import CHUNK_FRAMES, Network, PosteriorArrays, PosteriorStream

OVERLAP_SECONDS = 3.0
"""Context on both sides of the part of a segment whose notes are final, so that segments do not change the notes."""

MAX_NOTE_SECONDS = 60.0
"""A longer tone is divided, so that memory is bounded: the hum of a machine may never end."""


class NoteStream:
    """Transcription of audio that arrives in blocks; the size of the blocks does not change the notes.

    :meth:`push` takes a block and :meth:`finish` ends the recording; both return the notes that have become final.
    Memory does not grow with the length. :func:`hf_model.listen` makes a stream with the weights that ship.

    Parameters
    ----------
    network : Network
    decode : callable
        Turns posteriors of onset, offset, voicing and pitch into notes.
    sample_rate : int
        Hz, of the blocks.
    chunk_seconds : float
        0.5 to 60: length that is computed at once. A note is returned at most :attr:`latency` seconds after its end.
        With the default, the notes are exactly those of the whole recording; with others, up to rounding.
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
        self._rate = StreamResampler(sample_rate, grid.sample_rate)
        self._posteriors = PosteriorStream(network, chunk_frames)
        segment_seconds = 2 * OVERLAP_SECONDS + seconds  # so that each chunk completes a segment
        self._decoder = SegmentDecoder(decode, grid.frame_rate, segment_seconds)
        self._finished = False
        self.latency = self._posteriors.latency + OVERLAP_SECONDS
        """Maximum number of seconds of audio between the end of a note and its return."""

    def push(self, audio: ArrayLike) -> list[Note]:
        """Take the next samples.

        Parameters
        ----------
        audio : array_like, shape (sample,)
            Floating point, full scale at 1; any number of samples.

        Returns
        -------
        list of Note
            The notes that are final now, in seconds from the first sample of the recording.

        Raises
        ------
        ValueError
            For another shape or type, for values that are not finite, and after :meth:`finish`.
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
        return self._transcribe(self._rate.push(block.astype(np.float32, copy=False)))

    def finish(self) -> list[Note]:
        """Return the remaining notes, at the end of the recording."""
        if self._finished:
            return []
        self._finished = True
        notes = self._transcribe(self._rate.finish())
        for posteriors in self._posteriors.finish():
            notes += self._decoder.push(posteriors)
        return notes + self._decoder.finish()

    def _transcribe(self, audio: NDArray[np.float32]) -> list[Note]:
        return [note for posteriors in self._posteriors.push(audio) for note in self._decoder.push(posteriors)]


class SegmentDecoder:
    """Decode a recording whose posteriors arrive in chunks.

    A note is final when ``OVERLAP_SECONDS`` after it are known too; the next segment begins as much before the first
    note that is not final yet.

    Parameters
    ----------
    decode : callable
        Turns posteriors of onset, offset, voicing and pitch into sorted notes, in seconds from the first frame.
    frame_rate : float
        Frames a second.
    segment_seconds : float
        Length that is decoded at once, more than twice ``OVERLAP_SECONDS``; less at the beginning, and more if a note
        is longer.
    """

    def __init__(self, decode: Callable[..., list[Note]], frame_rate: float, segment_seconds: float) -> None:
        self._decode, self._frame_rate = decode, frame_rate
        self._segment_frames = segment_seconds * frame_rate
        self._waiting: PosteriorArrays = []
        self._start = 0  # frame of the recording at which the waiting posteriors begin
        self._done = -math.inf  # offset of the last final note

    def push(self, chunk: PosteriorArrays) -> list[Note]:
        """Take the next posteriors, of any length; return the notes that are final now, in seconds of the recording."""
        waiting = self._waiting
        self._waiting = waiting = (
            [np.concatenate(pair) for pair in zip(waiting, chunk, strict=True)] if waiting else list(chunk)
        )
        if self._start and len(waiting[0]) < self._segment_frames:
            return []
        horizon = (self._start + len(waiting[0])) / self._frame_rate - OVERLAP_SECONDS
        notes, open_note = self._decoded(horizon)
        keep = max(self._start, math.floor((min(horizon, open_note) - OVERLAP_SECONDS) * self._frame_rate))
        self._waiting = [part[keep - self._start :].copy() for part in waiting]
        self._start = keep
        return notes

    def finish(self) -> list[Note]:
        """Return the remaining notes, at the end of the recording."""
        return self._decoded(math.inf)[0] if self._waiting and len(self._waiting[0]) else []

    def _decoded(self, horizon: float) -> tuple[list[Note], float]:
        """Return new notes that end before the horizon, and the onset of the first that does not, or infinity."""
        notes: list[Note] = []
        shift = self._start / self._frame_rate
        for note in self._decode(*self._waiting):
            onset, offset = note.onset + shift, note.offset + shift
            if (onset + offset) / 2 <= self._done:
                continue
            if offset > horizon:
                if horizon - onset < MAX_NOTE_SECONDS:
                    return notes, onset
                offset = horizon
            notes.append(replace(note, onset=max(onset, self._done), offset=offset))
            self._done = offset
        return notes, math.inf
