"""Streaming posteriors: audio in blocks of any size to the same posteriors, bit for bit, as for the whole recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import StftConfig
from hf_model.parallel.threads import in_threads
from hf_model.transcriber.level import LEVEL_BLOCK, LEVEL_REACH, set_level

FloatArray = NDArray[np.float32]

CHUNK_FRAMES = 1000
"""Frames that are computed at once, without those that they depend on."""

PosteriorArrays = list[FloatArray]
"""Onset, offset, voicing (frame,) and pitch (frame, pitch_bin), as probabilities."""


class LocalFeatures(NamedTuple):
    """Output of the layers with a small receptive field.

    ``features``: (frame, channel), the input of the second step; ``pitch``: (frame, pitch_bin), probabilities;
    ``power``: (frame, bin), spectra with the short window.
    """

    features: FloatArray
    pitch: FloatArray
    power: FloatArray


class Network(Protocol):
    """A network in two steps: see :class:`hf_model.transcriber.transcriber.Transcriber`."""

    @property
    def stft_config(self) -> StftConfig:
        """The grid of the posteriors."""
        ...

    @property
    def local_reach(self) -> int:
        """Frames on either side that :meth:`local` depends on."""
        ...

    @property
    def context_reach(self) -> int:
        """Frames on either side that :meth:`context` depends on."""
        ...

    def local(self, waveform: FloatArray, /) -> LocalFeatures:
        """Compute local features of samples (sample,) at constant level."""
        ...

    def context(self, features: FloatArray, /) -> FloatArray:
        """Compute probabilities of onset, offset and voicing, (3, frame), from local features (frame, channel)."""
        ...

    def refine(self, posteriors: PosteriorArrays, power: FloatArray, /) -> PosteriorArrays:
        """Improve all posteriors by the spectra (frame, bin); a frame depends on ``context_reach`` on either side."""
        ...


class PosteriorStream:
    """Posteriors of a recording that arrives in blocks.

    Both steps of the network are computed in chunks of fixed position, whatever the blocks are, from all that a chunk
    depends on: samples within the reach of the level and of the first step, and local features within the reach of the
    second. So neither blocks nor boundaries of chunks change the result, and little is computed twice.

    Parameters
    ----------
    network : Network
    chunk_frames : int
        Frames per chunk.
    """

    def __init__(self, network: Network, chunk_frames: int = CHUNK_FRAMES) -> None:
        self._local, self._context = _LocalChunks(network, chunk_frames), _ContextChunks(network, chunk_frames)
        grid = network.stft_config
        frames = chunk_frames + network.local_reach + network.context_reach
        self.latency = frames / grid.frame_rate + (LEVEL_REACH + LEVEL_BLOCK) / grid.sample_rate
        """Maximum number of seconds between a frame and its posteriors."""

    def push(self, audio: NDArray[np.float32]) -> Iterator[PosteriorArrays]:
        """Take the next samples (sample,) at 16 kHz, any number, and yield the chunks that they complete."""
        return in_threads(self._context.completed(in_threads(self._local.completed(audio))))

    def finish(self) -> Iterator[PosteriorArrays]:
        """Yield the remaining chunks, at the end of the recording."""
        return in_threads(self._context.rest(in_threads(self._local.rest())))


class _LocalChunks:
    """Buffer of samples that yields calculations of the first step, each for the next frames.

    The first chunk is longer by the reach of the second step, so that each chunk completes one of the second step.
    """

    def __init__(self, network: Network, chunk_frames: int) -> None:
        self._network, self._chunk_frames, self._reach = network, chunk_frames, network.local_reach
        self._hop = network.stft_config.hop_length
        frames = chunk_frames + network.context_reach + 2 * self._reach
        self._kept = np.empty(frames * self._hop + 2 * (LEVEL_REACH + LEVEL_BLOCK), dtype=np.float32)
        self._first = 0  # index in the recording of the first sample kept, a multiple of LEVEL_BLOCK
        self._total = 0  # samples of the recording so far
        self._frame = 0  # first frame that is not computed yet
        self._stop = chunk_frames + network.context_reach  # end of the next chunk

    def completed(self, audio: NDArray[np.float32]) -> Iterator[Callable[[], LocalFeatures]]:
        at = 0
        while at < audio.size:
            taken = min(audio.size - at, self._needed() - self._total)
            place = self._total - self._first
            self._kept[place : place + taken] = audio[at : at + taken]
            at += taken
            self._total += taken
            if self._total == self._needed():
                yield self._chunk(self._stop, self._stop + self._reach)

    def rest(self) -> Iterator[Callable[[], LocalFeatures]]:
        n_frames = 1 + self._total // self._hop
        while self._total and self._frame < n_frames:
            stop = min(n_frames, self._stop)
            yield self._chunk(stop, min(n_frames, stop + self._reach), n_frames)

    def _needed(self) -> int:
        """Count the samples of the recording that the next chunk can depend on."""
        samples = (self._stop + self._reach) * self._hop
        return -(-samples // LEVEL_BLOCK) * LEVEL_BLOCK + LEVEL_REACH

    def _chunk(self, stop: int, last: int, n_frames: int | None = None) -> Callable[[], LocalFeatures]:
        """Prepare the calculation of frames up to ``stop`` from those up to ``last``; drop samples no longer needed."""
        first = max(0, self._frame - self._reach)
        begin = first * self._hop - self._first
        end = self._total - self._first if last == n_frames else (last - 1) * self._hop - self._first
        samples = self._kept[: self._total - self._first].copy()
        keep = slice(self._frame - first, stop - first)
        self._frame, self._stop = stop, stop + self._chunk_frames
        self._drop_samples()
        return partial(_compute_local, self._network, samples, slice(begin, end), keep)

    def _drop_samples(self) -> None:
        needed = max(0, self._frame - self._reach) * self._hop
        first = max(self._first, needed // LEVEL_BLOCK * LEVEL_BLOCK - LEVEL_REACH)
        left = self._kept[first - self._first : self._total - self._first].copy()
        self._kept[: left.size] = left
        self._first = first


class _ContextChunks:
    """Buffer of local features that yields calculations of the second step."""

    def __init__(self, network: Network, chunk_frames: int) -> None:
        self._network, self._chunk_frames, self._reach = network, chunk_frames, network.context_reach
        self._kept: list[LocalFeatures] = []
        self._first = 0  # index in the recording of the first frame kept
        self._end = 0  # and after the last
        self._frame = 0  # first frame that is not computed yet

    def completed(self, parts: Iterable[LocalFeatures]) -> Iterator[Callable[[], PosteriorArrays]]:
        for part in parts:
            self._kept.append(part)
            self._end += len(part.features)
            stop = self._frame + self._chunk_frames
            if self._end >= stop + self._reach:
                yield self._chunk(stop)

    def rest(self, parts: Iterable[LocalFeatures]) -> Iterator[Callable[[], PosteriorArrays]]:
        yield from self.completed(parts)
        while self._frame < self._end:
            yield self._chunk(min(self._end, self._frame + self._chunk_frames))

    def _chunk(self, stop: int) -> Callable[[], PosteriorArrays]:
        """Prepare the calculation of frames up to ``stop``; drop features no longer needed."""
        needed = slice(max(0, self._frame - self._reach) - self._first, stop + self._reach - self._first)
        keep = slice(self._frame - self._first, stop - self._first)
        calculation = partial(_compute_posteriors, self._network, list(self._kept), needed, keep)
        self._frame = stop
        while self._kept and self._first + len(self._kept[0].features) <= stop - self._reach:
            self._first += len(self._kept.pop(0).features)
        return calculation


def _compute_local(network: Network, samples: FloatArray, span: slice, keep: slice) -> LocalFeatures:
    """Take the first step on a span of the samples (sample,), and keep some of its frames."""
    local = network.local(set_level(samples, span.start, span.stop))
    return LocalFeatures(*(part[keep] for part in local))


def _compute_posteriors(network: Network, kept: Sequence[LocalFeatures], needed: slice, keep: slice) -> PosteriorArrays:
    """Take the second step on the frames ``needed``, and keep the frames ``keep``; both count from the first kept."""
    features, pitch, power = (_cut(parts, needed) for parts in zip(*kept, strict=True))
    posteriors = network.refine([*network.context(features), pitch], power)
    return [part[keep.start - needed.start : keep.stop - needed.start] for part in posteriors]


def _cut(parts: Iterable[FloatArray], frames: slice) -> FloatArray:
    """Cut frames out of consecutive parts (frame, ...)."""
    found, at = [], 0
    for part in parts:
        found.append(part[max(0, frames.start - at) : max(0, frames.stop - at)])
        at += len(part)
    return np.concatenate(found)
