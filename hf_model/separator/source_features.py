"""What distinguishes music from a lone voice: partials beside those of one pitch, steady partials, sound in rests.

Sounds of instruments hold their frequencies within a few cents, those of voices do not. A lone voice has the partials
of one pitch, and is silent between phrases.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT

Floats = NDArray[np.float32]

N_FFT, HOP_LENGTH = 2048, 512
"""Samples at 16 kHz."""

BIN_HZ = VOICE_STFT.sample_rate / N_FFT

LOWEST_HZ, HIGHEST_HZ = 55.0, 5000.0
"""Range of the partials."""

LOWEST_PITCH_HZ, N_PITCHES, PITCHES_PER_OCTAVE, N_PARTIALS = 65.4, 193, 48, 30

PEAK_DB, MEAN_REACH = 8.0, 15
"""A peak rises so far above the mean of the bins around it, so many on either side."""

BLOCK_FRAMES = 64
"""Frames that are transformed at once: they stay in the processor's cache."""

STEADY_CENTS, STEADY_BINS, STEADY_FRAMES = 4.0, 0.03, 5
"""A partial is steady if its frequency changes by so little from frame to frame, over so many frames."""

NOISE_FLATNESS = 0.43
"""Spectral flatness above which a frame has no partials: .55 and more in noise of any colour, .31 and less in songs."""

CONSTANT_SHARE = 0.7
"""Peaks in so many of the frames are a hum, not music."""

LOUD_DB, AUDIBLE_DB, FLOOR_DB = -25.0, -35.0, -45.0
"""Relative to the loud frames: of loud frames, of audible ones, and of peaks that count."""

NAMES = (
    "rest", "rest 25 %", "rest 50 %", "rest 75 %", "steady", "steady rest", "steady 50 %", "steady 75 %",
    "steady rest 50 %", "steady rest 75 %", "level 5 %", "level 20 %", "level 50 %", "tonal", "tonal when quiet",
    "rest when quiet", "steady when quiet", "peaks of the rest", "peaks", "peaks of the rest when audible", "low 50 %",
    "low partials 50 %", "low partials 75 %", "flux", "flux 95 %", "entropy of a frame", "entropy of all",
    "longest steady", "steady peaks",
)  # fmt: skip
"""Features in the order of :func:`measure_features`: shares of energy and levels in dB, counts a frame, entropies in
nats. "Rest" is what does not belong to the strongest pitch of a frame."""


class _Frames(NamedTuple):
    """Spectra (frame, bin): power; level in dB of the loud frames; energy of peaks, of the rest, of steady peaks.

    Those of peaks end at ``HIGHEST_HZ``.
    """

    power: Floats
    decibels: Floats
    peaks: Floats
    rest: Floats
    steady: Floats
    steady_rest: Floats
    runs: NDArray[np.int16]


def measure_features(audio: Floats) -> NDArray[np.float64]:
    """Measure an excerpt.

    Parameters
    ----------
    audio : ndarray, shape (sample,)
        16 kHz, some 5 to 12 s, not silent.

    Returns
    -------
    ndarray, shape (feature,)
        In the order of ``NAMES``.
    """
    frames = _analyze(audio)
    power, low, high = frames.power, round_bin(LOWEST_HZ), round_bin(HIGHEST_HZ)
    total = power[:, low:high].sum(axis=1) + 1e-20
    level = 10.0 * np.log10(total / np.percentile(total, 95) + 1e-9)
    loud, audible, quiet = level > LOUD_DB, level > AUDIBLE_DB, level <= np.percentile(level, 20)
    tonal, rest, steady, steady_rest = (
        part.sum(axis=1) for part in (frames.peaks, frames.rest, frames.steady, frames.steady_rest)
    )

    def share(part: NDArray[np.floating], where: NDArray[np.bool_]) -> float:
        return float(_decibels(part[where].sum() / total[where].sum()))

    def percentile(part: NDArray[np.floating], where: NDArray[np.bool_], percent: float) -> float:
        return float(np.percentile(_decibels(part[where] / total[where]), percent))

    visible = frames.decibels[:, :high] > FLOOR_DB
    n_rest, n_peaks, n_steady = (
        ((part > 0) & visible).sum(axis=1) for part in (frames.rest, frames.peaks, frames.steady)
    )
    bass = power[:, round_bin(30.0) : round_bin(95.0)].sum(axis=1) * total / (power[:, 4:].sum(axis=1) + 1e-20)
    bass_peaks = frames.peaks[:, low : round_bin(110.0)].sum(axis=1)
    change = np.diff(frames.decibels[:, low:], axis=0)
    flux = np.maximum(change, 0.0, out=change).mean(axis=1) if len(level) > 1 else np.zeros(1)
    chroma = _chroma(frames.rest)
    return np.array(
        [
            share(rest, loud), *(percentile(rest, loud, percent) for percent in (25, 50, 75)),
            share(steady, audible), share(steady_rest, audible),
            *(percentile(part, audible, percent) for part in (steady, steady_rest) for percent in (50, 75)),
            *np.percentile(level, (5, 20, 50)),
            share(tonal, loud), share(tonal, quiet), share(rest, quiet), share(steady, quiet),
            n_rest[loud].mean(), n_peaks[loud].mean(), n_rest[audible].mean(),
            percentile(bass, loud, 50), percentile(bass_peaks, loud, 50), percentile(bass_peaks, audible, 75),
            flux.mean(), np.percentile(flux, 95),
            _entropy(chroma)[loud].mean(), _entropy(chroma.sum(axis=0, keepdims=True))[0],
            frames.runs[audible].max(axis=1).mean(), n_steady[audible].mean(),
        ]
    )  # fmt: skip


