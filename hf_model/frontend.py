"""What the transcriber sees of a voice: harmonics on a pitch axis, and the timbre of a short window."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hf_model.config import VOICE_STFT, StftConfig
from hf_model.stft import stft

HARMONICS = (0.5, 1, 2, 3, 4, 5, 6, 7, 8)
LONG_WINDOW = StftConfig(sample_rate=16000, n_fft=2048, win_length=2048, hop_length=160)
SHORT_WINDOW = StftConfig(sample_rate=16000, n_fft=512, win_length=512, hop_length=160)
N_MEL = 56
FLOOR = 1e-4
"""Amplitude of the quietest partial that is told from silence, at a level of ``LEVEL``."""
LEVEL = 0.1
"""RMS amplitude that every recording is brought to."""


def set_level(waveform: Tensor) -> Tensor:
    """Scale recordings so that their sounding parts have one RMS amplitude, ``LEVEL``.

    Parameters
    ----------
    waveform : Tensor, shape (batch, sample)
        16 kHz.

    Returns
    -------
    Tensor, shape (batch, sample)
        Scaled; digital silence stays silence.
    """
    block = 800  # 50 ms
    n_blocks = max(1, waveform.shape[-1] // block)
    padded = nn.functional.pad(waveform, (0, max(0, n_blocks * block - waveform.shape[-1])))
    power = padded[:, : n_blocks * block].reshape(-1, n_blocks, block).square().mean(-1)
    loud = power >= 0.05 * power.amax(1, keepdim=True)
    level = ((power * loud).sum(1) / loud.sum(1).clamp_min(1)).sqrt()
    gain: Tensor = LEVEL / level.clamp_min(1e-7)
    return waveform * gain[:, None]


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
        self.register_buffer("log_bands", _triangles(centres, LONG_WINDOW), persistent=False)
        mel_centres = _mel_to_hz(np.linspace(_hz_to_mel(60.0), _hz_to_mel(7600.0), N_MEL))
        self.register_buffer("mel_bands", _triangles(mel_centres, SHORT_WINDOW), persistent=False)
        self.log_bands: Tensor
        self.mel_bands: Tensor

    @property
    def n_harmonics(self) -> int:
        """Channels of the harmonic stack."""
        return len(HARMONICS)

    @property
    def n_timbre(self) -> int:
        """Channels of the timbre: mel bands and their rise over 20 ms."""
        return 2 * N_MEL

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features.

        Parameters
        ----------
        waveform : Tensor, shape (batch, sample)
            16 kHz, at one level.

        Returns
        -------
        harmonics : Tensor, shape (batch, harmonic, frame, band)
        timbre : Tensor, shape (batch, 2 * N_MEL, frame)
        """
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            bands = _log_amplitude(waveform, LONG_WINDOW, self.log_bands)  # (batch, frame, band)
            mel = _log_amplitude(waveform, SHORT_WINDOW, self.mel_bands)
            rise = mel - nn.functional.pad(mel, (0, 0, 2, 0))[:, :-2]
            harmonics = torch.stack([bands[:, :, start : start + self.pitch_bands] for start in self.starts], dim=1)
            return harmonics, torch.cat([mel, rise], dim=2).transpose(1, 2)


def _log_amplitude(waveform: Tensor, config: StftConfig, bands: Tensor) -> Tensor:
    """Amplitude of a sine in each band, log10, scaled to about [-1, 1]: (batch, frame, band)."""
    spectrum = stft(waveform, config)
    power = spectrum.real.square() + spectrum.imag.square()
    amplitude = (power @ bands.T).clamp_min(1e-12).sqrt() * (4.0 / config.win_length)
    return torch.log10(amplitude + FLOOR) * 0.5 + 1.25


def _triangles(centres: NDArray[np.float64], config: StftConfig) -> Tensor:
    """Triangular filters on power, never narrower than two bins: (band, bin)."""
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
