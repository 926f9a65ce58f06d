"""Distances between two renderings of the same music, and whether one sounds like a piano."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT
from hf_model.audio.resampling import resample
from hf_model.audio.spectrogram import magnitude, spectrum
from hf_model.instruments.identifier import MIN_SECONDS, default_identifier
from hf_model.instruments.spectrogram import RATE

RANGE_DB = 60.0
"""Levels more than this far below the peak of the reference are ignored."""

N_MELS, MEL_TOP_HZ, MEL_N_FFT, MEL_HOP = 128, 16000.0, 2048, 512
RESOLUTIONS = (512, 1024, 2048, 4096)


def is_called_piano(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Let the identifier of instruments judge a rendering.

    Parameters
    ----------
    audio : ndarray, shape (channel, sample)
    sample_rate : int
        Hz.

    Returns
    -------
    float
        1 if a piano is the most probable of all instruments, else 0; NaN for silence, and for less than a second.
    """
    mono = resample(audio.mean(axis=0), sample_rate, RATE)
    if len(mono) < MIN_SECONDS * RATE:
        return float("nan")
    top = default_identifier().identify(mono).top
    return float("nan") if top == "silence" else float(top == "piano")


def log_mel_distance(reference: NDArray[np.float32], estimate: NDArray[np.float32]) -> float:
    """Mean absolute difference of two log-mel spectrograms in dB.

    128 mel bands to 16 kHz, n_fft 2048, hop 512; over the frames and bands in which the reference or the estimate lies
    within 60 dB of the reference's peak, both floored there.

    Parameters
    ----------
    reference, estimate : ndarray, shape (sample,) or (channel, sample)
        44.1 kHz; channels are averaged before.

    Returns
    -------
    float
        dB; 0 for equal sounds, and for a reference that is silent throughout.
    """
    reference, estimate = _pair(reference, estimate)
    filters = mel_filters()
    powers = [filters @ (magnitude(audio, MEL_N_FFT, MEL_HOP) ** 2) for audio in (reference, estimate)]
    floor = float(powers[0].max()) * 10.0 ** (-RANGE_DB / 10.0)
    if floor <= 0:
        return 0.0
    audible = np.maximum(powers[0], powers[1]) > floor
    levels = [10.0 * np.log10(np.maximum(power, floor)) for power in powers]
    return float(np.abs(levels[0] - levels[1])[audible].mean())