def round_bin(hz: float) -> int:
    """Bin at or below a frequency."""
    return int(hz / BIN_HZ)


def _analyze(audio: Floats) -> _Frames:
    power = _power(audio)
    low, high = round_bin(LOWEST_HZ), round_bin(HIGHEST_HZ)
    loud = np.percentile(power[:, low:high].sum(axis=1), 95) + 1e-12
    decibels = power / np.float32(loud) + np.float32(1e-9)
    np.log(decibels, out=decibels)  # log10 takes four times as long
    decibels *= np.float32(10.0 / np.log(10.0))
    near = decibels[:, : high + MEAN_REACH + 1]  # what the peaks below the highest frequency depend on
    is_peak = (near >= _maximum(near, 2)) & (near > _mean(near, MEAN_REACH) + PEAK_DB)
    is_peak = is_peak[:, :high]
    is_peak[:, :low] = False
    peaks = np.zeros(is_peak.shape, dtype=np.float32)
    rows, columns = np.nonzero(is_peak)
    peaks[rows, columns] = sum(power[rows, columns + step] for step in (-1, 0, 1))
    combs = _combs()
    strengths = np.sqrt(peaks)
    # What a comb explains by chance is its density: else the lowest pitch, with the most partials, would win.
    scores = strengths @ combs.T - strengths.sum(axis=1, keepdims=True) * combs[:, low:].mean(axis=1)
    outside = 1.0 - combs[scores.argmax(axis=1)]
    runs = _steady_runs(decibels, is_peak)
    is_steady = (runs >= STEADY_FRAMES) & (is_peak.mean(axis=0) <= CONSTANT_SHARE)
    steady = peaks * is_steady
    return _Frames(power, decibels, peaks, peaks * outside, steady, steady * outside, runs)


