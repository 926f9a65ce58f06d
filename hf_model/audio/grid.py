"""The time grid: STFT settings, sample rates, and conversions between seconds, frames and samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.config import check_range


@dataclass(frozen=True)
class StftConfig:
    """Settings of a short-time Fourier transform with a Hann window and centred frames.

    Attributes
    ----------
    sample_rate : int
        Hz.
    n_fft, win_length, hop_length : int
        Samples. ``win_length <= n_fft`` and ``hop_length <= win_length // 2``, for invertibility.
    """

    sample_rate: int
    n_fft: int
    win_length: int
    hop_length: int

    def __post_init__(self) -> None:
        """Check that the transform can be inverted."""
        check_range("sample_rate", self.sample_rate, 4000, 192000)
        check_range("n_fft", self.n_fft, 16, 65536)
        check_range("win_length", self.win_length, 16, self.n_fft)
        check_range("hop_length", self.hop_length, 1, self.win_length // 2)

    @property
    def frame_rate(self) -> float:
        """Frames per second, not rounded."""
        return self.sample_rate / self.hop_length

    @property
    def n_bins(self) -> int:
        """Frequency bins of the one-sided spectrum."""
        return self.n_fft // 2 + 1


VOICE_STFT = StftConfig(sample_rate=16000, n_fft=1024, win_length=1024, hop_length=160)
"""The voice, on the common grid of 100 frames per second."""

PIANO_SAMPLE_RATE = 44100
"""Hz, of all piano audio: renderings and recordings."""

PIANO_STFT = StftConfig(PIANO_SAMPLE_RATE, n_fft=2048, win_length=2048, hop_length=441)
"""The piano, on the same grid."""


def frame_count(n_samples: int, config: StftConfig) -> int:
    """Count the frames of ``n_samples`` samples."""
    return 1 + n_samples // config.hop_length


def seconds_to_frame(seconds: ArrayLike, frame_rate: float) -> NDArray[np.int64]:
    """Round times to the nearest frame (halves up)."""
    return np.floor(np.asarray(seconds, dtype=np.float64) * frame_rate + 0.5).astype(np.int64)


def seconds_to_samples(seconds: float, sample_rate: float) -> int:
    """Round a time to the nearest sample (halves up)."""
    return math.floor(seconds * sample_rate + 0.5)


def resampled_length(n_samples: int, sample_rate: int, new_rate: int) -> int:
    """Length in samples after resampling: ``n_samples * new_rate / sample_rate``, rounded exactly (halves to even)."""
    return round(Fraction(n_samples * new_rate, sample_rate))
