"""Singing heard while it arrives: notes as soon as they are final, the same as of the whole recording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.audio import RateChanger
from hf_model.audio_reader import check_format
from hf_model.config import check_range
from hf_model.notes import Note
from hf_model.pieces import OVERLAP_SECONDS, PieceDecoder
from hf_model.posterior_stream import CHUNK_FRAMES, Network, PosteriorStream


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