def _power(audio: Floats) -> Floats:
    audio = np.pad(audio - audio.mean(), (0, max(0, N_FFT - len(audio))))
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(audio, N_FFT)[::HOP_LENGTH]
    power = np.empty((len(frames), N_FFT // 2 + 1), dtype=np.float32)
    for first in range(0, len(frames), BLOCK_FRAMES):
        spectrum = np.fft.rfft(frames[first : first + BLOCK_FRAMES] * window)
        power[first : first + BLOCK_FRAMES] = spectrum.real**2 + spectrum.imag**2
    return power


@cache
def _combs() -> Floats:
    """Bins of the partials of each pitch, (pitch, bin), as 1; wider for higher ones, which vibrato moves further."""
    combs = np.zeros((N_PITCHES, round_bin(HIGHEST_HZ)), dtype=np.float32)
    for index, comb in enumerate(combs):
        centres = np.arange(1, N_PARTIALS + 1) * LOWEST_PITCH_HZ * 2.0 ** (index / PITCHES_PER_OCTAVE) / BIN_HZ
        for centre in centres[centres <= round_bin(HIGHEST_HZ)]:
            reach = 1.6 + 0.012 * centre
            comb[int(np.ceil(centre - reach)) : int(centre + reach) + 1] = 1.0
    combs[:, : round_bin(LOWEST_HZ)] = 0.0
    return combs


def _steady_runs(decibels: Floats, is_peak: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Count for each peak in how many consecutive frames its frequency has hardly changed, (frame, bin)."""
    rows, columns = np.nonzero(is_peak)
    left, middle, right = (decibels[rows, columns + step] for step in (-1, 0, 1))
    curvature = np.minimum(left - 2.0 * middle + right, -1e-6)
    frequency = np.full(decibels.shape, 1e6, dtype=np.float32)
    frequency[rows, columns] = here = columns.astype(np.float32) + 0.5 * (left - right) / curvature
    before = np.stack([frequency[rows - 1, columns - step] for step in (-1, 0, 1)])
    limit = np.maximum(STEADY_BINS, STEADY_CENTS / 1731.0 * columns)
    is_steady = np.zeros(is_peak.shape, dtype=np.int16)
    is_steady[rows, columns] = (np.abs(here - before) < limit).any(axis=0) & (rows > 0)
    runs = np.zeros(is_peak.shape, dtype=np.int16)
    for frame in range(1, len(runs)):
        run = runs[frame]
        np.maximum(runs[frame - 1, 1:], runs[frame - 1, :-1], out=run[1:])
        np.maximum(run[1:-1], runs[frame - 1, 2:], out=run[1:-1])
        run += 1
        run *= is_steady[frame]
    return runs


def _maximum(values: Floats, reach: int) -> Floats:
    """Take the running maximum over bins."""
    result = values.copy()
    for step in range(1, reach + 1):
        np.maximum(result[:, step:], values[:, :-step], out=result[:, step:])
        np.maximum(result[:, :-step], values[:, step:], out=result[:, :-step])
    return result


def _mean(values: Floats, reach: int) -> Floats:
    """Take the running mean over bins; the edges are reflected."""
    padded = np.pad(values, ((0, 0), (reach + 1, reach)), mode="symmetric").astype(np.float64)
    sums = np.cumsum(padded, axis=1)
    width = 2 * reach + 1
    return np.asarray((sums[:, width:] - sums[:, :-width]) / width, dtype=np.float32)


def _chroma(peaks: Floats) -> NDArray[np.float64]:
    """Strength of the twelve pitch classes, (frame, 12)."""
    hz = np.maximum(np.arange(peaks.shape[1]), 1) * BIN_HZ
    classes = np.round(12.0 * np.log2(hz / 440.0)).astype(int) % 12
    return np.asarray(np.sqrt(peaks) @ np.eye(12)[classes])


def _entropy(strengths: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = strengths / (strengths.sum(axis=-1, keepdims=True) + 1e-9)
    return np.asarray(-(shares * np.log(shares + 1e-9)).sum(axis=-1))


def _decibels(share: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(10.0 * np.log10(share + 1e-5))


def has_partials(excerpt: Floats) -> bool:
    """Tell whether anything but noise sounds in an excerpt.

    The flatness is measured in bands of 250 Hz, so that the colour of a noise does not matter, and only in bands that
    hold a thousandth of the frame's energy. A tenth of the frames is enough.

    Parameters
    ----------
    excerpt : ndarray, shape (sample,)
        16 kHz.
    """
    n_fft, hop_length, n_bins = 1024, 512, 16
    if len(excerpt) < n_fft:
        return True
    frames = np.lib.stride_tricks.sliding_window_view(excerpt, n_fft)[::hop_length]
    spectrum = np.fft.rfft(frames * np.hanning(n_fft).astype(np.float32))[:, 6:262]
    power = np.square(spectrum.real) + np.square(spectrum.imag) + np.float32(1e-20)
    bands = power.reshape(len(power), -1, n_bins)
    energy = bands.sum(axis=2)
    total = energy.sum(axis=1, keepdims=True)
    counts = energy > 1e-3 * total
    flatness = np.exp(np.log(bands).mean(axis=2)) / bands.mean(axis=2)
    of_frames = (flatness * counts).sum(axis=1) / counts.sum(axis=1)
    return float(np.quantile(of_frames[total[:, 0] > 1e-3 * total.max()], 0.1)) < NOISE_FLATNESS
