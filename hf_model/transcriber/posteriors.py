"""Posteriors of singing that arrives block by block: bit for bit those of the whole, and little is computed twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_model.audio.grid import StftConfig
from hf_model.parallel.threads import side_by_side
from hf_model.transcriber.features import LEVEL_BLOCK, LEVEL_REACH, set_level
from hf_model.transcriber.fused import Near

CHUNK_FRAMES = 1000
"""Frames that the network computes at once, beside what it sees around them."""


class Network(Protocol):
    """What computes posteriors in two steps: :class:`hf_model.transcriber.fused.FoldedTranscriber`."""

    @property
    def stft_config(self) -> StftConfig:
        """The grid of the posteriors."""
        ...

    @property
    def near_reach(self) -> int:
        """Frames on either side that :meth:`near` depends on."""
        ...

    @property
    def far_reach(self) -> int:
        """Frames on either side that :meth:`far` depends on."""
        ...

    def near(self, waveform: Tensor, /) -> Near:
        """Take the first step, from samples (1, sample) at one level."""
        ...

    def far(self, lines: Tensor, /) -> Tensor:
        """Take the second step, to probabilities of onset, offset and voicing, (3, frame)."""
        ...


class PosteriorStream:
    """Posteriors of a recording that arrives block by block.

    Both steps of the network are taken in chunks that lie where they lie, however the blocks come, from what can
    matter to a chunk: samples as far as the first step and the level reach around it, and what the first step told of
    as many frames as the second one reaches. So no block and no border leaves a trace.

    Parameters
    ----------
    network : Network
    chunk_frames : int
        Frames of a chunk.
    """

    def __init__(self, network: Network, chunk_frames: int = CHUNK_FRAMES) -> None:
        self._near, self._far = _NearChunks(network, chunk_frames), _FarChunks(network, chunk_frames)
        grid = network.stft_config
        frames = chunk_frames + network.near_reach + network.far_reach
        self.latency = frames / grid.frame_rate + (LEVEL_REACH + LEVEL_BLOCK) / grid.sample_rate
        """Seconds, at most, from a frame until its posteriors are computed."""

    def push(self, audio: NDArray[np.float32]) -> Iterator[Curves]:
        """Take the next samples (sample,) at 16 kHz, of any number, and yield the chunks that they complete."""
        return side_by_side(self._far.completed(side_by_side(self._near.completed(audio))))

    def finish(self) -> Iterator[Curves]:
        """Yield the rest: nothing follows."""
        return side_by_side(self._far.rest(side_by_side(self._near.rest())))


class _NearChunks:
    """From samples to calculations of the first step, each of frames that no other has.

    The first chunk is longer by what the second step sees ahead, so that each completes one of the second step's.
    """

    def __init__(self, network: Network, chunk_frames: int) -> None:
        self._network, self._chunk_frames, self._reach = network, chunk_frames, network.near_reach
        self._hop = network.stft_config.hop_length
        longest = (chunk_frames + network.far_reach + 2 * self._reach) * self._hop + 2 * (LEVEL_REACH + LEVEL_BLOCK)
        self._kept = np.empty(longest, dtype=np.float32)
        self._first = 0  # sample of the recording at which what is kept begins; the level's grid goes through it
        self._total = 0  # samples of the recording so far
        self._frame = 0  # first frame that is not computed yet
        self._stop = chunk_frames + network.far_reach  # first frame after the next chunk

    def completed(self, audio: NDArray[np.float32]) -> Iterator[Callable[[], Near]]:
        at = 0
        while at < audio.size:
            taken = min(audio.size - at, self._needed() - self._total)
            place = self._total - self._first
            self._kept[place : place + taken] = audio[at : at + taken]
            at += taken
            self._total += taken
            if self._total == self._needed():
                yield self._chunk(self._stop, self._stop + self._reach)

    def rest(self) -> Iterator[Callable[[], Near]]:
        n_frames = 1 + self._total // self._hop
        while self._total and self._frame < n_frames:
            stop = min(n_frames, self._stop)
            yield self._chunk(stop, min(n_frames, stop + self._reach), n_frames)

    def _needed(self) -> int:
        """Count the samples of the recording that the next chunk can depend on."""
        seen = (self._stop + self._reach) * self._hop
        return -(-seen // LEVEL_BLOCK) * LEVEL_BLOCK + LEVEL_REACH

    def _chunk(self, stop: int, last: int, n_frames: int | None = None) -> Callable[[], Near]:
        """Prepare to compute frames up to ``stop`` from those up to ``last``; let go of what no later chunk needs."""
        first = max(0, self._frame - self._reach)
        begin = first * self._hop - self._first
        end = self._total - self._first if last == n_frames else (last - 1) * self._hop - self._first
        heard = torch.from_numpy(self._kept[: self._total - self._first].copy())
        keep = slice(self._frame - first, stop - first)
        self._frame, self._stop = stop, stop + self._chunk_frames
        self._let_go()
        return partial(_near, self._network, heard, slice(begin, end), keep)

    def _let_go(self) -> None:
        seen = max(0, self._frame - self._reach) * self._hop
        first = max(self._first, seen // LEVEL_BLOCK * LEVEL_BLOCK - LEVEL_REACH)
        left = self._kept[first - self._first : self._total - self._first].copy()
        self._kept[: left.size] = left
        self._first = first


class _FarChunks:
    """From what the first step told to calculations of the second."""

    def __init__(self, network: Network, chunk_frames: int) -> None:
        self._network, self._chunk_frames, self._reach = network, chunk_frames, network.far_reach
        self._kept: list[Near] = []
        self._first = 0  # frame of the recording at which what is kept begins
        self._end = 0  # and ends
        self._frame = 0  # first frame that is not computed yet

    def completed(self, told: Iterable[Near]) -> Iterator[Callable[[], Curves]]:
        for near in told:
            self._kept.append(near)
            self._end += len(near.lines)
            stop = self._frame + self._chunk_frames
            if self._end >= stop + self._reach:
                yield self._chunk(stop)

    def rest(self, told: Iterable[Near]) -> Iterator[Callable[[], Curves]]:
        yield from self.completed(told)
        while self._frame < self._end:
            yield self._chunk(min(self._end, self._frame + self._chunk_frames))

    def _chunk(self, stop: int) -> Callable[[], Curves]:
        """Prepare to compute frames up to ``stop``; let go of what no later chunk needs."""
        seen = slice(max(0, self._frame - self._reach) - self._first, stop + self._reach - self._first)
        keep = slice(self._frame - self._first, stop - self._first)
        calculation = partial(_far, self._network, list(self._kept), seen, keep)
        self._frame = stop
        while self._kept and self._first + len(self._kept[0].lines) <= stop - self._reach:
            self._first += len(self._kept.pop(0).lines)
        return calculation


@torch.inference_mode()
def _near(network: Network, heard: Tensor, sounding: slice, keep: slice) -> Near:
    """Take the first step on the samples ``sounding`` of what is heard (sample,), and keep the frames ``keep``."""
    near = network.near(set_level(heard[None], sounding.start, sounding.stop))
    return Near(*(part[keep] for part in near))


@torch.inference_mode()
def _far(network: Network, kept: Sequence[Near], seen: slice, keep: slice) -> Curves:
    """Take the second step on the frames ``seen`` of what is kept, and tell of the frames ``keep``."""
    lines, pitch = zip(*kept, strict=True)
    inside = slice(keep.start - seen.start, keep.stop - seen.start)
    return [*network.far(_cut(lines, seen))[:, inside].numpy(), _cut(pitch, keep).numpy()]


def _cut(parts: Iterable[Tensor], frames: slice) -> Tensor:
    """Cut frames out of parts that follow each other, (frame, ...)."""
    found, at = [], 0
    for part in parts:
        found.append(part[max(0, frames.start - at) : max(0, frames.stop - at)])
        at += len(part)
    return torch.cat(found)


Curves = list[NDArray[np.float32]]
"""Onset, offset, voicing (frame,) and pitch (frame, pitch_bin), as probabilities."""
