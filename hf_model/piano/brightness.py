"""The brightness of notes between recorded strengths: a filter from the spectra of the neighbouring layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, seconds_to_samples

EDGES_HZ = np.concatenate([[0.0], np.geomspace(80.0, 20000.0, 25)])
"""Edges of the bands, a third of an octave each."""

N_BANDS = len(EDGES_HZ) - 1

MEASURED_SECONDS = 3.0
"""Of a note, from its onset, over which its spectrum is measured."""

TAPS = 1025
"""Length of the filter, samples; its middle is at the onset."""

_GRID = 4096
"""FFT length on which the filter is designed."""

_BLOCK = 8192
_HOP = _BLOCK - TAPS + 1
"""Samples of a block that is filtered, with and without the end of its response."""

_CENTRES = np.sqrt(np.maximum(EDGES_HZ[:-1], 40.0) * EDGES_HZ[1:])


def band_levels(note: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure the spectrum of a note.

    Parameters
    ----------
    note : ndarray, shape (channel, sample)
        44.1 kHz, from its onset.

    Returns
    -------
    ndarray, shape (N_BANDS,)
        dB relative to the whole note, smoothed over neighbouring bands.
    """
    mono = note.mean(axis=0)[: seconds_to_samples(MEASURED_SECONDS, PIANO_SAMPLE_RATE)]
    power = np.square(np.abs(np.fft.rfft(mono.astype(np.float64))))
    bands = np.searchsorted(EDGES_HZ, np.fft.rfftfreq(len(mono), 1.0 / PIANO_SAMPLE_RATE), side="right") - 1
    sums = np.bincount(bands, power, N_BANDS + 1)[:N_BANDS]
    levels = 10.0 * np.log10(sums / sums.sum() + 1e-14)
    return np.convolve(np.pad(levels, 1, mode="edge"), (0.25, 0.5, 0.25), "valid").astype(np.float32)


def filter_gains(
    levels: NDArray[np.float32], velocities: NDArray[np.int64], layer: int, velocity: int
) -> NDArray[np.float64]:
    """Compute the gains (N_BANDS,) in dB that give a layer the spectrum of another velocity, at the same level.

    Parameters
    ----------
    levels : ndarray, shape (layer, N_BANDS)
        Of one key, from :func:`band_levels`.
    velocities : ndarray of int, shape (layer,)
        Of the layers, rising; beyond them the spectrum stays that of the outer layer.
    layer : int
        That is filtered.
    velocity : int
        0-127.
    """
    wanted = np.array([np.interp(velocity, velocities, band) for band in levels.T])
    gains = wanted - levels[layer]
    change = np.sum(10.0 ** ((levels[layer] + gains) / 10.0)) / np.sum(10.0 ** (levels[layer] / 10.0))
    return np.asarray(gains - 10.0 * np.log10(change), dtype=np.float64)


def equalize(sound: NDArray[np.float32], gains: NDArray[np.float64]) -> NDArray[np.float32]:
    """Filter audio (channel, sample) by gains (N_BANDS,) in dB, without delay; what precedes the onset is cut off."""
    if not sound.shape[1]:
        return sound
    frequencies = np.fft.rfftfreq(_GRID, 1.0 / PIANO_SAMPLE_RATE)
    response = 10.0 ** (np.interp(np.log(np.maximum(frequencies, 20.0)), np.log(_CENTRES), gains) / 20.0)
    middle = TAPS // 2
    taps = (np.roll(np.fft.irfft(response), middle)[:TAPS] * np.hanning(TAPS + 2)[1:-1]).astype(np.float32)
    n_channels, n_samples = sound.shape
    n_blocks, overlap = -(-n_samples // _HOP), TAPS - 1
    blocks = np.zeros((n_channels, n_blocks, _BLOCK), dtype=np.float32)
    blocks[:, :, :_HOP] = np.pad(sound, ((0, 0), (0, n_blocks * _HOP - n_samples))).reshape(n_channels, n_blocks, _HOP)
    filtered = np.fft.irfft(np.fft.rfft(blocks) * np.fft.rfft(taps, _BLOCK), _BLOCK)
    filtered[:, 1:, :overlap] += filtered[:, :-1, _HOP:]
    whole = np.concatenate([filtered[:, :, :_HOP].reshape(n_channels, -1), filtered[:, -1, _HOP:]], axis=1)
    return np.asarray(whole[:, middle : middle + n_samples], dtype=np.float32)
