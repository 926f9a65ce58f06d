"""The proposal's own idea, kept as the baseline: one U-Net from the voice's spectrogram to the piano's.

It predicts magnitudes; phase comes from a few Griffin-Lim iterations. There are no notes between voice and piano.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hf_model.audio.grid import PIANO_STFT, VOICE_STFT, StftConfig, frame_count
from hf_model.audio.griffin_lim import griffin_lim
from hf_model.audio.stft import stft
from hf_model.config import check_range
from hf_model.piano.rendering import fade_end
from hf_model.pretrained import Pretrained

LOWEST_HZ, BANDS_PER_OCTAVE, N_BANDS = 50.0, 36, 304
"""The U-Net's frequency axis: even in octaves, so that a melody a third higher looks the same a few bands up."""

FLOOR = 1e-3
"""Magnitudes are taken to logarithms above this (the spectra of audio in [-1, 1] reach some hundreds)."""

CHUNK_FRAMES, CONTEXT_FRAMES = 1500, 10
"""Frames of the pieces that rendering goes through, and of the cross-fade between two."""


@dataclass(frozen=True)
class DirectConfig:
    """Settings of the direct baseline.

    Attributes
    ----------
    channels : int
        Of the outermost level; every level further in has twice as many.
    depth : int
        Times that the spectrogram is halved.
    adversarial : float
        Weight of an adversarial loss; 0 trains without a discriminator.
    phase_iterations : int
        Of Griffin-Lim.
    """

    channels: int = 8
    depth: int = 3
    adversarial: float = 0.0
    phase_iterations: int = 16

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_range("channels", self.channels, 4, 512)
        check_range("depth", self.depth, 1, 4)
        check_range("adversarial", self.adversarial, 0.0, 100.0)
        check_range("phase_iterations", self.phase_iterations, 0, 1000)


class Direct(Pretrained):
    """Voice STFT to piano magnitudes."""

    config_class = DirectConfig
    kind = "direct"
    voice_bands: Tensor
    piano_bins: Tensor
    channels = 1

    def __init__(self, config: DirectConfig) -> None:
        super().__init__(config)
        self.register_buffer("voice_bands", band_matrix(VOICE_STFT), persistent=False)
        self.register_buffer("piano_bins", bin_matrix(PIANO_STFT), persistent=False)
        widths = [config.channels * 2**level for level in range(config.depth + 1)]
        self.stem = block(1, widths[0])
        self.down = nn.ModuleList(block(a, b) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(block(a + b, a) for a, b in itertools.pairwise(widths))
        self.head = nn.Conv2d(widths[0], 1, 1)
        nn.init.constant_(self.head.bias, -2.0)  # type: ignore[arg-type]
        self.discriminator = discriminator(config.channels) if config.adversarial > 0 else None

    def forward(self, voice_stft: Tensor) -> Tensor:
        """Predict magnitudes.

        Parameters
        ----------
        voice_stft : Tensor, complex, shape (batch, frame, 513)

        Returns
        -------
        Tensor, float32, shape (batch, frame, 1025)
            Of the piano on ``PIANO_STFT``.
        """
        n_frames = voice_stft.shape[1]
        image = torch.log10(voice_stft.abs().float() + FLOOR) @ self.voice_bands
        padding = -n_frames % 2**self.config.depth
        image = functional.pad(image, (0, 0, 0, padding))[:, None]
        image = self.stem(image.to(memory_format=torch.channels_last))
        skips = []
        for step in self.down:
            skips.append(image)
            image = step(functional.max_pool2d(image, 2))
        for step, skip in zip(reversed(self.up), reversed(skips), strict=True):
            image = step(torch.cat([functional.interpolate(image, scale_factor=2.0), skip], dim=1))
        level = self.head(image)[:, 0, :n_frames].float()
        with torch.autocast(level.device.type, enabled=False):
            return torch.as_tensor(torch.pow(10.0, (level @ self.piano_bins).clamp(max=3.0)))

    @torch.no_grad()
    def render(self, voice_audio: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
        """Turn a voice (sample,) at 16 kHz into piano audio (1, n_samples) at 44.1 kHz, piece by piece."""
        device = self.voice_bands.device
        voice = stft(torch.from_numpy(voice_audio).to(device), VOICE_STFT)
        needed = frame_count(n_samples, PIANO_STFT)
        voice = functional.pad(torch.view_as_real(voice), (0, 0, 0, 0, 0, max(0, needed + 1 - len(voice))))
        voice = torch.view_as_complex(voice[: needed + 1].contiguous())
        hop = PIANO_STFT.hop_length
        audio = np.zeros((1, n_samples + hop), dtype=np.float32)
        rise = np.linspace(0.0, 1.0, CONTEXT_FRAMES * hop, dtype=np.float32)
        for first in range(0, needed, CHUNK_FRAMES):
            piece = voice[first : first + CHUNK_FRAMES + CONTEXT_FRAMES]
            magnitude = self(piece[None])[0]
            sound = griffin_lim(magnitude, self.config.phase_iterations).cpu().numpy()
            if first:
                n_rise = min(len(rise), len(sound))
                sound[:n_rise] *= rise[:n_rise]
            if first + CHUNK_FRAMES < needed:
                fall = slice(CHUNK_FRAMES * hop, len(sound))
                sound[fall] *= rise[::-1][: len(sound[fall])]
            place = audio[0, first * hop : first * hop + len(sound)]
            place += sound[: len(place)]
        audio = audio[:, :n_samples]
        fade_end(audio)
        return audio


def block(n_in: int, n_out: int) -> nn.Sequential:
    """Two 3 x 3 convolutions with group normalisation."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1),
        nn.GroupNorm(4, n_out),
        nn.GELU(),
        nn.Conv2d(n_out, n_out, 3, padding=1),
        nn.GroupNorm(4, n_out),
        nn.GELU(),
    )


def discriminator(channels: int) -> nn.Sequential:
    """Judge patches of a log-magnitude spectrogram (batch, 1, frame, bin)."""
    return nn.Sequential(
        nn.Conv2d(1, channels, (3, 9), stride=(1, 4), padding=(1, 4)),
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels, 2 * channels, (3, 9), stride=(2, 4), padding=(1, 4)),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * channels, 1, 3, padding=1),
    )


def band_hz() -> NDArray[np.float64]:
    """Centre frequencies of the U-Net's bands."""
    return np.asarray(LOWEST_HZ * 2.0 ** (np.arange(N_BANDS) / BANDS_PER_OCTAVE))


def band_matrix(config: StftConfig) -> Tensor:
    """Interpolate a spectrum's bins to bands: (bin, band); zero for bands above the spectrum."""
    place = band_hz() / config.sample_rate * config.n_fft
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(config.n_bins)[:, None] - place))
    return torch.from_numpy(weights.astype(np.float32))


def bin_matrix(config: StftConfig) -> Tensor:
    """Interpolate bands to a spectrum's bins: (band, bin); the outermost bands go on to both ends."""
    hz = np.maximum(np.arange(config.n_bins) * config.sample_rate / config.n_fft, 1.0)
    place = np.clip(np.log2(hz / LOWEST_HZ) * BANDS_PER_OCTAVE, 0, N_BANDS - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(N_BANDS)[:, None] - place))
    return torch.from_numpy(weights.astype(np.float32))
