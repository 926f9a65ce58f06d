"""Spectrograms in NumPy, for code that does not need torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def magnitude(audio: NDArray[np.float32], n_fft: int, hop: int) -> NDArray[np.float32]:
    """Magnitude of :func:`spectrum`."""
    return np.abs(spectrum(audio, n_fft, hop))


def spectrum(audio: NDArray[np.float32], n_fft: int, hop: int) -> NDArray[np.complex64]:
    """Spectrogram (bin, frame) of mono audio: Hann window, centred frames, zero-padded at the ends."""
    padded = np.pad(audio, n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    window = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    return np.asarray(np.fft.rfft(frames * window, axis=1).T, dtype=np.complex64)
