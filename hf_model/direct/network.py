"""The direct baseline, the idea of the project's proposal: one U-Net from the voice's spectrogram to the piano's.

It predicts magnitudes without notes in between; the phase is estimated by a few Griffin-Lim iterations.
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
"""The U-Net's logarithmic frequency axis, on which transposition is a shift."""

FLOOR = 1e-3
"""Added to magnitudes before the logarithm (the spectra of audio in [-1, 1] reach some hundreds)."""

CHUNK_FRAMES, CONTEXT_FRAMES = 1500, 10
"""Frames that are rendered at a time, and of the cross-fade between two chunks."""


@dataclass(frozen=True)
class DirectConfig:
    """Settings of the direct baseline.

    Attributes
    ----------
    channels : int
        Channels of the outermost level; each deeper level has twice as many.
    depth : int
        Number of times that the spectrogram is halved.
    adversarial : float
        Weight of an adversarial loss; 0 trains without a discriminator.
    phase_iterations : int
        Griffin-Lim iterations.
    """

    channels: int = 8
    depth: int = 3
    adversarial: float = 0.0
    phase_iterations: int = 16

    def __post_init__(self) -> None:
        """Check the values."""
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
            Magnitudes of the piano on ``PIANO_STFT``.
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
        """Convert a voice (sample,) at 16 kHz to piano audio (1, n_samples) at 44.1 kHz, in chunks."""
        device = self.voice_bands.device
        voice = stft(torch.from_numpy(voice_audio).to(device), VOICE_STFT)
        n_frames = frame_count(n_samples, PIANO_STFT)
        voice = functional.pad(torch.view_as_real(voice), (0, 0, 0, 0, 0, max(0, n_frames + 1 - len(voice))))
        voice = torch.view_as_complex(voice[: n_frames + 1].contiguous())
        hop = PIANO_STFT.hop_length
        audio = np.zeros((1, n_samples + hop), dtype=np.float32)
        fade_in = np.linspace(0.0, 1.0, CONTEXT_FRAMES * hop, dtype=np.float32)
        for first in range(0, n_frames, CHUNK_FRAMES):
            magnitude = self(voice[None, first : first + CHUNK_FRAMES + CONTEXT_FRAMES])[0]
            chunk = griffin_lim(magnitude, self.config.phase_iterations).cpu().numpy()
            if first:
                n_fade = min(len(fade_in), len(chunk))
                chunk[:n_fade] *= fade_in[:n_fade]
            if first + CHUNK_FRAMES < n_frames:
                end = slice(CHUNK_FRAMES * hop, len(chunk))
                chunk[end] *= fade_in[::-1][: len(chunk[end])]
            target = audio[0, first * hop : first * hop + len(chunk)]
            target += chunk[: len(target)]
        audio = audio[:, :n_samples]
        fade_end(audio)
        return audio


def block(n_in: int, n_out: int) -> nn.Sequential:
    """Build two 3 x 3 convolutions with group normalisation."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1),
        nn.GroupNorm(4, n_out),
        nn.GELU(),
        nn.Conv2d(n_out, n_out, 3, padding=1),
        nn.GroupNorm(4, n_out),
        nn.GELU(),
    )


def discriminator(channels: int) -> nn.Sequential:
    """Build a discriminator of patches of a log-magnitude spectrogram (batch, 1, frame, bin)."""
    return nn.Sequential(
        nn.Conv2d(1, channels, (3, 9), stride=(1, 4), padding=(1, 4)),
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels, 2 * channels, (3, 9), stride=(2, 4), padding=(1, 4)),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * channels, 1, 3, padding=1),
    )


def band_hz() -> NDArray[np.float64]:
    """Compute the centre frequencies of the U-Net's bands in Hz, (band,)."""
    return np.asarray(LOWEST_HZ * 2.0 ** (np.arange(N_BANDS) / BANDS_PER_OCTAVE))


def band_matrix(config: StftConfig) -> Tensor:
    """Build the matrix (bin, band) that interpolates a spectrum's bins to bands; zero for bands above the spectrum."""
    position = band_hz() / config.sample_rate * config.n_fft
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(config.n_bins)[:, None] - position))
    return torch.from_numpy(weights.astype(np.float32))


def bin_matrix(config: StftConfig) -> Tensor:
    """Build the matrix (band, bin) that interpolates bands to a spectrum's bins; constant beyond the outer bands."""
    hz = np.maximum(np.arange(config.n_bins) * config.sample_rate / config.n_fft, 1.0)
    position = np.clip(np.log2(hz / LOWEST_HZ) * BANDS_PER_OCTAVE, 0, N_BANDS - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(N_BANDS)[:, None] - position))
    return torch.from_numpy(weights.astype(np.float32))
