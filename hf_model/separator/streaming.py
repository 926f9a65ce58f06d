"""Separation of audio that arrives in blocks: overlapping chunks at fixed positions, cross-faded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_model.audio.grid import StftConfig
from hf_model.audio.stft import window
from hf_model.parallel.threads import in_threads

CHUNK_FRAMES = 384
"""Frames between the beginnings of consecutive chunks."""

CONTEXT_FRAMES = 64
"""Frames on either side of a chunk that the mask is computed from as well."""

FADE_FRAMES = 16
"""A chunk fades in from so many frames before its beginning to so many after it; out likewise."""

GRANULE = 64
"""The last chunk has a multiple of so many frames: the network halves their number six times."""

LEVEL_DB = -24.0
"""RMS level, in dB of full scale, to which each chunk is brought before the mask is computed: the networks take what is
much louder for voice, and what is much softer for accompaniment."""

MAX_GAIN_DB = 30.0
"""Largest gain, so that silence stays silence."""

QUIET_DB = 25.0
"""Hops so much softer than the loud ones do not count for the level."""

Mask = Callable[[Tensor], Tensor]
"""Magnitudes (2, frame, bin) to factors of the same shape."""


@dataclass(frozen=True)
class _Chunk:
    """Samples of frames ``first - CONTEXT_FRAMES`` onwards; of the frames, ``first`` to ``stop`` are faded in and out.

    ``first`` is a multiple of ``CHUNK_FRAMES``. Frame ``m`` ends with hop ``m``, so that each sample is in the same
    number of frames.
    """

    samples: Tensor
    first: int
    stop: int
    is_last: bool

    def fades(self, frames: Tensor) -> Tensor:
        """Weights of frames, between 0 and 1; those of all chunks sum to 1."""
        half = 2 * FADE_FRAMES
        weights = torch.ones(len(frames))
        if self.first:
            weights *= ((frames - self.first + FADE_FRAMES + 0.5) / half).clamp(0.0, 1.0)
        if not self.is_last:
            weights *= 1.0 - ((frames - self.stop + FADE_FRAMES + 0.5) / half).clamp(0.0, 1.0)
        return weights


def separate_blocks(
    blocks: Iterable[NDArray[np.float32]], grid: StftConfig, mask: Mask
) -> Iterator[NDArray[np.float32]]:
    """Multiply the spectrum of stereo audio by a mask.

    The chunks lie at fixed positions, so that the blocks' boundaries do not change the result.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (2, sample)
        Of any length.
    grid : StftConfig
        ``win_length`` is ``n_fft`` and four times ``hop_length``.
    mask : callable

    Yields
    ------
    ndarray, shape (2, sample)
        As many samples in total.
    """
    n_samples, done = [0], 0
    carried = np.zeros((2, 0), dtype=np.float32)  # from sample `done` on, if not negative
    before = grid.n_fft - grid.hop_length
    done = -before
    for first, part in in_threads(_calculations(blocks, grid, mask, n_samples)):
        begin = first * grid.hop_length - before
        ready, carried = carried[:, : begin - done], carried[:, begin - done :]
        if ready.size:
            yield ready[:, max(0, -done) :]
        done = begin
        part[:, : carried.shape[1]] += carried
        carried = part
    yield carried[:, max(0, -done) : max(0, n_samples[0] - done)]


def _calculations(
    blocks: Iterable[NDArray[np.float32]], grid: StftConfig, mask: Mask, n_samples: list[int]
) -> Iterator[Callable[[], tuple[int, NDArray[np.float32]]]]:
    for chunk in _chunks(blocks, grid, n_samples):
        yield partial(_separate_chunk, chunk, grid, mask)


def _chunks(blocks: Iterable[NDArray[np.float32]], grid: StftConfig, n_samples: list[int]) -> Iterator[_Chunk]:
    """Cut overlapping chunks, and count the samples."""
    hop, before = grid.hop_length, grid.n_fft - grid.hop_length
    length = (CHUNK_FRAMES + 2 * CONTEXT_FRAMES) * hop + before
    kept = np.zeros((2, length), dtype=np.float32)
    filled, first = CONTEXT_FRAMES * hop + before, 0
    for block in blocks:
        at = 0
        while at < block.shape[1]:
            taken = min(block.shape[1] - at, length - filled)
            kept[:, filled : filled + taken] = block[:, at : at + taken]
            at, filled, n_samples[0] = at + taken, filled + taken, n_samples[0] + taken
            if filled == length:
                yield _Chunk(torch.from_numpy(kept.copy()), first, first + CHUNK_FRAMES, is_last=False)
                kept[:, : -CHUNK_FRAMES * hop] = kept[:, CHUNK_FRAMES * hop :].copy()
                filled, first = filled - CHUNK_FRAMES * hop, first + CHUNK_FRAMES
    n_frames = -(-n_samples[0] // hop) + before // hop if n_samples[0] else 0
    kept[:, filled:] = 0.0
    while first < n_frames:
        is_last = first + CHUNK_FRAMES + FADE_FRAMES >= n_frames
        stop = n_frames if is_last else first + CHUNK_FRAMES
        needed = -(-(n_frames - first + CONTEXT_FRAMES) // GRANULE) * GRANULE * hop + before
        yield _Chunk(torch.from_numpy(kept[:, :needed].copy()), first, stop, is_last)
        if is_last:
            return
        kept[:, : -CHUNK_FRAMES * hop] = kept[:, CHUNK_FRAMES * hop :].copy()
        kept[:, -CHUNK_FRAMES * hop :] = 0.0
        first += CHUNK_FRAMES


@torch.inference_mode()
def _separate_chunk(chunk: _Chunk, grid: StftConfig, mask: Mask) -> tuple[int, NDArray[np.float32]]:
    """Return the first frame of a chunk's part of the result, and that part (2, sample), faded in and out."""
    shape = window(grid)
    spectrum = torch.fft.rfft(chunk.samples.unfold(-1, grid.n_fft, grid.hop_length) * shape)
    frames = torch.arange(spectrum.shape[1]) + chunk.first - CONTEXT_FRAMES
    begin = max(0, chunk.first - FADE_FRAMES)
    stop = chunk.stop if chunk.is_last else chunk.stop + FADE_FRAMES
    keep = slice(begin - int(frames[0]), stop - int(frames[0]))
    level = _level_gain(chunk.samples, grid.hop_length)
    factors = mask(spectrum.abs() * level)[:, keep] * chunk.fades(frames[keep])[:, None]
    return begin, _overlap_add(torch.fft.irfft(spectrum[:, keep] * factors) * shape, grid).numpy()


def _level_gain(samples: Tensor, hop_length: int) -> float:
    """Compute the factor that brings samples (2, sample) to ``LEVEL_DB``, without the parts in which little sounds."""
    power = samples.unfold(-1, hop_length, hop_length).square().mean(dim=(0, 2))
    loud = power[power >= torch.quantile(power, 0.95) / 10.0 ** (QUIET_DB / 10.0)].mean()
    gain_db = LEVEL_DB - 10.0 * float(torch.log10(loud.clamp(min=1e-12)))
    return float(10.0 ** (min(gain_db, MAX_GAIN_DB) / 20.0))


def _overlap_add(frames: Tensor, grid: StftConfig) -> Tensor:
    """Add windowed frames (2, frame, sample), whose squared windows sum to 1.5, to audio (2, sample)."""
    hops = frames.reshape(*frames.shape[:2], -1, grid.hop_length)  # (2, frame, hop, sample)
    audio = frames.new_zeros(2, hops.shape[1] + hops.shape[2] - 1, grid.hop_length)
    for index in range(hops.shape[2]):
        audio[:, index : index + hops.shape[1]] += hops[:, :, index]
    return audio.flatten(1).div_(1.5)
