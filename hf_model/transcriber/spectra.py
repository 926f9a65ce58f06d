"""Power spectra of the voice for inference, a long and a short window; the rest is part of the network's graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT, StftConfig

LONG_WINDOW = replace(VOICE_STFT, n_fft=2048, win_length=2048)
SHORT_WINDOW = replace(VOICE_STFT, n_fft=512, win_length=512)

BLOCK_SAMPLES = 2**17
"""Samples of the windows that are transformed at once: what fits the processor's cache takes half the time."""


def power_spectra(waveform: NDArray[np.float32], config: StftConfig) -> NDArray[np.float32]:
    """Compute squared magnitudes of centred frames, with zero padding at the ends.

    Parameters
    ----------
    waveform : ndarray, shape (sample,)
    config : StftConfig
        With ``win_length`` equal to ``n_fft``.

    Returns
    -------
    ndarray, shape (1 + n_samples // hop_length, bin)
    """
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)).astype(np.float32)
    padded = np.pad(waveform, config.n_fft // 2)
    frames = sliding_window_view(padded, config.n_fft)[:: config.hop_length]
    power = np.empty((len(frames), config.n_bins), dtype=np.float32)
    at_once = BLOCK_SAMPLES // config.n_fft
    for first in range(0, len(frames), at_once):
        spectrum = np.fft.rfft(frames[first : first + at_once] * window)
        block = power[first : first + at_once]
        np.square(spectrum.real, out=block)
        block += np.square(spectrum.imag)
    return power
