"""Separation of audio that arrives in blocks: overlapping chunks at fixed positions, cross-faded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import StftConfig
from hf_model.audio.spectrogram import frame_spectra, hann
from hf_model.parallel.threads import in_threads

CHUNK_FRAMES = 384
"""Frames between the beginnings of consecutive chunks."""

CONTEXT_FRAMES = 64
"""Frames on either side of a chunk that the mask is computed from as well."""

FADE_FRAMES = 16
"""A chunk fades in from so many frames before its beginning to so many after it; out likewise."""

GRANULE = 64
"""The last chunk has a multiple of so many frames: the network halves their number six times."""

BLOCK_FRAMES = 16
"""Frames that are transformed back at a time: they fit the processor's cache."""

LEVEL_DB = -24.0
"""RMS level, in dB of full scale, to which each chunk is brought before the mask is computed: the networks take what is
much louder for voice, and what is much softer for accompaniment."""

MAX_GAIN_DB = 30.0
"""Largest gain, so that silence stays silence."""

QUIET_DB = 25.0
"""Hops so much softer than the loud ones do not count for the level."""

Floats = NDArray[np.float32]

Mask = Callable[[Floats], Floats]
"""Magnitudes (2, frame, bin) to factors of the same shape."""


@dataclass(frozen=True)
class _Chunk:
    """Samples of frames ``first - CONTEXT_FRAMES`` onwards; of the frames, ``first`` to ``stop`` are faded in and out.

    ``first`` is a multiple of ``CHUNK_FRAMES``. Frame ``m`` ends with hop ``m``, so that each sample is in the same
    number of frames.
    """

    samples: Floats
    first: int
    stop: int
    is_last: bool

    def fades(self, frames: NDArray[np.int64]) -> Floats:
        """Weights of frames, between 0 and 1; those of all chunks sum to 1."""
        half = 2 * FADE_FRAMES
        weights = np.ones(len(frames))
        if self.first:
            weights *= np.clip((frames - self.first + FADE_FRAMES + 0.5) / half, 0.0, 1.0)
        if not self.is_last:
            weights *= 1.0 - np.clip((frames - self.stop + FADE_FRAMES + 0.5) / half, 0.0, 1.0)
        return weights.astype(np.float32)


def separate_blocks(blocks: Iterable[Floats], grid: StftConfig, mask: Mask) -> Iterator[Floats]:
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
    blocks: Iterable[Floats], grid: StftConfig, mask: Mask, n_samples: list[int]
) -> Iterator[Callable[[], tuple[int, Floats]]]:
    for chunk in _chunks(blocks, grid, n_samples):
        yield partial(_separate_chunk, chunk, grid, mask)


def _chunks(blocks: Iterable[Floats], grid: StftConfig, n_samples: list[int]) -> Iterator[_Chunk]:
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
                yield _Chunk(kept.copy(), first, first + CHUNK_FRAMES, is_last=False)
                kept[:, : -CHUNK_FRAMES * hop] = kept[:, CHUNK_FRAMES * hop :].copy()
                filled, first = filled - CHUNK_FRAMES * hop, first + CHUNK_FRAMES
    n_frames = -(-n_samples[0] // hop) + before // hop if n_samples[0] else 0
    kept[:, filled:] = 0.0
    while first < n_frames:
        is_last = first + CHUNK_FRAMES + FADE_FRAMES >= n_frames
        stop = n_frames if is_last else first + CHUNK_FRAMES
        needed = -(-(n_frames - first + CONTEXT_FRAMES) // GRANULE) * GRANULE * hop + before
        yield _Chunk(kept[:, :needed].copy(), first, stop, is_last)
        if is_last:
            return
        kept[:, : -CHUNK_FRAMES * hop] = kept[:, CHUNK_FRAMES * hop :].copy()
        kept[:, -CHUNK_FRAMES * hop :] = 0.0
        first += CHUNK_FRAMES


def _separate_chunk(chunk: _Chunk, grid: StftConfig, mask: Mask) -> tuple[int, Floats]:
    """Return the first frame of a chunk's part of the result, and that part (2, sample), faded in and out."""
    spectrum = frame_spectra(chunk.samples, grid.n_fft, grid.hop_length)
    frames = np.arange(spectrum.shape[1]) + chunk.first - CONTEXT_FRAMES
    begin = max(0, chunk.first - FADE_FRAMES)
    stop = chunk.stop if chunk.is_last else chunk.stop + FADE_FRAMES
    keep = slice(begin - int(frames[0]), stop - int(frames[0]))
    magnitude = np.abs(spectrum)
    magnitude *= _level_gain(chunk.samples, grid.hop_length)
    factors = mask(magnitude)[:, keep]
    return begin, _invert(spectrum[:, keep], factors, chunk.fades(frames[keep]), grid)


def _invert(spectrum: NDArray[np.complex64], factors: Floats, fades: Floats, grid: StftConfig) -> Floats:
    """Transform spectra times factors (2, frame, bin) to audio (2, sample), faded by the weights (frame,).

    The squares of the windows that overlap sum to 1.5.
    """
    shape, hop = hann(grid.n_fft) / np.float32(1.5), grid.hop_length
    audio = np.zeros((2, (spectrum.shape[1] - 1) * hop + grid.n_fft), dtype=np.float32)
    for first in range(0, spectrum.shape[1], BLOCK_FRAMES):
        block = slice(first, first + BLOCK_FRAMES)
        frames = np.fft.irfft(spectrum[:, block] * factors[:, block]) * shape * fades[block, None]
        for index in range(frames.shape[1]):
            begin = (first + index) * hop
            audio[:, begin : begin + grid.n_fft] += frames[:, index]
    return audio


def _level_gain(samples: Floats, hop_length: int) -> np.float32:
    """Compute the factor that brings samples (2, sample) to ``LEVEL_DB``, without the parts in which little sounds."""
    n_hops = samples.shape[1] // hop_length
    hops = samples[:, : n_hops * hop_length].reshape(2, n_hops, hop_length)
    power = np.square(hops).mean(axis=(0, 2), dtype=np.float64)
    loud = power[power >= np.quantile(power, 0.95) / 10.0 ** (QUIET_DB / 10.0)].mean()
    gain_db = LEVEL_DB - 10.0 * np.log10(max(loud, 1e-12))
    return np.float32(10.0 ** (min(gain_db, MAX_GAIN_DB) / 20.0))
