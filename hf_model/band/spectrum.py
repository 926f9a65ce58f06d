"""Spectra of an accompaniment, computed block by block: mel bands for the rhythm, pitch classes for the harmony."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.resampling import StreamResampler

SAMPLE_RATE = 16000
RHYTHM_FFT, RHYTHM_HOP = 1024, 320
HARMONY_FFT, HARMONY_HOP = 8192, 1600

FRAME_RATE, CHROMA_RATE = SAMPLE_RATE / RHYTHM_HOP, SAMPLE_RATE / HARMONY_HOP
"""Frames per second: 50 and 10."""

N_BANDS = 48
BINS_PER_SEMITONE = 3
N_CHROMA = 12 * BINS_PER_SEMITONE
"""Bins of a chroma vector: bin 0 is a third of a semitone below C, bin 1 is C at 440 Hz tuning."""

REGISTERS = ((38.0, 190.0), (190.0, 2100.0))
"""Hz: the bass, and the chords above it."""

_FLOOR = 1e-4
_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False)
class BandSpectra:
    """Spectra of a whole accompaniment.

    Attributes
    ----------
    mel : ndarray, shape (frame, band)
        Logarithm of the magnitude in mel bands at ``FRAME_RATE``.
    chroma : ndarray, shape (frame, register, bin)
        Magnitude by pitch class at ``CHROMA_RATE``.
    n_samples : int
        At ``SAMPLE_RATE``.
    """

    mel: NDArray[np.float32]
    chroma: NDArray[np.float32]
    n_samples: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.n_samples / SAMPLE_RATE


class SpectrumStream:
    """Compute :class:`BandSpectra` of audio that arrives in blocks.

    Parameters
    ----------
    sample_rate : int
        Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._resampler = StreamResampler(sample_rate, SAMPLE_RATE)
        self._rhythm = _Frames(RHYTHM_FFT, RHYTHM_HOP)
        self._harmony = _Frames(HARMONY_FFT, HARMONY_HOP)
        self._mel: list[NDArray[np.float32]] = []
        self._chroma: list[NDArray[np.float32]] = []
        self._n_samples = 0

    def push(self, block: NDArray[np.float32]) -> None:
        """Add audio, shape (sample,) or (channel, sample)."""
        mono = block if block.ndim == 1 else block.mean(axis=0)
        for start in range(0, len(mono), _BLOCK):
            self._add(self._resampler.push(np.ascontiguousarray(mono[start : start + _BLOCK], dtype=np.float32)))

    def finish(self) -> BandSpectra:
        """End the audio and return the spectra of all of it; frame k is centred on k hops."""
        self._add(self._resampler.finish())
        n_samples = self._n_samples
        self._add(np.zeros(HARMONY_FFT, dtype=np.float32))
        mel, chroma = np.concatenate(self._mel), np.concatenate(self._chroma)
        return BandSpectra(mel[: 1 + n_samples // RHYTHM_HOP], chroma[: 1 + n_samples // HARMONY_HOP], n_samples)

    def _add(self, audio: NDArray[np.float32]) -> None:
        self._n_samples += len(audio)
        self._mel.append(np.log(self._rhythm.magnitudes(audio) @ _mel_bands() + _FLOOR))
        magnitudes = np.sqrt(self._harmony.magnitudes(audio))
        self._chroma.append((magnitudes @ _chroma_bins()).reshape(len(magnitudes), len(REGISTERS), N_CHROMA))


class _Frames:
    """Cut a stream into centred frames with a Hann window, and give the magnitudes of their spectra."""

    def __init__(self, n_fft: int, hop: int) -> None:
        self._n_fft, self._hop = n_fft, hop
        self._rest = np.zeros(n_fft // 2, dtype=np.float32)
        self._window = (np.hanning(n_fft + 1)[:-1] * 4 / n_fft).astype(np.float32)

    def magnitudes(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add audio and return the spectra (frame, bin) that are complete; a sine's amplitude is its peak."""
        audio = np.concatenate([self._rest, audio])
        n_frames = max(0, (len(audio) - self._n_fft) // self._hop + 1)
        self._rest = audio[n_frames * self._hop :]
        if not n_frames:
            return np.zeros((0, self._n_fft // 2 + 1), dtype=np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(audio, self._n_fft)[:: self._hop][:n_frames]
        return np.abs(np.fft.rfft(frames * self._window, axis=1)).astype(np.float32)


@cache
def _mel_bands() -> NDArray[np.float32]:
    """Triangular bands (bin, band), evenly spaced on the mel scale from 30 to 7900 Hz; at least one bin wide."""
    edges = 700 * np.expm1(np.linspace(np.log1p(30 / 700), np.log1p(7900 / 700), N_BANDS + 2))
    bins = np.arange(RHYTHM_FFT // 2 + 1)[:, None] * SAMPLE_RATE / RHYTHM_FFT
    width = SAMPLE_RATE / RHYTHM_FFT
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - np.minimum(lower, centre - width)) / np.maximum(centre - lower, width)
    falling = (np.maximum(upper, centre + width) - bins) / np.maximum(upper - centre, width)
    return np.asarray(np.clip(np.minimum(rising, falling), 0.0, 1.0), dtype=np.float32)


@cache
def _chroma_bins() -> NDArray[np.float32]:
    """Weights (bin, register * chroma bin) that fold a spectrum onto pitch classes."""
    frequencies = np.arange(1, HARMONY_FFT // 2 + 1) * SAMPLE_RATE / HARMONY_FFT
    pitch = 69 + 12 * np.log2(frequencies / 440)
    width = np.maximum(12 * np.log2(1 + SAMPLE_RATE / HARMONY_FFT / frequencies), 1 / BINS_PER_SEMITONE)
    centres = (np.arange(N_CHROMA) - 1) / BINS_PER_SEMITONE
    distance = np.abs((pitch[:, None] - centres + 6) % 12 - 6)
    shares = np.maximum(1 - distance / width[:, None], 0.0)
    # A higher octave has more bins a semitone: each octave has the same weight.
    shares *= 40.0 / frequencies[:, None] / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    weights = np.zeros((HARMONY_FFT // 2 + 1, len(REGISTERS), N_CHROMA), dtype=np.float32)
    for register, (low, high) in enumerate(REGISTERS):
        inside = (frequencies >= low) & (frequencies < high)
        weights[1:][inside, register] = shares[inside]
    return weights.reshape(len(weights), -1)
