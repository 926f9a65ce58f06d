"""Integrated loudness and true peak (ITU-R BS.1770), block by block.

pyloudnorm measures whole arrays only and its imports take a second; the tests compare with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SILENCE_LUFS = -70.0
"""Absolute gate: softer blocks are silence."""

RELATIVE_GATE = -10.0
"""Relative gate, LU below the mean: softer blocks are pauses."""

OVERSAMPLING = 4
FRAME, CONTEXT = 2048, 128
"""Samples oversampled at a time, and samples of context on either side."""

PIECE = 1 << 17
"""Samples measured at a time, to bound memory."""


class LoudnessMeter:
    """Loudness and peak of audio that arrives in blocks.

    K-weighting is applied to the spectrum of 0.1 s at a time, which is within 0.1 LU of filtering in the time domain.

    Parameters
    ----------
    sample_rate : int
        Hz.

    References
    ----------
    ITU-R BS.1770-4: algorithms to measure audio programme loudness and true-peak audio level.
    """

    def __init__(self, sample_rate: int) -> None:
        self._step = round(0.1 * sample_rate)
        hz = np.arange(self._step // 2 + 1, dtype=np.float64) * (sample_rate / self._step)
        self._weight = k_weighting(np.asarray(hz, dtype=np.float64), sample_rate)
        self._weight[1:-1] *= 2.0
        self._powers: list[NDArray[np.float64]] = []
        self._rest: NDArray[np.float32] | None = None
        self._context: NDArray[np.float32] | None = None
        self.peak = 0.0
        """Largest magnitude of a sample."""
        self._true_peak = 0.0

    def add(self, block: NDArray[np.float32]) -> None:
        """Measure a block (channel, sample)."""
        self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
        for first in range(0, block.shape[1], PIECE):
            self._add_piece(block[:, first : first + PIECE])

    def _add_piece(self, block: NDArray[np.float32]) -> None:
        rest = np.zeros((block.shape[0], 0), dtype=np.float32) if self._rest is None else self._rest
        audio = np.concatenate([rest, block], axis=1)
        n_steps = audio.shape[1] // self._step
        self._powers.append(self._power(audio[:, : n_steps * self._step]))
        self._rest = audio[:, n_steps * self._step :].copy()
        context = np.zeros((block.shape[0], CONTEXT), dtype=np.float32) if self._context is None else self._context
        extended = np.concatenate([context, block], axis=1)
        n_frames = max(0, extended.shape[1] - 2 * CONTEXT) // FRAME
        self._true_peak = max(self._true_peak, self._oversampled_peak(extended, n_frames))
        self._context = extended[:, n_frames * FRAME :].copy()

    @property
    def loudness(self) -> float:
        """LUFS (integrated, gated); minus infinity for silence."""
        powers = np.concatenate([*self._powers, np.zeros(0)])
        if len(powers) < 4 and self._rest is not None and self._rest.shape[1]:
            padded = np.pad(self._rest, ((0, 0), (0, self._step - self._rest.shape[1])))
            powers = np.append(powers, self._power(padded))
        width = min(4, len(powers))
        if width == 0:
            return -np.inf
        blocks = np.convolve(powers, np.full(width, 1.0 / width), mode="valid")
        blocks = blocks[blocks >= _power_of(SILENCE_LUFS)]
        if not len(blocks):
            return -np.inf
        blocks = blocks[blocks > blocks.mean() * 10.0 ** (RELATIVE_GATE / 10.0)]
        return float(-0.691 + 10.0 * np.log10(blocks.mean()))

    @property
    def true_peak(self) -> float:
        """Largest magnitude at 4 times the sample rate, at least :attr:`peak`."""
        if self._context is None:
            return 0.0
        n_frames = -(-(self._context.shape[1] - CONTEXT) // FRAME)
        needed = n_frames * FRAME + 2 * CONTEXT - self._context.shape[1]
        ending = np.pad(self._context, ((0, 0), (0, max(0, needed))))
        return max(self.peak, self._true_peak, self._oversampled_peak(ending, n_frames))

    def _power(self, audio: NDArray[np.float32]) -> NDArray[np.float64]:
        """Weighted power, summed over channels, of each 0.1 s of audio (channel, sample)."""
        spectrum = np.fft.rfft(audio.reshape(audio.shape[0], -1, self._step), axis=2)
        power = spectrum.real**2 + spectrum.imag**2
        return np.asarray((power @ self._weight).sum(axis=0) / self._step**2, dtype=np.float64)

    def _oversampled_peak(self, audio: NDArray[np.float32], n_frames: int) -> float:
        """Oversample the frames of audio (channel, sample) whose peak is within 3 dB of the largest sample.

        Between samples, sound below a quarter of the sample rate does not rise by more.
        """
        if n_frames == 0:
            return 0.0
        wide = FRAME + 2 * CONTEXT
        frames = np.lib.stride_tricks.sliding_window_view(audio, wide, axis=1)[:, ::FRAME][:, :n_frames]
        frames = frames.reshape(-1, wide)
        loud = np.flatnonzero(np.abs(frames).max(axis=1) > 0.7 * max(self.peak, 1e-9))
        fade = np.sin(0.5 * np.pi * (np.arange(CONTEXT) + 0.5) / CONTEXT) ** 2
        taper = np.concatenate([fade, np.ones(FRAME), fade[::-1]])
        largest = 0.0
        for first in range(0, len(loud), 64):
            spectrum = np.fft.rfft(frames[loud[first : first + 64]] * taper, axis=1)
            dense = np.fft.irfft(spectrum, OVERSAMPLING * wide, axis=1) * OVERSAMPLING
            inside = dense[:, OVERSAMPLING * CONTEXT : -OVERSAMPLING * CONTEXT]
            largest = max(largest, float(np.abs(inside).max()))
        return largest


def k_weighting(hz: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Power gain of the K-weighting filter: a high shelf (+4 dB from 1.5 kHz), then a high-pass at 38 Hz.

    References
    ----------
    R. Bristow-Johnson, Cookbook formulae for audio EQ biquad filter coefficients; centre frequencies as pyloudnorm.
    """
    z_inverse = np.exp(-2j * np.pi * hz / sample_rate)

    def biquad(b: tuple[float, ...], a: tuple[float, ...]) -> NDArray[np.float64]:
        response = np.polyval(b[::-1], z_inverse) / np.polyval(a[::-1], z_inverse)
        return np.asarray(np.abs(response) ** 2, dtype=np.float64)

    size, w = 10.0 ** (4.0 / 40.0), 2.0 * np.pi * 1500.0 / sample_rate
    alpha, c = np.sin(w) / np.sqrt(2.0), np.cos(w)
    root = 2.0 * np.sqrt(size) * alpha
    shelf = biquad(
        (
            size * (size + 1 + (size - 1) * c + root),
            -2 * size * (size - 1 + (size + 1) * c),
            size * (size + 1 + (size - 1) * c - root),
        ),
        (size + 1 - (size - 1) * c + root, 2 * (size - 1 - (size + 1) * c), size + 1 - (size - 1) * c - root),
    )
    w = 2.0 * np.pi * 38.0 / sample_rate
    alpha, c = np.sin(w), np.cos(w)
    high_pass = biquad(((1 + c) / 2, -(1 + c), (1 + c) / 2), (1 + alpha, -2 * c, 1 - alpha))
    return shelf * high_pass


def _power_of(lufs: float) -> float:
    return float(10.0 ** ((lufs + 0.691) / 10.0))
