"""The U-Net for inference: normalisation as one multiplication, no transposed convolutions, channels last."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.nn.modules.batchnorm import _BatchNorm

from hf_model.separator.unet import KERNEL, LAST_DILATION, LAST_KERNEL, LEAK, UNet


class FusedUNet:
    """Computes what a :class:`hf_model.separator.unet.UNet` computes, several times as fast on a processor.

    The weights are copies.

    Parameters
    ----------
    network : UNet
        In evaluation mode.
    dtype : torch.dtype
        Of the calculation.
    """

    def __init__(self, network: UNet, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._encoder = [(self._weight(layer.weight), self._vector(layer.bias)) for layer in network.encoder]
        self._encoder_norms = [self._affine(norm) for norm in network.encoder_norms]
        self._decoder = [
            (self._weight(subpixel_weight(layer.weight.detach())), self._vector(layer.bias.repeat(4)))
            for layer in network.decoder
        ]
        self._decoder_norms = [self._affine(norm) for norm in network.decoder_norms]
        bias = network.mask.bias
        assert bias is not None
        self._mask = self._weight(network.mask.weight), self._vector(bias)

    def __call__(self, magnitude: Tensor) -> Tensor:
        """Estimate the mask (batch, 2, frame, bin), float32, as :meth:`UNet.forward` does."""
        skips: list[Tensor] = []
        x = magnitude.to(self.dtype).contiguous(memory_format=torch.channels_last)
        for index, (weight, bias) in enumerate(self._encoder):
            if index:
                scale, shift = self._encoder_norms[index - 1]
                x = F.leaky_relu_(torch.addcmul(shift, x, scale), LEAK)
            x = F.conv2d(F.pad(x, (1, 2, 1, 2)), weight, bias, stride=2)
            skips.append(x)
        skips.pop()
        for (weight, bias), (scale, shift) in zip(self._decoder, self._decoder_norms, strict=True):
            x = torch.addcmul(shift, F.relu_(interleave(F.conv2d(x, weight, bias, padding=1))), scale)
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)
        reach = LAST_DILATION * (LAST_KERNEL - 1) // 2
        x = F.conv2d(F.pad(x, [reach] * 4), *self._mask, dilation=LAST_DILATION)
        return torch.sigmoid(x.float())

    def _weight(self, weight: Tensor) -> Tensor:
        return weight.detach().to(self.dtype, copy=True).contiguous(memory_format=torch.channels_last)

    def _vector(self, vector: Tensor) -> Tensor:
        return vector.detach().to(self.dtype, copy=True)

    def _affine(self, norm: _BatchNorm) -> tuple[Tensor, Tensor]:
        """Scale and shift, (1, channel, 1, 1), that the normalisation amounts to."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.detach().double() * torch.rsqrt(norm.running_var.double() + norm.eps)
        shift = norm.bias.detach() - norm.running_mean * scale
        return scale.view(1, -1, 1, 1).to(self.dtype), shift.view(1, -1, 1, 1).to(self.dtype)


def subpixel_weight(weight: Tensor) -> Tensor:
    """Turn a transposed convolution of stride 2 into a 3x3 convolution that computes the four outputs at each input.

    Convolutions in bfloat16 are fast, transposed ones are not.

    Parameters
    ----------
    weight : Tensor, shape (input, output, 5, 5)
        With padding 1, and without the last row and column of the result.

    Returns
    -------
    Tensor, shape (4 * output, input, 3, 3)
        Outputs in the order that :func:`interleave` expects.
    """
    n_inputs, n_outputs = weight.shape[:2]
    result = weight.new_zeros(2, 2, n_outputs, n_inputs, 3, 3)
    for row in range(KERNEL):
        for column in range(KERNEL):
            # Output 2 i + tap - 1 takes input i: tap 0, 2, 4 are odd outputs, tap 1, 3 are even ones.
            (step_y, odd_y), (step_x, odd_x) = divmod(row - 1, 2), divmod(column - 1, 2)
            result[odd_y, odd_x, :, :, 1 - step_y, 1 - step_x] = weight[:, :, row, column].T
    return result.flatten(0, 2)


def interleave(outputs: Tensor) -> Tensor:
    """Arrange (batch, 2 * 2 * channel, frame, bin) as (batch, channel, 2 * frame, 2 * bin), channels last."""
    batch, channels, frames, bins = outputs.shape
    split = outputs.permute(0, 2, 3, 1).reshape(batch, frames, bins, 2, 2, channels // 4)
    joined = split.permute(0, 1, 3, 2, 4, 5).reshape(batch, 2 * frames, 2 * bins, channels // 4)
    return joined.permute(0, 3, 1, 2)
