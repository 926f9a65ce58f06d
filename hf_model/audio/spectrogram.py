"""The short-time Fourier transform in NumPy, and its inverse: for what runs without torch."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hf_model.audio.grid import StftConfig

BLOCK_SAMPLES = 2**16
"""Total window length, in samples, of the frames that are transformed at a time: they fit the processor's cache."""


def hann(length: int) -> NDArray[np.float32]:
    """Periodic Hann window (length,)."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)).astype(np.float32)


def magnitude(audio: NDArray[np.float32], n_fft: int, hop: int) -> NDArray[np.float32]:
    """Magnitude of :func:`spectrum`."""
    return np.abs(spectrum(audio, n_fft, hop))


def spectrum(audio: NDArray[np.float32], n_fft: int, hop: int) -> NDArray[np.complex64]:
    """Spectrogram (bin, frame) of mono audio: Hann window, centred frames, zero-padded at the ends."""
    return frame_spectra(np.pad(audio, n_fft // 2), n_fft, hop).T


def frame_spectra(audio: NDArray[np.float32], n_fft: int, hop: int) -> NDArray[np.complex64]:
    """Compute spectra with a Hann window.

    Parameters
    ----------
    audio : ndarray, shape (..., sample)
    n_fft, hop : int
        Samples.

    Returns
    -------
    ndarray of complex64, shape (..., frame, bin)
        The first frame begins at the first sample, and the last one ends within the audio.
    """
    frames = sliding_window_view(audio, n_fft, axis=-1)[..., ::hop, :]
    spectra = np.empty((*frames.shape[:-1], n_fft // 2 + 1), dtype=np.complex64)
    window = hann(n_fft)
    size = max(1, BLOCK_SAMPLES // n_fft)
    for first in range(0, frames.shape[-2], size):
        np.fft.rfft(frames[..., first : first + size, :] * window, out=spectra[..., first : first + size, :])
    return spectra


def span_spectra(
    audio: NDArray[np.float32], onset: float, offset: float, sample_rate: int, n_fft: int, hop: int
) -> NDArray[np.complex64]:
    """Compute spectra (..., frame, bin) of a span of audio (..., sample), from onset to offset in seconds.

    A span that is shorter than a frame goes on until it is as long; audio that ends before is padded with zeros.
    """
    first, last = (round(time * sample_rate) for time in (onset, offset))
    first = max(0, min(first, audio.shape[-1] - n_fft))
    part = np.asarray(audio[..., first : max(last, first + n_fft)], dtype=np.float32)
    missing = max(0, n_fft - part.shape[-1])
    return frame_spectra(np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, missing)]), n_fft, hop)


def istft(spectra: NDArray[np.complex64], config: StftConfig, n_samples: int) -> NDArray[np.float32]:
    """Transform complex spectra of mono audio back to audio of an exact length.

    Parameters
    ----------
    spectra : ndarray, shape (frame, bin)
        Frame ``m`` is centred on ``m / config.frame_rate`` seconds. ``config.win_length`` is ``config.n_fft``.
    n_samples : int
        Length of the audio; at most ``hop_length`` beyond the last frame's centre.

    Returns
    -------
    ndarray, shape (n_samples,)
        The signal whose spectrum is closest to the given one in the least-squares sense.
    """
    hop, n_fft, window = config.hop_length, config.n_fft, hann(config.n_fft)
    total = np.zeros((2, (len(spectra) - 1) * hop + n_fft), dtype=np.float32)  # the signal, and its weight
    for first in range(0, len(spectra), max(1, BLOCK_SAMPLES // n_fft)):
        frames = np.fft.irfft(spectra[first : first + max(1, BLOCK_SAMPLES // n_fft)]) * window
        for index, frame in enumerate(frames, start=first):
            total[0, index * hop : index * hop + n_fft] += frame
    for index in range(len(spectra)):
        total[1, index * hop : index * hop + n_fft] += np.square(window)
    signal, weight = total[:, n_fft // 2 :][:, :n_samples]
    return np.asarray(signal / weight, dtype=np.float32)
