"""The transcriber: voice audio in, onset, offset, voicing and pitch posteriors per frame out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from hf_model.audio.grid import VOICE_STFT, StftConfig
from hf_model.config import check_range
from hf_model.notes.note import Note
from hf_model.parallel.precision import fast_dtype
from hf_model.parallel.threads import in_threads
from hf_model.pretrained import Pretrained, part_of_config
from hf_model.transcriber.decoding import DecoderConfig, Evidence, PitchAxis
from hf_model.transcriber.features import VoiceFeatures
from hf_model.transcriber.fused import Convolution, FusedTranscriber, Pointwise
from hf_model.transcriber.note_stream import NoteStream
from hf_model.transcriber.posteriors import CHUNK_FRAMES, PosteriorArrays, PosteriorStream

FloatArray = NDArray[np.float32]

PLANE_DILATIONS = (1, 2, 4, 8)
"""Frames between the taps of the convolutions on the (frame, band) plane."""


@dataclass(frozen=True)
class TranscriberConfig:
    """Shape of the transcriber.

    Attributes
    ----------
    lowest_hz : float
        Centre of the first band.
    pitch_bands, bands_per_octave : int
        The pitch axis of the network: 124 bands of 50 cents reach from 40 Hz to 1,400 Hz.
    bins_per_band : int
        Pitch bins of the output per band: 3 are 16.7 cents wide.
    channels : int
        Channels on the (frame, band) plane.
    width : int
        Channels of the dilated convolutions in time.
    dilations : tuple of int
        Frames between the taps of the convolutions in time.
    """

    lowest_hz: float = 40.0
    pitch_bands: int = 124
    bands_per_octave: int = 24
    bins_per_band: int = 3
    channels: int = 16
    width: int = 160
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 1, 2, 4, 8)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Check all ranges."""
        check_range("lowest_hz", self.lowest_hz, 20.0, 200.0)
        check_range("pitch_bands", self.pitch_bands, 12, 200)
        check_range("bins_per_band", self.bins_per_band, 1, 8)
        check_range("channels", self.channels, 4, 256)
        check_range("width", self.width, 8, 2048)
        check_range("dropout", self.dropout, 0.0, 0.9)

    @property
    def lowest_pitch(self) -> float:
        """MIDI number of the first pitch bin's centre."""
        return (
            69.0
            + 12.0 * math.log2(self.lowest_hz / 440.0)
            - 6.0 / self.bands_per_octave * (1.0 - 1.0 / self.bins_per_band)
        )

    @property
    def pitch_step(self) -> float:
        """Semitones per pitch bin."""
        return 12.0 / (self.bands_per_octave * self.bins_per_band)

    @property
    def n_pitch_bins(self) -> int:
        """Length of the pitch axis of the output."""
        return self.pitch_bands * self.bins_per_band

    def evidence(
        self, onset: FloatArray, offset: FloatArray, voicing: FloatArray, pitch: FloatArray, decoder: DecoderConfig
    ) -> Evidence:
        """Prepare decoding on the pitch axis of this model; see :class:`hf_model.transcriber.decoding.Evidence`."""
        axis = PitchAxis(self.lowest_pitch, self.pitch_step)
        return Evidence(onset, offset, voicing, pitch, axis, VOICE_STFT.frame_rate, decoder)


class Posteriors(NamedTuple):
    """Output of the network, as logits.

    ``onset``, ``offset``, ``voicing``: (batch, frame); ``pitch``: (batch, frame, pitch_bin).
    """

    onset: Tensor
    offset: Tensor
    voicing: Tensor
    pitch: Tensor


class _Plane(nn.Module):
    """Residual convolution on the (frame, band) plane, dilated in time."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=(dilation, 1), dilation=(dilation, 1), bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.norm(self.conv(x)))


class _Line(nn.Module):
    """Residual dilated convolution in time."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.dropout(self.mix(F.relu(self.norm(self.conv(x)))))
        return x + change


