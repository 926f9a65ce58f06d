"""The transcriber as it listens: the same network, without what only training needs, in the layout that is fastest."""

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


class Near(NamedTuple):
    """What the layers say of each frame that see little around it.

    ``lines``: (frame, channel), what the layers that see more begin with; ``pitch``: (frame, pitch_bin), probabilities.
    """

    lines: Tensor
    pitch: Tensor


class Convolution:
    """A convolution with the batch normalisation after it folded in, as its running statistics are now.

    Parameters
    ----------
    layer : Conv1d or Conv2d
        Of odd size, padded so that frames stay. One in time alone becomes one on a plane of one row: a third faster.
    norm : batch normalisation, optional
        What follows a layer without bias.
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
    """Layers of one tap with the same input, as one matrix product: for few channels a fifth of the time.

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
        """Give what each layer makes of (1, channel, frame, band), channels last: (output, frame, band)."""
        told = torch.addmm(self._bias, self._weight, plane[0].flatten(1))
        return torch.split(told.view(-1, *plane.shape[2:]), self._sizes)


@dataclass(frozen=True)
class FoldedTranscriber:
    """Posteriors of one recording, in two steps, of which the second sees farther: see :class:`Transcriber`.

    Weights are those of the time when it was made; whoever trains on makes another one.

    Attributes
    ----------
    features : VoiceFeatures
    stem, enter, heads : Convolution
    planes : sequence of Convolution
        Residual, on frames and bands.
    of_bands : Pointwise
        The pitch bins of each band, and what else is told of it.
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
        """In which the convolutions compute."""
        return self.stem.dtype

    @property
    def stft_config(self) -> StftConfig:
        """The grid of the posteriors."""
        return self.features.grid

    @property
    def near_reach(self) -> int:
        """Frames on either side that :meth:`near` depends on."""
        window = -(-LONG_WINDOW.win_length // (2 * LONG_WINDOW.hop_length))
        return window + self.stem.reach + sum(plane.reach for plane in self.planes)

    @property
    def far_reach(self) -> int:
        """Frames on either side that :meth:`far` depends on."""
        return self.enter.reach + sum(line.reach for line, _ in self.lines)

    def near(self, waveform: Tensor) -> Near:
        """Compute what depends on little around each frame.

        Parameters
        ----------
        waveform : Tensor, shape (1, sample)
            16 kHz, brought to one level by :func:`hf_model.transcriber.features.set_level`.

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
        return Near(torch.cat([squeezed, at_pitch[:, 0], timbre[0].T.to(self.dtype)], dim=1), pitch)

    def far(self, lines: Tensor) -> Tensor:
        """Compute probabilities of onset, offset and voicing, (3, frame), from ``lines`` of :meth:`near`."""
        line = F.relu_(self.enter(lines.T[None, :, None]))  # (1, channel, 1, frame)
        for layer, mix in self.lines:
            line.add_(mix(F.relu_(layer(line))))
        return self.heads(line)[0, :, 0].float().sigmoid()


def fast_dtype() -> torch.dtype:
    """Say in which precision this processor convolves fastest: bfloat16 where it has instructions for it."""
    is_fast = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return torch.bfloat16 if is_fast else torch.float32
