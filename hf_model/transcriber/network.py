"""The transcriber's network, for training: voice audio in, logits of onset, offset, voicing and pitch per frame out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from hf_model.audio.grid import VOICE_STFT, StftConfig
from hf_model.onnx.export import Graph
from hf_model.onnx.session import MODEL_FILE
from hf_model.pretrained import Pretrained
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, sing
from hf_model.transcriber.config import PLANE_DILATIONS, TranscriberConfig
from hf_model.transcriber.features import VoiceFeatures, set_level
from hf_model.transcriber.transcriber import CONTEXT_FILE

N_VOICES, VOICE_SECONDS, FIRST_SEED = 12, 10.0, 5000
"""The synthetic voices from which the ranges of activations are known: number, length, and the first one's seed."""


FLOAT32 = "float32"
"""Key of ``facts``: true if 8 bits are too coarse for these weights."""


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


class TranscriberNetwork(Pretrained):
    """Convolutions on a harmonic stack of log-frequency bands, then dilated convolutions in time."""

    config_class = TranscriberConfig
    kind = "transcriber"
    config: TranscriberConfig

    def __init__(self, config: TranscriberConfig | None = None) -> None:
        config = config or TranscriberConfig()
        super().__init__(config)
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
        features, pitch = self.local(harmonics.contiguous(memory_format=torch.channels_last), timbre)
        heads = self.context(features)
        return Posteriors(heads[:, 0], heads[:, 1], heads[:, 2], pitch)

    def local(self, harmonics: Tensor, timbre: Tensor) -> tuple[Tensor, Tensor]:
        """Take the first step: what depends on few frames.

        Parameters
        ----------
        harmonics : Tensor, shape (batch, harmonic, frame, band)
        timbre : Tensor, shape (batch, channel, frame)

        Returns
        -------
        features : Tensor, shape (batch, channel, frame)
        pitch : Tensor, shape (batch, frame, pitch_bin)
            Logits.
        """
        plane = self.planes(self.stem(harmonics))  # (batch, channel, frame, band)
        layers = (self.pitch, self.squeeze)  # one convolution is faster than two
        biases = [layer.bias for layer in layers if layer.bias is not None]
        of_bands = F.conv2d(plane, torch.cat([layer.weight for layer in layers]), torch.cat(biases))
        pitch = of_bands[:, : self.config.bins_per_band].permute(0, 2, 3, 1).flatten(2).float()
        bands = pitch.softmax(-1).view(*pitch.shape[:2], self.config.pitch_bands, -1).sum(-1)
        at_pitch = (plane.float() * bands[:, None]).sum(3)
        squeezed = of_bands[:, self.config.bins_per_band :].permute(0, 1, 3, 2).flatten(1, 2)
        return torch.cat([squeezed.float(), at_pitch, timbre], dim=1), pitch

    def context(self, features: Tensor) -> Tensor:
        """Take the second step: logits of onset, offset and voicing, (batch, 3, frame), from :meth:`local`."""
        line = self.lines(F.relu(self.enter_norm(self.enter(features))))
        heads: Tensor = self.heads(line).float()
        return heads

    def graphs(self) -> Mapping[str, Graph]:
        """Give the two steps of :class:`hf_model.transcriber.transcriber.Transcriber`; the second one in 8 bits.

        With ``float32`` in ``facts``, both are in float32.
        """
        local, frame = _LocalGraph(self), {0: "frame"}
        with torch.no_grad():
            spectra = [
                [bank.power(voice)[0] for bank in (self.features.log_bands, self.features.mel_bands)]
                for voice in _synthetic_voices()
            ]
            features = [local(long, short)[0] for long, short in spectra]
        long, short = spectra[0]
        return {
            MODEL_FILE: Graph(
                local,
                {"long": long, "short": short},
                ["features", "pitch"],
                {"long": frame, "short": frame, "features": frame, "pitch": frame},
            ),
            CONTEXT_FILE: Graph(
                _ContextGraph(self),
                {"features": features[0]},
                ["probabilities"],
                {"features": frame, "probabilities": {1: "frame"}},
                () if self.facts.get(FLOAT32) else [{"features": one} for one in features],
                in_float=["heads"],
            ),
        }


class _LocalGraph(nn.Module):
    """The first step of one recording: power spectra (frame, bin) to features and pitch probabilities by frame."""

    def __init__(self, network: TranscriberNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, long: Tensor, short: Tensor) -> tuple[Tensor, Tensor]:
        bands, timbre = self.network.features.spectra(long[None], short[None])
        features, pitch = self.network.local(self.network.features.stack(bands), timbre)
        return features[0].T, pitch[0].softmax(-1)


class _ContextGraph(nn.Module):
    """The second step of one recording: features (frame, channel) to probabilities (3, frame)."""

    def __init__(self, network: TranscriberNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        return self.network.context(features.T[None])[0].sigmoid()


@cache
def _synthetic_voices() -> list[Tensor]:
    """Sing phrases, as typical inputs: each (1, sample), at constant level."""
    config = SingerConfig(VOICE_STFT.sample_rate)
    seeds = range(FIRST_SEED, FIRST_SEED + N_VOICES)
    phrases = (sing(compose(seed, VOICE_SECONDS), seed, config).audio for seed in seeds)
    return [set_level(torch.from_numpy(phrase)[None]) for phrase in phrases]