class Transcriber(Pretrained):
    """Convolutions on a harmonic stack of log-frequency bands, then dilated convolutions in time."""

    config_class = TranscriberConfig
    kind = "transcriber"
    config: TranscriberConfig

    def __init__(self, config: TranscriberConfig | None = None) -> None:
        config = config or TranscriberConfig()
        super().__init__(config)
        self.decoder = DecoderConfig()
        self.features = VoiceFeatures(config.lowest_hz, config.pitch_bands, config.bands_per_octave)
        channels, width = config.channels, config.width
        self.stem = nn.Sequential(
            nn.Conv2d(self.features.n_harmonics, channels, (3, 5), padding=(1, 2), bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.planes = nn.Sequential(*(_Plane(channels, dilation) for dilation in PLANE_DILATIONS))
        self.pitch = nn.Conv2d(channels, config.bins_per_band, 1)
        self.squeeze = nn.Conv2d(channels, 2, 1)
        n_inputs = 2 * config.pitch_bands + channels + self.features.n_timbre
        self.enter = nn.Conv1d(n_inputs, width, 3, padding=1, bias=False)
        self.enter_norm = nn.BatchNorm1d(width)
        self.lines = nn.Sequential(*(_Line(width, dilation, config.dropout) for dilation in config.dilations))
        self.heads = nn.Conv1d(width, 3, 1)

    @property
    def stft_config(self) -> StftConfig:
        """The grid of the posteriors."""
        return self.features.grid

    def forward(self, waveform: Tensor) -> Posteriors:
        """Compute posteriors.

        Parameters
        ----------
        waveform : Tensor, shape (batch, sample)
            16 kHz, brought to constant level by :func:`hf_model.transcriber.features.set_level`.

        Returns
        -------
        Posteriors
            Logits of ``1 + n_samples // 160`` frames; frame ``m`` is centred on ``m / 100`` s.
        """
        harmonics, timbre = self.features(waveform)
        plane = harmonics.contiguous(memory_format=torch.channels_last)
        plane = self.planes(self.stem(plane))  # (batch, channel, frame, band)
        pitch = self.pitch(plane).permute(0, 2, 3, 1).flatten(2)  # (batch, frame, bin)
        bands = pitch.float().unflatten(2, (self.config.pitch_bands, -1)).logsumexp(-1).softmax(-1)
        at_pitch = torch.einsum("bctp,btp->bct", plane.float(), bands)
        squeezed = self.squeeze(plane).permute(0, 1, 3, 2).flatten(1, 2)
        line = torch.cat([squeezed.float(), at_pitch, timbre], dim=1)
        line = self.lines(F.relu(self.enter_norm(self.enter(line))))
        heads = self.heads(line).float()
        return Posteriors(heads[:, 0], heads[:, 1], heads[:, 2], pitch.float())

    def transcribe(self, audio: NDArray[np.float32], decoder: DecoderConfig | None = None) -> list[Note]:
        """Transcribe a recording into notes.

        Parameters
        ----------
        audio : ndarray, shape (sample,)
            16 kHz, any level.
        decoder : DecoderConfig, optional
            By default the settings that were fitted to these weights.

        Returns
        -------
        list of Note
            Sorted, without overlaps; float pitch and default velocity.
        """
        stream = self.stream(decoder)
        return stream.push(audio) + stream.finish()

    def stream(
        self, decoder: DecoderConfig | None = None, *, sample_rate: int = 16000, chunk_seconds: float | None = None
    ) -> NoteStream:
        """Transcribe audio block by block; parameters as for :meth:`transcribe` and :class:`NoteStream`."""
        settings = decoder or self.decoder

        def decode(onset: FloatArray, offset: FloatArray, voicing: FloatArray, pitch: FloatArray) -> list[Note]:
            return self.config.evidence(onset, offset, voicing, pitch, settings).decode(settings)

        return NoteStream(self.fused(), decode, sample_rate=sample_rate, chunk_seconds=chunk_seconds)

    @classmethod
    def from_pretrained(cls, folder: Path | str, *, revision: str | None = None) -> Self:
        """Read weights and the decoder settings that were fitted to them; see :class:`Pretrained`."""
        model = super().from_pretrained(folder, revision=revision)
        model.decoder = part_of_config(DecoderConfig, folder, model.facts, "decoder")
        return model

    def fused(self) -> FusedTranscriber:
        """Return the network for inference, with its current weights."""
        (network,) = in_threads([self._fuse])  # one thread: too little work for more
        return network

    def _fuse(self) -> FusedTranscriber:
        fuse = partial(Convolution, dtype=fast_dtype())
        stem: Any = self.stem
        planes: Iterable[Any] = self.planes
        lines: Iterable[Any] = self.lines
        return FusedTranscriber(
            features=self.features,
            stem=fuse(stem[0], stem[1]),
            planes=[fuse(plane.conv, plane.norm) for plane in planes],
            of_bands=Pointwise(self.pitch, self.squeeze, dtype=fast_dtype()),
            enter=fuse(self.enter, self.enter_norm),
            lines=[(fuse(line.conv, line.norm), fuse(line.mix)) for line in lines],
            heads=fuse(self.heads),
        )

    def posteriors(self, audio: NDArray[np.float32], chunk_frames: int = CHUNK_FRAMES) -> list[NDArray[np.float32]]:
        """Compute probabilities of a whole recording: what :meth:`posterior_chunks` yields, joined."""
        return [np.concatenate(items) for items in zip(*self.posterior_chunks(audio, chunk_frames), strict=True)]

    def posterior_chunks(
        self, audio: NDArray[np.float32], chunk_frames: int = CHUNK_FRAMES
    ) -> Iterator[PosteriorArrays]:
        """Compute probabilities chunk by chunk; the boundaries of chunks do not change them.

        Parameters
        ----------
        audio : ndarray, shape (sample,)
            16 kHz, any level.
        chunk_frames : int
            Frames computed at once, without those that they depend on.

        Yields
        ------
        list of ndarray
            onset, offset, voicing (frame,) and pitch (frame, pitch_bin).
        """
        stream = PosteriorStream(self.fused(), chunk_frames)
        yield from stream.push(audio)
        yield from stream.finish()
