"""Input features of the transcriber, in torch: constant level, a harmonic stack on a pitch axis, and mel bands."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hf_model.audio.grid import VOICE_STFT, StftConfig
from hf_model.audio.stft import stft
from hf_model.transcriber.level import (
    LEVEL,
    LEVEL_BLOCK,
    LEVEL_SMOOTHING,
    LEVEL_WINDOW,
    MIN_LEVEL,
    SOUNDING,
)
from hf_model.transcriber.spectra import LONG_WINDOW, SHORT_WINDOW

HARMONICS = (0.5, 1, 2, 3, 4, 5, 6, 7, 8)
N_MEL = 56
FLOOR = 1e-4
"""Amplitude added before the logarithm, for a voice at ``LEVEL``."""

BANDS_PER_GROUP = 24
"""Bands that share a matrix product."""


def set_level(waveform: Tensor) -> Tensor:
    """Scale recordings of a batch to one level, each as :func:`hf_model.transcriber.level.set_level` does.

    Parameters
    ----------
    waveform : Tensor, shape (batch, sample)
        16 kHz.

    Returns
    -------
    Tensor, shape (batch, sample)
    """
    n_samples = waveform.shape[-1]
    n_blocks = -(-n_samples // LEVEL_BLOCK)
    padded = nn.functional.pad(waveform, (0, n_blocks * LEVEL_BLOCK - n_samples))
    blocks = padded.reshape(-1, n_blocks, LEVEL_BLOCK)
    lengths = waveform.new_full((n_blocks,), LEVEL_BLOCK)
    lengths[-1] -= n_blocks * LEVEL_BLOCK - n_samples
    level = _log_level(blocks.square().sum(2) / lengths)
    before, here, after = (
        nn.functional.pad(level[:, None], sides, mode="replicate")[:, 0, first : first + n_blocks, None]
        for sides, first in (((1, 0), 0), ((0, 0), 0), ((0, 1), 1))
    )
    position = (torch.arange(LEVEL_BLOCK // 2, device=waveform.device, dtype=waveform.dtype) + 0.5) / LEVEL_BLOCK
    rising = torch.lerp(before, here, position + 0.5)  # (batch, block, first half of its samples)
    falling = torch.lerp(here, after, position)
    gain = LEVEL * torch.exp(-torch.cat([rising, falling], dim=2))
    return (blocks * gain).flatten(1)[:, :n_samples]


def _log_level(power: Tensor) -> Tensor:
    """Compute the smoothed log RMS amplitude of the sounding blocks around each block: (batch, block) to the same."""
    window = nn.functional.pad(power, (LEVEL_WINDOW, LEVEL_WINDOW)).unfold(1, 2 * LEVEL_WINDOW + 1, 1)
    sounding = window >= SOUNDING * window.amax(2, keepdim=True)
    mean = (window * sounding).sum(2) / sounding.sum(2)
    level = 0.5 * mean.clamp_min(MIN_LEVEL**2).log()
    padded = nn.functional.pad(level[:, None], (LEVEL_SMOOTHING, LEVEL_SMOOTHING), mode="replicate")
    return padded.unfold(2, 2 * LEVEL_SMOOTHING + 1, 1).mean(3)[:, 0]


class VoiceFeatures(nn.Module):
    """Log amplitudes: a harmonic stack (long window) and mel bands (short window).

    Parameters
    ----------
    lowest_hz : float
        Centre of the first band of the pitch axis.
    pitch_bands, bands_per_octave : int
        Length and resolution of the pitch axis.
    """

    def __init__(self, lowest_hz: float, pitch_bands: int, bands_per_octave: int) -> None:
        super().__init__()
        self.grid = VOICE_STFT
        self.pitch_bands = pitch_bands
        shifts = [round(bands_per_octave * float(np.log2(harmonic))) for harmonic in HARMONICS]
        self.starts = [shift - shifts[0] for shift in shifts]
        n_bands = self.starts[-1] + pitch_bands
        centres = lowest_hz * 2.0 ** ((np.arange(n_bands) + shifts[0]) / bands_per_octave)
        self.log_bands = _FilterBank(centres, LONG_WINDOW)
        self.mel_bands = _FilterBank(_mel_to_hz(np.linspace(_hz_to_mel(60.0), _hz_to_mel(7600.0), N_MEL)), SHORT_WINDOW)

    @property
    def n_harmonics(self) -> int:
        """Channels of the harmonic stack."""
        return len(HARMONICS)

    @property
    def n_timbre(self) -> int:
        """Channels of the timbre: mel bands and their change over 20 ms."""
        return 2 * N_MEL

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features.

        Parameters
        ----------
        waveform : Tensor, shape (batch, sample)
            16 kHz, at constant level.

        Returns
        -------
        harmonics : Tensor, shape (batch, harmonic, frame, band)
        timbre : Tensor, shape (batch, 2 * N_MEL, frame)
        """
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            bands, timbre = self.spectra(self.log_bands.power(waveform), self.mel_bands.power(waveform))
        return self.stack(bands), timbre

    def spectra(self, long: Tensor, short: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log amplitudes (batch, frame, log band), the input of :meth:`stack`, and the timbre.

        Parameters
        ----------
        long, short : Tensor, shape (batch, frame, bin)
            Power spectra with both windows.
        """
        mel = self.mel_bands(short)
        rise = mel - nn.functional.pad(mel, (0, 0, 2, 0))[:, :-2]
        return self.log_bands(long), torch.cat([mel, rise], dim=2).transpose(1, 2)

    def stack(self, bands: Tensor) -> Tensor:
        """Stack harmonics: (batch, frame, log band) to (batch, harmonic, frame, band)."""
        return torch.stack([bands[:, :, start : start + self.pitch_bands] for start in self.starts], dim=1)


class _FilterBank(nn.Module):
    """Amplitude of a sine in each triangular band, log10, scaled to about [-1, 1]: (batch, frame, bin) to (…, band).

    Bands are computed in groups, each from its non-zero bins only: a tenth of the multiplications.
    """

    def __init__(self, centres: NDArray[np.float64], config: StftConfig) -> None:
        super().__init__()
        self.config = config
        self.bins: list[slice] = []
        for bands in torch.split(_triangles(centres, config), BANDS_PER_GROUP):
            used = torch.nonzero(bands.any(0))
            low, high = (int(used.min()), int(used.max()) + 1) if len(used) else (0, 0)
            self.register_buffer(f"weights_{len(self.bins)}", bands[:, low:high].T.contiguous(), persistent=False)
            self.bins.append(slice(low, high))

    def power(self, waveform: Tensor) -> Tensor:
        """Compute power spectra: (batch, sample) to (batch, frame, bin)."""
        spectrum = stft(waveform, self.config)
        return spectrum.real.square() + spectrum.imag.square()

    def forward(self, power: Tensor) -> Tensor:
        sums = [power[..., bins] @ weight for bins, weight in zip(self.bins, self.buffers(), strict=True)]
        amplitude = torch.cat(sums, dim=-1).clamp_min(1e-12).sqrt() * (4.0 / self.config.win_length)
        return torch.log10(amplitude + FLOOR) * 0.5 + 1.25


def _triangles(centres: NDArray[np.float64], config: StftConfig) -> Tensor:
    """Build triangular filters of power, at least two bins wide: (band, bin)."""
    bin_hz = config.sample_rate / config.n_fft
    bins = np.arange(config.n_bins) * bin_hz
    ratio = centres[1:] / centres[:-1]
    below = np.concatenate([[centres[0] / ratio[0]], centres[:-1]])
    above = np.concatenate([centres[1:], [centres[-1] * ratio[-1]]])
    rise = np.maximum(centres - below, bin_hz)[:, None]
    fall = np.maximum(above - centres, bin_hz)[:, None]
    distance = bins[None] - centres[:, None]
    weights = np.clip(1 - np.where(distance < 0, -distance / rise, distance / fall), 0, None)
    weights[centres > 0.49 * config.sample_rate] = 0.0
    return torch.from_numpy(weights.astype(np.float32))


def _hz_to_mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
