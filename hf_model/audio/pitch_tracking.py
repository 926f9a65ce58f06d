"""A signal-processing pitch tracker and onset detection function, independent of the transcriber."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT

FRAME_RATE = VOICE_STFT.frame_rate
"""100 frames per second; frame m is centred on m / 100 s."""

ONSET_LEAD = 0.008
"""Seconds by which onset strength peaks before the onset that annotators, and :mod:`hf_model.singer.synthesis`, mark:
the noise of a consonant precedes its vowel. Offset strength needs no such correction."""

LOWEST_HZ, HIGHEST_HZ = 55.0, 1500.0

_CLEAR = 0.5
"""Share of a frame's energy that is periodic, at least, where a frequency is refined."""

_WINDOW = 1024
_FIRST_PEAK = 0.88
"""The period is the first autocorrelation peak of at least this fraction of the highest."""
_BLOCK_FRAMES = 2048
_N_BANDS = 36


@dataclass(frozen=True)
class Track:
    """Frame-wise measurements of a recording; every array has shape (frame,), 100 frames per second.

    Attributes
    ----------
    f0 : ndarray
        Hz; defined in unvoiced frames too, see ``voiced``.
    clarity : ndarray
        Periodicity, 0-1; singing is above 0.8.
    onset_strength : ndarray
        Rise of the mel spectrum over 20 ms around the frame, mean over bands, dB; falling bands count 0.
    offset_strength : ndarray
        The same for its fall.
    level : ndarray
        dB, 0 is full scale.
    """

    f0: NDArray[np.float64]
    clarity: NDArray[np.float64]
    onset_strength: NDArray[np.float64]
    offset_strength: NDArray[np.float64]
    level: NDArray[np.float64]

    def downsampled(self, every: int) -> Track:
        """Keep one of every ``every`` frames."""
        return Track(*(getattr(self, one.name)[::every] for one in fields(self)))

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Voiced frames: periodic, and at most 35 dB below the loud parts."""
        loud = float(np.percentile(self.level, 95)) if self.level.size else 0.0
        return np.asarray((self.clarity > 0.8) & (self.level > max(loud - 35.0, -70.0)))


def track(audio: NDArray[np.float32]) -> Track:
    """Measure pitch, loudness and onset strength.

    Parameters
    ----------
    audio : ndarray, shape (sample,)
        At ``VOICE_STFT.sample_rate``.

    References
    ----------
    McLeod & Wyvill, A smarter way to find pitch, ICMC 2005: the normalised square difference function and the rule of
    the first high peak. New here: the period is refined at its largest multiple that fits.
    """
    n_frames = 1 + len(audio) // VOICE_STFT.hop_length
    padded = np.pad(np.asarray(audio, dtype=np.float32), (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[:: VOICE_STFT.hop_length][:n_frames]
    bands = _bands()
    parts = [_measure(frames[start : start + _BLOCK_FRAMES], bands) for start in range(0, n_frames, _BLOCK_FRAMES)]
    f0, clarity, level, energy = (np.concatenate(part) for part in zip(*parts, strict=True))
    # Noise more than 60 dB below the loudest band has no onsets.
    energy = np.maximum(energy, energy.max() - 60.0)
    rise = np.zeros_like(energy)  # from one frame before to one after
    rise[1:-1] = energy[2:] - energy[:-2]
    return Track(f0, clarity, np.maximum(rise, 0.0).mean(axis=1), np.maximum(-rise, 0.0).mean(axis=1), level)


def refine_f0(power: NDArray[np.float32], guess: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """Measure the fundamental frequency near a guess, with the time resolution of the spectra.

    Parameters
    ----------
    power : ndarray, shape (frame, bin)
        Squared magnitudes of frames at ``VOICE_STFT.sample_rate`` under a Hann window as long as the transform.
    guess : ndarray, shape (frame,)
        Hz.
    reach : float
        Ratio, above 1: from ``guess / reach`` to ``guess * reach`` is searched.

    Returns
    -------
    ndarray, shape (frame,)
        Hz; 0 where the frame has no period near the guess.
    """
    longest = power.shape[1] - 1  # half samples
    window = np.fft.rfft(0.5 - 0.5 * np.cos(np.pi * np.arange(2 * longest) / longest))
    of_window = np.fft.irfft(np.abs(window) ** 2, 4 * longest)[:longest]
    rate = 2.0 * VOICE_STFT.sample_rate
    limits = np.clip(np.rint(rate / (guess[:, None] * np.array([reach, 1.0 / reach]))), 2, longest - 2)
    first, last = int(limits.min()) - 1, int(limits.max()) + 2
    correlation = np.fft.irfft(power, 4 * longest)[:, :last] / of_window[0]
    lags = np.arange(first, last)
    similarity = correlation[:, first:] / np.maximum(of_window[lags] / of_window[0], 0.01)
    inside = (lags >= limits[:, :1]) & (lags <= limits[:, 1:])
    best = np.where(inside, similarity, -np.inf).argmax(axis=1)
    is_clear = similarity[np.arange(len(best)), best] > _CLEAR * correlation[:, 0]
    best = np.clip(best, 1, last - first - 2)
    return np.where(is_clear, rate / (first + _vertex(similarity, best)), 0.0)


def _measure(frames: NDArray[np.float32], bands: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """Measure frames (frame, sample): f0, clarity, level (frame,) and band energy in dB (frame, band)."""
    lags = int(VOICE_STFT.sample_rate / LOWEST_HZ) + 2
    spectrum = np.fft.rfft(frames, 2 * _WINDOW, axis=1)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : lags + 1]
    squares = np.cumsum(np.pad(frames.astype(np.float64) ** 2, ((0, 0), (1, 0))), axis=1)
    total = squares[:, -1:]
    head = squares[:, _WINDOW - lags :][:, ::-1][:, : lags + 1]
    tail = total - squares[:, : lags + 1]
    similarity = 2.0 * correlation / np.maximum(head + tail, 1e-9)
    period, clarity = _first_peak(similarity)
    level = 10.0 * np.log10(np.maximum(total[:, 0] / _WINDOW, 1e-10))
    windowed = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), axis=1)) ** 2
    energy = 10.0 * np.log10(np.maximum(windowed @ bands, 1e-9))
    return VOICE_STFT.sample_rate / period, clarity, level, energy


def _first_peak(similarity: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Period (samples, float) and its similarity, each of shape (frame,), from similarities (frame, lag)."""
    n_frames, n_lags = similarity.shape
    shortest = int(VOICE_STFT.sample_rate / HIGHEST_HZ)
    inner = similarity[:, 1:-1]
    peaks = np.where((inner > similarity[:, :-2]) & (inner >= similarity[:, 2:]), inner, 0.0)
    peaks[:, : shortest - 1] = 0.0
    highest = peaks.max(axis=1)
    first = 1 + np.argmax(peaks >= np.maximum(_FIRST_PEAK * highest, 1e-6)[:, None], axis=1)
    first = np.where(highest > 0, first, n_lags - 2)
    rows = np.arange(n_frames)
    period = _vertex(similarity, first)
    # Several periods in one lag give a more precise period.
    n_periods = np.maximum(1, np.floor((n_lags - 3) / period)).astype(int)
    guess = np.rint(n_periods * period).astype(int)
    near = np.clip(guess[:, None] + np.arange(-2, 3), 1, n_lags - 2)
    best = near[rows, np.argmax(similarity[rows[:, None], near], axis=1)]
    refined = _vertex(similarity, best) / n_periods
    agrees = (np.abs(refined / period - 1.0) < 0.03) & (similarity[rows, best] > 0.8 * similarity[rows, first])
    return np.where(agrees, refined, period), np.clip(similarity[rows, first], 0.0, 1.0)


def _vertex(values: NDArray[np.float64], index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Parabolic interpolation: the vertex through each row's ``index`` and its two neighbours."""
    rows = np.arange(len(values))
    left, middle, right = values[rows, index - 1], values[rows, index], values[rows, index + 1]
    curvature = left - 2.0 * middle + right
    shift = np.where(
        np.abs(curvature) > 1e-12, 0.5 * (left - right) / np.where(np.abs(curvature) > 1e-12, curvature, 1.0), 0.0
    )
    return np.asarray(index + np.clip(shift, -0.5, 0.5))


def _bands() -> NDArray[np.float32]:
    """Triangular bands (bin, band), evenly spaced on the mel scale from 80 to 8000 Hz."""
    mel = np.linspace(np.log1p(80 / 700), np.log1p(8000 / 700), _N_BANDS + 2)
    edges = 700 * np.expm1(mel)
    bins = np.arange(_WINDOW // 2 + 1)[:, None] * VOICE_STFT.sample_rate / _WINDOW
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(0.0, np.minimum(rise, fall)), dtype=np.float32)
