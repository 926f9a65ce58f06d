"""The synthesizer: notes to the complex STFT of a piano, and by the inverse STFT to audio.

The partials of every key (:mod:`hf_model.synthesizer.partials`) make an excitation from the exact onset on, whose STFT
has the right phase and sharp attacks. A small convolutional network over time corrects level and phase per band and
adds noise; a trainable factor per partial corrects its envelope. Untrained, all corrections are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT, frame_count
from hf_model.audio.stft import istft, window
from hf_model.config import check_range
from hf_model.notes.note import Note
from hf_model.piano.rendering import damp_repeated, fade_end
from hf_model.pretrained import Pretrained
from hf_model.synthesizer.excitation import HOP, MARGIN, N_KEYS, Excitation, SoundingNotes
from hf_model.synthesizer.partials import N_BANDS, band_weights

NOISE_FRAMES = 1200
NOISE_SAMPLES = NOISE_FRAMES * HOP
"""Period of the noise: 12 s."""

CHUNK_FRAMES, CONTEXT_FRAMES = 400, 12
"""Frames that are rendered at a time, and further frames of context on both sides."""

MAX_TAIL = 60.0
"""Seconds that a released note may still sound."""


@dataclass(frozen=True)
class SynthesizerConfig:
    """Settings of the synthesizer.

    Attributes
    ----------
    channels : int
        Channels of the network.
    layers : int
        Hidden convolutions over time, kernel 3.
    train_partials : bool
        Also learn a factor for every partial's envelope: doubles the time a step, and needs many examples of each key.
    """

    channels: int = 128
    layers: int = 3
    train_partials: bool = False

    def __post_init__(self) -> None:
        """Check the values; the context in rendering must cover the receptive field."""
        check_range("channels", self.channels, 8, 4096)
        check_range("layers", self.layers, 1, CONTEXT_FRAMES - 6)


class Synthesizer(Pretrained):
    """Notes to complex piano STFT."""

    config_class = SynthesizerConfig
    kind = "synthesizer"
    band_weights: Tensor
    noise_audio: Tensor
    channels = 1

    def __init__(self, config: SynthesizerConfig) -> None:
        super().__init__(config)
        self.excitation = Excitation(config.train_partials)
        self.register_buffer("band_weights", torch.from_numpy(band_weights()), persistent=False)
        noise = torch.randn(NOISE_SAMPLES, generator=torch.Generator().manual_seed(0))
        energy = torch.sqrt((window(PIANO_STFT) ** 2).sum())
        self.register_buffer("noise_audio", noise / energy, persistent=False)
        self._hiss: Tensor | None = None
        width, n_features = config.channels, 2 * N_BANDS + 2 * N_KEYS
        layers: list[nn.Module] = []
        for index in range(config.layers):
            layers += [nn.Conv1d(n_features if index == 0 else width, width, 3, padding=1), nn.GELU()]
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
            excitation = uncentred_stft(self.excitation(sounding, notes.shape[0], n_frames))
            noise_level = self.excitation.noise_level(sounding, notes.shape[0], n_frames)
            features = self.features(sounding, excitation, noise_level)
        correction = self.head(self.body(features.transpose(1, 2))).transpose(1, 2)
        with torch.autocast(notes.device.type, enabled=False):
            level, phase, noise = correction.float().unflatten(-1, (3, N_BANDS)).unbind(-2)
            size = torch.exp(2.0 * torch.tanh(level))
            gain = torch.complex(
                (size * torch.cos(phase)) @ self.band_weights.T, (size * torch.sin(phase)) @ self.band_weights.T
            )
            noise_magnitude = (noise_level * torch.exp(2.0 * torch.tanh(noise))) @ self.band_weights.T
            hiss = self.hiss(n_frames, first_frame)
            corrected = torch.view_as_real(excitation * gain)
            return torch.view_as_complex(corrected.addcmul(torch.view_as_real(hiss), noise_magnitude[..., None]))

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
        if self.training:
            n_samples = (n_frames - 1) * HOP + 2 * MARGIN
            start = int(torch.randint(NOISE_SAMPLES, ()))
            at = (torch.arange(n_samples, device=self.noise_audio.device) + start) % NOISE_SAMPLES
            return uncentred_stft(self.noise_audio[at][None])[0]
        if self._hiss is None or self._hiss.device != self.noise_audio.device:
            padded = functional.pad(self.noise_audio[None], (0, 2 * MARGIN - HOP), mode="circular")
            self._hiss = uncentred_stft(padded)[0]
        frames = (torch.arange(n_frames, device=self.noise_audio.device) + first_frame) % NOISE_FRAMES
        return self._hiss[frames]

    @torch.no_grad()
    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        """Render notes as :meth:`hf_model.piano.sampled.SampledPiano.render`, in chunks of ``CHUNK_FRAMES``."""
        damped = damp_repeated(notes)
        audio = np.zeros((1, n_samples), dtype=np.float32)
        n_total = frame_count(n_samples, PIANO_STFT)
        for first in range(0, n_total, CHUNK_FRAMES):
            begin = max(0, first - CONTEXT_FRAMES)
            n_frames = min(first + CHUNK_FRAMES, n_total) + CONTEXT_FRAMES - begin
            shift, end = begin * HOP / PIANO_SAMPLE_RATE, (begin + n_frames) * HOP / PIANO_SAMPLE_RATE
            rows = [
                (note.onset - shift, note.offset - shift, note.pitch, float(note.velocity))
                for note in damped
                if note.onset < end and note.offset + MAX_TAIL > shift
            ]
            table = torch.tensor(rows or [(0.0, 1.0, 0.0, 0.0)], dtype=torch.float64, device=self.noise_audio.device)
            sound = istft(self(table[None], n_frames, begin), PIANO_STFT, (n_frames - 1) * HOP)[0].cpu().numpy()
            chunk = sound[(first - begin) * HOP : (first - begin + CHUNK_FRAMES) * HOP][: n_samples - first * HOP]
            audio[0, first * HOP : first * HOP + len(chunk)] = chunk
        fade_end(audio)
        return audio


def uncentred_stft(audio: Tensor) -> Tensor:
    """Compute the STFT (batch, frame, bin) of audio (batch, sample) that includes ``MARGIN`` samples at both ends."""
    spectrum = torch.stft(
        audio, PIANO_STFT.n_fft, HOP, window=window(PIANO_STFT, audio.device), center=False, return_complex=True
    )
    return spectrum.transpose(1, 2)
