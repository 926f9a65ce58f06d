"""The transcriber for inference: batch normalisation fused into convolutions, in the fastest memory layout.

The network is computed in two steps: :meth:`FusedTranscriber.local` has a small receptive field and computes the pitch
posteriors and local features; :meth:`FusedTranscriber.context` computes the other posteriors from the local features,
with a large receptive field in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.modules.batchnorm import _BatchNorm

from hf_model.audio.grid import StftConfig
from hf_model.transcriber.features import LONG_WINDOW, VoiceFeatures


class LocalFeatures(NamedTuple):
    """Output of the layers with a small receptive field.

    ``features``: (frame, channel), the input of the second step; ``pitch``: (frame, pitch_bin), probabilities.
    """

    features: Tensor
    pitch: Tensor


class Convolution:
    """A convolution with the following batch normalisation fused in, with its current running statistics.

    Parameters
    ----------
    layer : Conv1d or Conv2d
        Of odd size with "same" padding. A Conv1d becomes a Conv2d on a plane of one row, which is a third faster.
    norm : batch normalisation, optional
        Follows a layer without bias.
    dtype : torch.dtype
        Of weights, input and output.
    """

    def __init__(self, layer: nn.Conv1d | nn.Conv2d, norm: _BatchNorm | None = None, *, dtype: torch.dtype) -> None:
        weight, bias = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
        if norm is not None:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight.detach().double() * torch.rsqrt(norm.running_var.double() + norm.eps)
            bias = norm.bias.detach() - norm.running_mean * scale
            weight = weight * scale.view(-1, *[1] * (weight.ndim - 1))
        if weight.ndim == 3:
            weight = weight.unsqueeze(2)
        self._weight = weight.to(dtype, copy=True).contiguous(memory_format=torch.channels_last)
        self.dtype = dtype
        self._bias = None if bias is None else bias.to(dtype, copy=True)
        self._dilation = (1, *layer.dilation)[-2:]
        self._padding = tuple(reach * (size // 2) for reach, size in zip(self._dilation, weight.shape[2:], strict=True))
        self.reach = self._padding[1 if isinstance(layer, nn.Conv1d) else 0]
        """Frames on either side that a frame depends on."""

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve (1, channel, frame, band) or (1, channel, 1, frame), channels last."""
        return F.conv2d(x, self._weight, self._bias, padding=self._padding, dilation=self._dilation)


class Pointwise:
    """1x1 convolutions of the same input as one matrix product, which takes a fifth of the time for few channels.

    Parameters
    ----------
    layers : Conv2d
        Of size 1, with a bias.
    dtype : torch.dtype
        Of weights, input and output.
    """

    def __init__(self, *layers: nn.Conv2d, dtype: torch.dtype) -> None:
        weights, biases = zip(*((layer.weight.detach().flatten(1), layer.bias) for layer in layers), strict=True)
        self._weight = torch.cat(weights).to(dtype)
        self._bias = torch.cat(biases).detach().to(dtype)[:, None]
        self._sizes = [len(weight) for weight in weights]

    def __call__(self, plane: Tensor) -> tuple[Tensor, ...]:
        """Apply all layers to (1, channel, frame, band), channels last: (output, frame, band) of each."""
        outputs = torch.addmm(self._bias, self._weight, plane[0].flatten(1))
        return torch.split(outputs.view(-1, *plane.shape[2:]), self._sizes)


@dataclass(frozen=True)
class FusedTranscriber:
    """Posteriors of one recording in two steps; the network is :class:`hf_model.transcriber.network.Transcriber`.

    The weights are copies: after further training, fuse the network again.

    Attributes
    ----------
    features : VoiceFeatures
    stem, enter, heads : Convolution
    planes : sequence of Convolution
        Residual, on frames and bands.
    of_bands : Pointwise
        The pitch bins of each band, and the other outputs of a band.
    lines : sequence of pairs of Convolution
        Residual, in time: the dilated one and the one that mixes channels.
    """

    features: VoiceFeatures
    stem: Convolution
    planes: Sequence[Convolution]
    of_bands: Pointwise
    enter: Convolution
    lines: Sequence[tuple[Convolution, Convolution]]
    heads: Convolution

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the convolutions."""
        return self.stem.dtype

    @property
    def stft_config(self) -> StftConfig:
        """The grid of the posteriors."""
        return self.features.grid

    @property
    def local_reach(self) -> int:
        """Frames on either side that :meth:`local` depends on."""
        window = -(-LONG_WINDOW.win_length // (2 * LONG_WINDOW.hop_length))
        return window + self.stem.reach + sum(plane.reach for plane in self.planes)

    @property
    def context_reach(self) -> int:
        """Frames on either side that :meth:`context` depends on."""
        return self.enter.reach + sum(line.reach for line, _ in self.lines)

    def local(self, waveform: Tensor) -> LocalFeatures:
        """Compute the pitch posteriors and the local features.

        Parameters
        ----------
        waveform : Tensor, shape (1, sample)
            16 kHz, brought to constant level by :func:`hf_model.transcriber.features.set_level`.

        Returns
        -------
        Near
            ``1 + n_samples // 160`` frames.
        """
        bands, timbre = self.features.spectra(waveform)
        plane = F.relu_(self.stem(self.features.stack(bands.to(self.dtype))))
        for layer in self.planes:
            plane.add_(F.relu_(layer(plane)))
        pitch, squeezed = self.of_bands(plane)  # (output, frame, band)
        pitch = pitch.permute(1, 2, 0).flatten(1).softmax(-1, dtype=torch.float32)
        of_a_band = reduce(torch.add, pitch.view(len(pitch), plane.shape[3], -1).unbind(2))
        at_pitch = of_a_band[:, None].to(self.dtype) @ plane[0].permute(1, 2, 0)  # (frame, 1, channel)
        squeezed = squeezed.permute(1, 0, 2).flatten(1)
        return LocalFeatures(torch.cat([squeezed, at_pitch[:, 0], timbre[0].T.to(self.dtype)], dim=1), pitch)

    def context(self, features: Tensor) -> Tensor:
        """Compute probabilities of onset, offset and voicing, (3, frame), from local features (frame, channel)."""
        line = F.relu_(self.enter(features.T[None, :, None]))  # (1, channel, 1, frame)
        for layer, mix in self.lines:
            line.add_(mix(F.relu_(layer(line))))
        return self.heads(line)[0, :, 0].float().sigmoid()
