"""The audio codec of the recorded piano notes: modified discrete cosine transform, power-law 8-bit levels, LZMA.

Unlike an audio file codec it needs no decoder library, decodes only the seconds that are needed, and mixes two
recordings before a single inverse transform.
"""

from __future__ import annotations

import lzma

import numpy as np
from numpy.typing import NDArray

HOP = 1024
"""Samples between frames, and coefficients of a frame."""

POWER = 1.5
"""Coefficient = peak * (level / 127) ** POWER: the error grows with the coefficient, and 63 dB fit into a byte."""

CACHED_FRAMES = 64
"""Frames that are transformed at once: they stay in the processor's cache."""

_WINDOW = np.sin(np.pi * (np.arange(2 * HOP) + 0.5) / (2 * HOP)).astype(np.float32)
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0}]
_LEVELS = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float64)
_DEQUANTISED = (np.sign(_LEVELS) * (np.abs(_LEVELS) / 127.0) ** POWER).astype(np.float32)  # by the byte of a level
_TWIDDLE = np.exp(-1j * np.pi * (8 * np.arange(HOP // 2) + 1) / (8 * HOP)).astype(np.complex64)
_SCALED_TWIDDLE = _TWIDDLE * np.float32(np.sqrt(2.0 / HOP))


def dct4(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Transform (..., HOP) by the orthonormal discrete cosine transform of type 4, its own inverse.

    Computed by a complex FFT of half the length.
    """
    transformed = np.empty(values.shape, dtype=np.float32)
    rows, found = values.reshape(-1, HOP), transformed.reshape(-1, HOP)
    for first in range(0, len(rows), CACHED_FRAMES):
        block, out = rows[first : first + CACHED_FRAMES], found[first : first + CACHED_FRAMES]
        folded = np.empty((len(block), HOP // 2), dtype=np.complex64)
        folded.real, folded.imag = block[:, ::2], block[:, ::-2]
        folded *= _TWIDDLE
        rotated = np.fft.fft(folded, axis=-1)
        rotated *= _SCALED_TWIDDLE
        out[:, ::2] = rotated.real
        np.negative(rotated.imag, out=out[:, ::-2])
    return transformed


def mdct(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Transform audio (sample,) to coefficients (frame, HOP); sine window, perfect reconstruction by :func:`imdct`."""
    n_frames = -(-len(audio) // HOP) + 1
    padded = np.pad(audio, (HOP, n_frames * HOP - len(audio)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP] * _WINDOW
    half = HOP // 2
    a, b, c, d = (frames[:, i * half : (i + 1) * half] for i in range(4))
    folded = np.concatenate([-c[:, ::-1] - d, a - b[:, ::-1]], axis=1)
    return np.asarray(dct4(folded), dtype=np.float32)


def imdct(coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
    """Transform coefficients (..., frame, HOP) back to audio; all but the last ``HOP`` samples are complete."""
    unfolded = dct4(coefficients)
    late, early = unfolded[..., HOP // 2 :], unfolded[..., : HOP // 2]
    audio = np.empty(coefficients.shape, dtype=np.float32)
    audio[..., : HOP // 2] = early[..., ::-1]  # the second half of each frame
    audio[..., HOP // 2 :] = early
    audio *= -_WINDOW[HOP:]
    audio[..., :-1, : HOP // 2] += late[..., 1:, :] * _WINDOW[: HOP // 2]
    audio[..., :-1, HOP // 2 :] -= late[..., 1:, ::-1] * _WINDOW[HOP // 2 : HOP]
    return audio.reshape(*coefficients.shape[:-2], -1)


def quantise(coefficients: NDArray[np.float32], peak: float | None = None) -> tuple[NDArray[np.int8], float]:
    """Round coefficients to 8-bit levels and cut the silent frames and bins at the end.

    Parameters
    ----------
    coefficients : ndarray, shape (frame, bin)
    peak : float, optional
        The coefficient of level 127, at least the largest magnitude, which is the default.

    Returns
    -------
    levels : ndarray of int8, shape (frame, bin)
        -127 to 127.
    peak : float
        The coefficient of level 127.
    """
    peak = float(np.abs(coefficients).max()) if peak is None else peak
    scaled = 127.0 * (np.abs(coefficients) / max(peak, 1e-12)) ** (1.0 / POWER)
    levels = (np.sign(coefficients) * np.floor(scaled + 0.45)).astype(np.int8)
    frames, bins = np.flatnonzero(levels.any(axis=1)), np.flatnonzero(levels.any(axis=0))
    return levels[: frames.max(initial=0) + 1, : bins.max(initial=0) + 1], peak


def dequantise(levels: NDArray[np.int8], peak: float) -> NDArray[np.float32]:
    """Invert :func:`quantise` (frames and bins that were cut stay cut)."""
    return np.asarray(peak * _DEQUANTISED[levels.view(np.uint8)], dtype=np.float32)


def pack(levels: NDArray[np.int8]) -> bytes:
    """Compress levels (frame, bin)."""
    return lzma.compress(levels.T.tobytes(), format=lzma.FORMAT_RAW, filters=_FILTERS)


def unpack(packed: bytes, n_frames: int, n_bins: int) -> NDArray[np.int8]:
    """Invert :func:`pack`."""
    raw = lzma.decompress(packed, format=lzma.FORMAT_RAW, filters=_FILTERS)
    return np.frombuffer(raw, dtype=np.int8).reshape(n_bins, n_frames).T
