"""The input of the network: a log-mel spectrogram of 50 frames a second."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.spectrogram import frame_spectra

RATE = 16000
"""Hz."""

N_FFT, HOP = 1024, 320

N_MELS = 64

LOWEST_HZ, HIGHEST_HZ = 40.0, 7800.0

FRAME_RATE = RATE / HOP

FLOOR = 1e-8
"""Added to the power of a band, relative to the loudest band of the clip."""

BLOCK_FRAMES = 2048
"""Frames whose spectra are in memory at a time."""


def mel_power(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the power in mel bands: (sample,) at 16 kHz to (frame, band); frame m is centred on m / 50 s."""
    padded, n_frames = np.pad(audio, N_FFT // 2), 1 + len(audio) // HOP
    blocks = []
    for start in range(0, n_frames, BLOCK_FRAMES):
        last = min(start + BLOCK_FRAMES, n_frames) - 1
        spectra = frame_spectra(padded[start * HOP : last * HOP + N_FFT], N_FFT, HOP)
        blocks.append((spectra.real**2 + spectra.imag**2) @ _filters())
    return np.concatenate(blocks)


def log_scaled(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale power (..., frame, band) logarithmically: 0 is 80 dB below the loudest band, 1 its level."""
    peak = power.max(axis=(-2, -1), keepdims=True)
    relative = power / np.maximum(peak, 1e-20)
    return np.asarray(1.0 + np.log10(relative + FLOOR) / 8.0, dtype=np.float32)


@functools.cache
def _filters() -> NDArray[np.float32]:
    """Triangular filters (bin, band), equally spaced on the mel scale."""
    bins = np.arange(N_FFT // 2 + 1) * RATE / N_FFT
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (LOWEST_HZ, HIGHEST_HZ))
    edges = 700.0 * (10.0 ** (np.linspace(low, high, N_MELS + 2) / 2595.0) - 1.0)
    width = np.maximum(np.diff(edges), RATE / N_FFT)  # no band is narrower than a bin
    rising = (bins[:, None] - (edges[1:-1] - width[:-1])) / width[:-1]
    falling = ((edges[1:-1] + width[1:]) - bins[:, None]) / width[1:]
    return np.clip(np.minimum(rising, falling), 0.0, None).astype(np.float32)
