"""The synthesizer's network in torch, for training: notes to the complex STFT of a piano.

The partials of every key (:mod:`hf_model.synthesizer.partials`) make an excitation from the exact onset on, whose STFT
has the right phase and sharp attacks. A small convolutional network over time corrects level and phase per band and
adds noise; a trainable factor per partial corrects its envelope. Untrained, all corrections are zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT
from hf_model.audio.stft import stft
from hf_model.onnx.export import Graph
from hf_model.onnx.session import MODEL_FILE
from hf_model.pretrained import Pretrained
from hf_model.synthesizer.config import SynthesizerConfig
from hf_model.synthesizer.excitation import HOP, MARGIN, N_KEYS
from hf_model.synthesizer.partials import N_BANDS, band_weights
from hf_model.synthesizer.synthesizer import NOISE_SAMPLES, noise_audio
from hf_model.synthesizer.trainable_excitation import SoundingNotes, TrainableExcitation

N_FEATURES = 2 * N_BANDS + 2 * N_KEYS
"""Inputs of the network: band levels of excitation and noise, held keys, keys just struck."""


class SynthesizerNetwork(Pretrained):
    """Notes to complex piano STFT."""

    config_class = SynthesizerConfig
    kind = "synthesizer"
    config: SynthesizerConfig
    band_weights: Tensor
    noise_audio: Tensor

    def __init__(self, config: SynthesizerConfig) -> None:
        super().__init__(config)
        self.excitation = TrainableExcitation(config.train_partials)
        self.register_buffer("band_weights", torch.from_numpy(band_weights()), persistent=False)
        self.register_buffer("noise_audio", torch.from_numpy(noise_audio()), persistent=False)
        width = config.channels
        layers: list[nn.Module] = []
        for index in range(config.layers):
            layers += [nn.Conv1d(N_FEATURES if index == 0 else width, width, 3, padding=1), nn.GELU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv1d(width, 3 * N_BANDS, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, notes: Tensor, n_frames: int, first_frame: int = 0) -> Tensor:
        """Synthesize spectra.

        Parameters
        ----------
        notes : Tensor, shape (batch, note, 4)
            Onset and offset in seconds from the first frame's centre, pitch, velocity; rows of pitch 0 are padding.
        n_frames : int
            Length of the result, 100 frames a second.
        first_frame : int
            Position of the first frame in the whole recording; selects the part of the noise.

        Returns
        -------
        Tensor, complex64, shape (batch, frame, bin)
        """
        with torch.autocast(notes.device.type, enabled=False):
            sounding = self.excitation.select_notes(notes, n_frames)
            excitation = stft(self.excitation(sounding, notes.shape[0], n_frames), PIANO_STFT, center=False)
            noise_level = self.excitation.noise_level(sounding, notes.shape[0], n_frames)
            features = self.features(sounding, excitation, noise_level)
        real, imaginary, noise = self.correct(features, noise_level)
        with torch.autocast(notes.device.type, enabled=False):
            corrected = torch.view_as_real(excitation * torch.complex(real, imaginary))
            hiss = torch.view_as_real(self.hiss(n_frames, first_frame))
            return torch.view_as_complex(corrected.addcmul(hiss, noise[..., None]))

    def correct(self, features: Tensor, noise_level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the corrections: real and imaginary part of the excitation's gain, and the level of the noise.

        Parameters
        ----------
        features : Tensor, shape (batch, frame, N_FEATURES)
        noise_level : Tensor, shape (batch, frame, N_BANDS)
            From the table.

        Returns
        -------
        tuple of three Tensors, shape (batch, frame, bin)
        """
        correction = self.head(self.body(features.transpose(1, 2))).transpose(1, 2)
        with torch.autocast(features.device.type, enabled=False):
            level, phase, noise = correction.float().unflatten(-1, (3, N_BANDS)).unbind(-2)
            size = torch.exp(2.0 * torch.tanh(level))
            noise = noise_level * torch.exp(2.0 * torch.tanh(noise))
            bands = torch.stack([size * torch.cos(phase), size * torch.sin(phase), noise])
            real, imaginary, noise = (bands @ self.band_weights.T).unbind(0)
            return real, imaginary, noise

    def features(self, sounding: SoundingNotes, excitation: Tensor, noise_level: Tensor) -> Tensor:
        """Compute the network's input (batch, frame, feature): band levels, held keys, keys just struck."""
        n_examples, n_frames = excitation.shape[:2]
        power = torch.view_as_real(excitation.detach()).square().sum(dim=-1)
        bands = torch.sqrt(power @ (self.band_weights / self.band_weights.sum(dim=0)))
        centre = torch.arange(n_frames, device=noise_level.device) * HOP + MARGIN
        since = (centre[None] - sounding.start[:, None]) / PIANO_SAMPLE_RATE
        held = ((since >= 0) & (since * PIANO_SAMPLE_RATE < sounding.held[:, None])) * (
            sounding.velocity[:, None] / 127.0
        )
        struck = torch.exp(-4.0 * since.clamp(min=0)) * (since >= 0)
        rolls = noise_level.new_zeros(n_examples * N_KEYS, 2, n_frames)
        rolls = rolls.index_add(0, sounding.example * N_KEYS + sounding.key, torch.stack([held, struck], dim=1).float())
        rolls = rolls.reshape(n_examples, 2 * N_KEYS, n_frames).transpose(1, 2)
        return torch.cat([torch.log10(torch.cat([bands, noise_level], dim=-1) + 1e-4), rolls], dim=-1)

    def hiss(self, n_frames: int, first_frame: int) -> Tensor:
        """Compute spectra (frame, bin) of white noise with unit mean magnitude; from a random position in training."""
        n_samples = (n_frames - 1) * HOP + 2 * MARGIN
        start = int(torch.randint(NOISE_SAMPLES, ())) if self.training else first_frame * HOP
        at = (torch.arange(n_samples, device=self.noise_audio.device) + start) % NOISE_SAMPLES
        return stft(self.noise_audio[at], PIANO_STFT, center=False)

    def graphs(self) -> Mapping[str, Graph]:
        """Give the corrections; :class:`hf_model.synthesizer.synthesizer.Synthesizer` computes the rest."""
        generator = torch.Generator().manual_seed(0)
        inputs = {
            "features": 4.0 * torch.rand(1, 20, N_FEATURES, generator=generator) - 4.0,
            "noise_level": torch.rand(1, 20, N_BANDS, generator=generator),
        }
        outputs = ("real", "imaginary", "noise")
        return {MODEL_FILE: Graph(_Correction(self), inputs, outputs, {name: {1: "frame"} for name in inputs})}


class _Correction(nn.Module):
    """The part of the network that is exported."""

    def __init__(self, network: SynthesizerNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, noise_level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return :meth:`SynthesizerNetwork.correct`."""
        return self.network.correct(features, noise_level)
