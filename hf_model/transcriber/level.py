"""The level of the voice, the same in all of a recording: the input of the transcriber."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

LEVEL = 0.1
"""RMS amplitude of the scaled voice."""

MIN_LEVEL = 1e-4
"""RMS amplitude (-80 dB) from which a sound is scaled to ``LEVEL``; softer sounds get the same gain as this level."""

SOUNDING = 0.05
"""Share of the power of the loudest block around, from which a block is not a pause."""

LEVEL_BLOCK = 800
"""Samples (50 ms) of the grid on which the level is measured."""

LEVEL_WINDOW, LEVEL_SMOOTHING = 100, 20
"""Blocks on either side (5 s and 1 s) in which the level is measured, and over which it is averaged."""

LEVEL_REACH = (LEVEL_WINDOW + LEVEL_SMOOTHING + 2) * LEVEL_BLOCK
"""Samples on either side (6.1 s) that the gain of a sample depends on."""


def set_level(waveform: NDArray[np.float32], start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
    """Scale a recording so that its sounding parts have a constant RMS amplitude, ``LEVEL``.

    The level of a block is measured in the blocks within 5 s whose power is at least ``SOUNDING`` times that of the
    loudest of them, so that pauses do not count. Its logarithm is averaged over 1 s on either side and interpolated
    linearly between the centres of blocks. So the distance of a singer has little effect, and a part of a recording
    that begins on the grid of blocks is scaled like the whole, except for ``LEVEL_REACH`` at its ends.
    :func:`hf_model.transcriber.features.set_level` does the same to a batch in training.

    Parameters
    ----------
    waveform : ndarray, shape (sample,)
        16 kHz; the first sample begins a block.
    start, stop : int
        Range of samples to return; by default all.

    Returns
    -------
    ndarray, shape (stop - start,)
        Digital silence stays silent, and sounds softer than ``MIN_LEVEL`` stay soft.
    """
    n_samples = waveform.size
    n_blocks = -(-n_samples // LEVEL_BLOCK)
    blocks = np.pad(waveform, (0, n_blocks * LEVEL_BLOCK - n_samples)).reshape(n_blocks, LEVEL_BLOCK)
    lengths = np.full(n_blocks, LEVEL_BLOCK, dtype=np.float32)
    lengths[-1:] -= n_blocks * LEVEL_BLOCK - n_samples
    level = np.pad(_log_level(np.square(blocks).sum(axis=1) / lengths), 1, mode="edge")

    stop = n_samples if stop is None else stop
    first, last = start // LEVEL_BLOCK, -(-stop // LEVEL_BLOCK)
    before, here, after = (level[first + shift : last + shift, None] for shift in range(3))
    position = (np.arange(LEVEL_BLOCK // 2, dtype=np.float32) + np.float32(0.5)) / np.float32(LEVEL_BLOCK)
    rising = before + (here - before) * (position + np.float32(0.5))  # (block, first half of its samples)
    falling = here + (after - here) * position
    gain = np.float32(LEVEL) * np.exp(-np.concatenate([rising, falling], axis=1))
    gain *= blocks[first:last]
    return np.asarray(gain.reshape(-1)[start - first * LEVEL_BLOCK : stop - first * LEVEL_BLOCK])


def _log_level(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the smoothed log RMS amplitude of the sounding blocks around each block: (block,) to the same."""
    window = sliding_window_view(np.pad(power, LEVEL_WINDOW), 2 * LEVEL_WINDOW + 1)
    sounding = window >= np.float32(SOUNDING) * window.max(axis=1, keepdims=True)
    mean = (window * sounding).sum(axis=1) / sounding.sum(axis=1, dtype=np.float32)
    level = np.float32(0.5) * np.log(np.maximum(mean, np.float32(MIN_LEVEL**2)))
    padded = np.pad(level, LEVEL_SMOOTHING, mode="edge")
    return np.asarray(sliding_window_view(padded, 2 * LEVEL_SMOOTHING + 1).mean(axis=1))
