"""Input features of the transcriber: constant level, a harmonic stack on a pitch axis, and mel bands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hf_model.audio.grid import VOICE_STFT, StftConfig
from hf_model.audio.stft import stft_in_blocks

HARMONICS = (0.5, 1, 2, 3, 4, 5, 6, 7, 8)
LONG_WINDOW = replace(VOICE_STFT, n_fft=2048, win_length=2048)
SHORT_WINDOW = replace(VOICE_STFT, n_fft=512, win_length=512)
N_MEL = 56
FLOOR = 1e-4
"""Amplitude added before the logarithm, for a voice at ``LEVEL``."""

BANDS_PER_GROUP = 24
"""Bands that share a matrix product."""

LEVEL = 0.1
"""RMS amplitude of the scaled voice."""

MIN_LEVEL = 1e-4
"""RMS amplitude (-80 dB) from which a sound is scaled to ``LEVEL``; softer sounds get the same gain as this level."""

LEVEL_BLOCK = 800
"""Samples (50 ms) of the grid on which the level is measured."""

LEVEL_WINDOW, LEVEL_SMOOTHING = 100, 20
"""Blocks on either side (5 s and 1 s) in which the level is measured, and over which it is averaged."""

LEVEL_REACH = (LEVEL_WINDOW + LEVEL_SMOOTHING + 2) * LEVEL_BLOCK
"""Samples on either side (6.1 s) that the gain of a sample depends on."""


def set_level(waveform: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
    """Scale recordings so that their sounding parts have a constant RMS amplitude, ``LEVEL``.

    The level of a block is measured in the blocks within 5 s whose power is at least 5 % of the loudest of them, so
    that pauses do not count. Its logarithm is averaged over 1 s on either side and interpolated linearly between the
    centres of blocks. So the distance of a singer has little effect, and a part of a recording that begins on the grid
    of blocks is scaled like the whole, except for ``LEVEL_REACH`` at its ends.

    Parameters
    ----------
    waveform : Tensor, shape (batch, sample)
        16 kHz; the first sample begins a block.
    start, stop : int
        Range of samples to return; by default all.

    Returns
    -------
    Tensor, shape (batch, stop - start)
        Digital silence stays silent, and sounds softer than ``MIN_LEVEL`` stay soft.
    """
    n_samples = waveform.shape[-1]
    n_blocks = -(-n_samples // LEVEL_BLOCK)
    padded = nn.functional.pad(waveform, (0, n_blocks * LEVEL_BLOCK - n_samples))
    blocks = padded.reshape(-1, n_blocks, LEVEL_BLOCK)
    lengths = waveform.new_full((n_blocks,), LEVEL_BLOCK)
    lengths[-1] -= n_blocks * LEVEL_BLOCK - n_samples
    level = _log_level(blocks.square().sum(2) / lengths)
    stop = n_samples if stop is None else stop
    selected = slice(start // LEVEL_BLOCK, -(-stop // LEVEL_BLOCK))
    before, here, after = (
        nn.functional.pad(level[:, None], sides, mode="replicate")[:, 0, first:][:, selected, None]
        for sides, first in (((1, 0), 0), ((0, 0), 0), ((0, 1), 1))
    )
    position = (torch.arange(LEVEL_BLOCK // 2, device=waveform.device, dtype=waveform.dtype) + 0.5) / LEVEL_BLOCK
    rising = torch.lerp(before, here, position + 0.5)  # (batch, block, first half of its samples)
    falling = torch.lerp(here, after, position)
    gain: Tensor = LEVEL * torch.exp(-torch.cat([rising, falling], dim=2))
    first_sample = selected.start * LEVEL_BLOCK
    return (blocks[:, selected] * gain).flatten(1)[:, start - first_sample : stop - first_sample]


def _log_level(power: Tensor) -> Tensor:
    """Compute the smoothed log RMS amplitude of the sounding blocks around each block: (batch, block) to the same."""
    window = nn.functional.pad(power, (LEVEL_WINDOW, LEVEL_WINDOW)).unfold(1, 2 * LEVEL_WINDOW + 1, 1)
    sounding = window >= 0.05 * window.amax(2, keepdim=True)
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
        bands, timbre = self.spectra(waveform)
        return self.stack(bands), timbre

    def spectra(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log amplitudes (batch, frame, log band), the input of :meth:`stack`, and the timbre."""
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            mel = self.mel_bands(waveform)
            rise = mel - nn.functional.pad(mel, (0, 0, 2, 0))[:, :-2]
            return self.log_bands(waveform), torch.cat([mel, rise], dim=2).transpose(1, 2)

    def stack(self, bands: Tensor) -> Tensor:
        """Stack harmonics: (batch, frame, log band) to (batch, harmonic, frame, band), channels last."""
        harmonics = [bands[:, :, start : start + self.pitch_bands] for start in self.starts]
        return torch.stack(harmonics, dim=3).permute(0, 3, 1, 2)


class _FilterBank(nn.Module):
    """Amplitude of a sine in each triangular band, log10, scaled to about [-1, 1]: (batch, sample) to (…, frame, band).

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

    def forward(self, waveform: Tensor) -> Tensor:
        weights = list(self.buffers())
        found = []
        for spectrum in stft_in_blocks(waveform, self.config):
            power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
            sums = [power[..., bins] @ weight for bins, weight in zip(self.bins, weights, strict=True)]
            amplitude = torch.cat(sums, dim=-1).clamp_min_(1e-12).sqrt_().mul_(4.0 / self.config.win_length)
            found.append(amplitude.add_(FLOOR).log10_().mul_(0.5).add_(1.25))  # in place, which takes half the time
        return torch.cat(found, dim=1)


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
