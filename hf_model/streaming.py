"""Singing heard while it arrives: notes as soon as they are final, the same as of the whole recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hf_model.audio import RateChanger
from hf_model.audio_reader import check_format
from hf_model.config import StftConfig, check_range
from hf_model.frontend import LEVEL_BLOCK, LEVEL_REACH, set_level
from hf_model.notes import Note
from hf_model.pieces import OVERLAP_SECONDS, Curves, PieceDecoder
from hf_model.side_by_side import side_by_side

CHUNK_FRAMES = 1000
"""Frames that the network computes at once, beside what it sees around them."""


class Network(Protocol):
    """What computes posteriors: the transcriber."""

    @property
    def reach(self) -> int:
        """Frames that a frame's posteriors can see on either side."""
        ...

    @property
    def stft_config(self) -> StftConfig:
        """The grid of the posteriors."""
        ...

    def __call__(self, waveform: Tensor, /) -> Sequence[Tensor]:
        """Logits of onset, offset, voicing (batch, frame) and pitch (batch, frame, pitch_bin)."""
        ...


class PosteriorStream:
    """Posteriors of a recording that arrives block by block.

    They are computed in chunks that lie where they lie, however the blocks come, from the samples that can matter to
    a chunk: the network's reach around it and the level's reach around that. So no block and no border leaves a trace.

    Parameters
    ----------
    network : Network
    chunk_frames : int
        Frames of a chunk.
    """

    def __init__(self, network: Network, chunk_frames: int = CHUNK_FRAMES) -> None:
        self._network, self._chunk_frames = network, chunk_frames
        self._hop = network.stft_config.hop_length
        longest = (chunk_frames + 2 * network.reach) * self._hop + 2 * (LEVEL_REACH + LEVEL_BLOCK)
        self._kept = np.empty(longest, dtype=np.float32)
        self._first = 0  # sample of the recording at which what is kept begins; the level's grid goes through it
        self._total = 0  # samples of the recording so far
        self._frame = 0  # first frame that is not computed yet

    def push(self, audio: NDArray[np.float32]) -> Iterator[Curves]:
        """Take the next samples (sample,) at 16 kHz, of any number, and yield the chunks that they complete."""
        return side_by_side(self._completed(audio))

    def finish(self) -> Iterator[Curves]:
        """Yield the rest: nothing follows."""
        return side_by_side(self._rest())

    def _completed(self, audio: NDArray[np.float32]) -> Iterator[Callable[[], Curves]]:
        at = 0
        while at < audio.size:
            taken = min(audio.size - at, self._needed() - self._total)
            place = self._total - self._first
            self._kept[place : place + taken] = audio[at : at + taken]
            at += taken
            self._total += taken
            if self._total == self._needed():
                yield self._chunk(self._frame + self._chunk_frames, self._frame + self._chunk_frames + self._reach)

    def _rest(self) -> Iterator[Callable[[], Curves]]:
        n_frames = 1 + self._total // self._hop
        while self._total and self._frame < n_frames:
            stop = min(n_frames, self._frame + self._chunk_frames)
            yield self._chunk(stop, min(n_frames, stop + self._reach), n_frames)

    @property
    def _reach(self) -> int:
        return self._network.reach

    def _needed(self) -> int:
        """Count the samples of the recording that the next chunk can depend on."""
        seen = (self._frame + self._chunk_frames + self._reach) * self._hop
        return -(-seen // LEVEL_BLOCK) * LEVEL_BLOCK + LEVEL_REACH

    def _chunk(self, stop: int, last: int, n_frames: int | None = None) -> Callable[[], Curves]:
        """Prepare to compute frames up to ``stop`` from those up to ``last``; let go of what no later chunk needs."""
        first = max(0, self._frame - self._reach)
        begin = first * self._hop - self._first
        end = self._total - self._first if last == n_frames else (last - 1) * self._hop - self._first
        heard = torch.from_numpy(self._kept[: self._total - self._first].copy())
        keep = slice(self._frame - first, stop - first)
        self._frame = stop
        self._let_go()
        return partial(_posteriors, self._network, heard, slice(begin, end), keep)

    def _let_go(self) -> None:
        seen = max(0, self._frame - self._reach) * self._hop
        first = max(self._first, seen // LEVEL_BLOCK * LEVEL_BLOCK - LEVEL_REACH)
        left = self._kept[first - self._first : self._total - self._first].copy()
        self._kept[: left.size] = left
        self._first = first


@torch.inference_mode()
def _posteriors(network: Network, heard: Tensor, sounding: slice, keep: slice) -> Curves:
    """Compute the frames ``keep`` of the samples ``sounding`` of what is heard (sample,)."""
    piece = set_level(heard[None], sounding.start, sounding.stop)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=_bf16_is_fast()):
        *curves, pitch = network(piece)
    found = [torch.sigmoid(curve[0, keep]).numpy() for curve in curves]
    return [*found, pitch[0, keep].softmax(-1).numpy()]


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
        level = (LEVEL_REACH + LEVEL_BLOCK) / grid.sample_rate
        self.latency = seconds + network.reach / grid.frame_rate + level + OVERLAP_SECONDS
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


def _bf16_is_fast() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported()) if hasattr(torch.cpu, "_is_avx512_bf16_supported") else False