def spectral_convergence(
    reference: NDArray[np.float32], estimate: NDArray[np.float32], resolutions: Sequence[int] = RESOLUTIONS
) -> float:
    """Relative error of magnitudes, ``|R - E| / |R|`` (Frobenius), averaged over FFT sizes (hop a quarter).

    0 is equal; 1 is what silence gets. 0 when the reference is silent.
    """
    reference, estimate = _pair(reference, estimate)
    if not np.any(reference):
        return 0.0
    errors = []
    for n_fft in resolutions:
        wanted, given = (magnitude(audio, n_fft, n_fft // 4) for audio in (reference, estimate))
        errors.append(float(np.linalg.norm(wanted - given) / np.linalg.norm(wanted)))
    return float(np.mean(errors))


def si_sdr(reference: NDArray[np.float32], estimate: NDArray[np.float32]) -> float:
    """Scale-invariant signal-to-distortion ratio in dB: sensitive to phase, blind to level.

    References
    ----------
    Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019.
    """
    wanted, given = (audio.astype(np.float64) for audio in _pair(reference, estimate))
    energy = float(wanted @ wanted)
    if energy <= 0:
        return 0.0
    target = float(given @ wanted) / energy * wanted
    rest = given - target
    return float(10.0 * np.log10((float(target @ target) + 1e-20) / (float(rest @ rest) + 1e-20)))


def complex_convergence(reference: NDArray[np.float32], estimate: NDArray[np.float32]) -> float:
    """Relative error of complex spectra, ``|R - E| / |R|`` (n_fft 2048, hop 512): sensitive to phase and to level."""
    reference, estimate = _pair(reference, estimate)
    if not np.any(reference):
        return 0.0
    wanted, given = (spectrum(audio, MEL_N_FFT, MEL_HOP) for audio in (reference, estimate))
    return float(np.linalg.norm(wanted - given) / np.linalg.norm(wanted))


def rise_time(audio: NDArray[np.float32]) -> float:
    """Seconds in which a single note's level (RMS over 10 ms) goes from 10 to 90 % of its peak."""
    width = PIANO_SAMPLE_RATE // 100
    energy = np.cumsum(np.pad(audio.astype(np.float64) ** 2, (width, 0)))
    level = np.sqrt(np.maximum(0.0, energy[width:] - energy[:-width]))
    peak = float(level.max(initial=0.0))
    return float(np.argmax(level >= 0.9 * peak) - np.argmax(level >= 0.1 * peak)) / PIANO_SAMPLE_RATE


def partial_frequencies(audio: NDArray[np.float32], f0: float, n_partials: int = 8) -> NDArray[np.float64]:
    """Find the partials of a single note: peaks within 3 % of the multiples of f0, less than 40 dB below the loudest.

    Parameters
    ----------
    audio : ndarray, shape (sample,)
        The reference, so that all renderings are measured at the same frequencies; its first two seconds are used.
    f0 : float
        Hz.
    n_partials : int
        Partials that are searched for; none above 8 kHz.

    Returns
    -------
    ndarray, shape (partial,)
        Hz, increasing.
    """
    n_fft = 1 << 17
    part = audio[: 2 * PIANO_SAMPLE_RATE]
    level = np.abs(np.fft.rfft(part * np.hanning(len(part)), n_fft))
    hz = PIANO_SAMPLE_RATE / n_fft
    found = []
    for number in range(1, n_partials + 1):
        low, high = int(0.97 * number * f0 / hz), int(1.03 * number * f0 / hz) + 1
        if high * hz > 8000.0:
            break
        peak = low + int(np.argmax(level[low:high]))
        found.append((peak * hz, float(level[peak])))
    loudest = max((size for _, size in found), default=0.0)
    return np.array([place for place, size in found if size > 0.01 * loudest])


def decay_rates(
    audio: NDArray[np.float32], frequencies: ArrayLike, begin: float = 0.1, end: float = 1.1
) -> NDArray[np.float64]:
    """Measure how fast the partials of a single note decay.

    Parameters
    ----------
    audio : ndarray, shape (sample,)
        The note is struck at 0 s.
    frequencies : array_like, shape (partial,)
        Hz.
    begin, end : float
        The window in seconds: the slope is that of the energy in a band about the partial (n_fft 4096: 21 Hz either
        side), in dB, fitted by least squares.

    Returns
    -------
    ndarray, shape (partial,)
        dB a second, positive for a decay.
    """
    n_fft, hop = 4096, PIANO_STFT.hop_length
    power = magnitude(audio, n_fft, hop) ** 2
    frames = slice(round(begin * PIANO_STFT.frame_rate), round(end * PIANO_STFT.frame_rate))
    seconds = np.arange(power.shape[1])[frames] / PIANO_STFT.frame_rate
    slopes = []
    for frequency in np.asarray(frequencies, dtype=np.float64):
        centre = round(float(frequency) / PIANO_SAMPLE_RATE * n_fft)
        band = power[max(0, centre - 2) : centre + 3, frames].sum(axis=0)
        slopes.append(-float(np.polyfit(seconds, 10.0 * np.log10(band + 1e-12), 1)[0]))
    return np.array(slopes)


def largest_step(audio: NDArray[np.float32]) -> float:
    """Largest difference of two neighbouring samples, in any channel: it reveals clicks."""
    return float(np.abs(np.diff(audio, axis=-1)).max(initial=0.0))


def constant_offset(audio: NDArray[np.float32]) -> float:
    """Mean of the samples relative to their peak, of the worst channel: 0 without DC."""
    peak = float(np.abs(audio).max(initial=0.0))
    return float(np.abs(audio.mean(axis=-1)).max()) / peak if peak > 0 else 0.0


@lru_cache(maxsize=1)
def mel_filters() -> NDArray[np.float32]:
    """Triangular filters (128, bin) with unit area, equally spaced on the mel scale ``2595 log10(1 + f / 700)``."""
    top = 2595.0 * np.log10(1.0 + MEL_TOP_HZ / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, N_MELS + 2) / 2595.0) - 1.0)
    bins = np.arange(MEL_N_FFT // 2 + 1) * PIANO_SAMPLE_RATE / MEL_N_FFT
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    return np.asarray(triangles * 2.0 / (high - low), dtype=np.float32)


def _pair(
    reference: NDArray[np.float32], estimate: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bring both to mono and check that they are equally long."""
    pair = [audio if audio.ndim == 1 else audio.mean(axis=0) for audio in (reference, estimate)]
    if len(pair[0]) != len(pair[1]):
        msg = f"estimate has {len(pair[1])} samples, the reference {len(pair[0])}; they must be equally long"
        raise ValueError(msg)
    return pair[0], pair[1]
