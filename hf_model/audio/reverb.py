"""A synthetic room reverberation for the piano, block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import seconds_to_samples

ROOM_SECONDS = 0.9
"""Reverberation time (decay by 60 dB)."""

DAMPING_HZ = 3500.0
"""Frequency above which the walls absorb more."""

REFLECTIONS = ((0.011, 0.6), (0.017, -0.5), (0.023, 0.4), (0.031, -0.33), (0.041, 0.27), (0.053, 0.2))
"""Delays (seconds) and gains of the early reflections; slightly longer in the second channel."""

DIFFUSE_AFTER = 0.03
"""Seconds after which the diffuse tail sets in."""

WET = 0.5
"""Level of the reverberation relative to the dry sound, for an amount of 1."""

BLOCK = 1 << 16


class Reverb:
    """Reverberation of audio that arrives in blocks; the output is as long as the input.

    Parameters
    ----------
    amount : float
        Level of the reverberation, 0-1.
    n_channels : int
        Each channel has its own reflections.
    sample_rate : int
        Hz.
    """

    def __init__(self, amount: float, n_channels: int, sample_rate: int) -> None:
        response = WET * amount * room_response(n_channels, sample_rate)
        self._n_tail = response.shape[1] - 1
        self._n_fft = 2 * BLOCK
        self._response = np.fft.rfft(response, self._n_fft, axis=1)
        self._tail = np.zeros((n_channels, self._n_tail), dtype=np.float32)

    def add(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add reverberation to a block (channel, sample); the shape is the same."""
        parts = [self._part(block[:, first : first + BLOCK]) for first in range(0, block.shape[1], BLOCK)]
        return np.concatenate(parts, axis=1) if parts else block

    def _part(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        n_samples = part.shape[1]
        wet = np.fft.irfft(np.fft.rfft(part, self._n_fft, axis=1) * self._response, self._n_fft, axis=1)
        wet[:, : self._n_tail] += self._tail
        self._tail = wet[:, n_samples : n_samples + self._n_tail].astype(np.float32)
        return np.asarray(part + wet[:, :n_samples], dtype=np.float32)


def room_response(n_channels: int, sample_rate: int) -> NDArray[np.float64]:
    """Impulse response of the room (channel, sample), of unit energy per channel, without the direct sound."""
    n_samples = seconds_to_samples(ROOM_SECONDS, sample_rate)
    seconds = np.arange(n_samples) / sample_rate
    rng = np.random.default_rng(20)
    noise = np.fft.rfft(rng.standard_normal((n_channels, n_samples)), axis=1)
    hz = np.fft.rfftfreq(n_samples, 1.0 / sample_rate)
    noise *= (hz / 150.0) ** 2 / (1.0 + (hz / 150.0) ** 2) / (1.0 + (hz / DAMPING_HZ) ** 2)
    fade_in = np.clip((seconds - 0.5 * DIFFUSE_AFTER) / DIFFUSE_AFTER, 0.0, 1.0)
    response = np.fft.irfft(noise, n_samples, axis=1) * 10.0 ** (-3.0 * seconds / ROOM_SECONDS) * fade_in
    response /= np.sqrt(np.square(response).sum(axis=1, keepdims=True))
    for channel in range(n_channels):
        for delay, gain in REFLECTIONS:
            response[channel, seconds_to_samples(delay * (1.0 + 0.13 * channel), sample_rate)] += 0.4 * gain
    return np.asarray(response / np.sqrt(np.square(response).sum(axis=1, keepdims=True)))
