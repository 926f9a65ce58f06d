"""The U-Net that estimates which part of a magnitude spectrum belongs to one source."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from hf_model.separator.graph import KERNEL, LAST_DILATION, LAST_KERNEL, LEAK, NORM_EPS


class UNet(nn.Module):
    """Stereo magnitudes to a mask of one source.

    Convolutions of stride 2 halve frames and bins; transposed convolutions double them again, with the outputs of the
    convolutions of equal size as further inputs.

    Parameters
    ----------
    channels : sequence of int
        Output channels of the convolutions, outermost first.

    References
    ----------
    A. Jansson et al., "Singing voice separation with deep U-Net convolutional networks", ISMIR 2017; the variant of
    R. Hennequin et al., "Spleeter: a fast and efficient music source separation tool", JOSS 5(50), 2020.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        down = [2, *channels]
        self.encoder: Any = nn.ModuleList(nn.Conv2d(a, b, KERNEL, stride=2) for a, b in pairwise(down))
        self.encoder_norms: Any = nn.ModuleList(nn.BatchNorm2d(b, eps=NORM_EPS) for b in down[1:-1])
        up = [*channels[-2::-1], 1]
        inputs = [channels[-1], *(2 * width for width in up[:-1])]
        self.decoder: Any = nn.ModuleList(
            nn.ConvTranspose2d(a, b, KERNEL, stride=2, padding=1) for a, b in zip(inputs, up, strict=True)
        )
        self.decoder_norms: Any = nn.ModuleList(nn.BatchNorm2d(b, eps=NORM_EPS) for b in up)
        self.mask = nn.Conv2d(1, 2, LAST_KERNEL, dilation=LAST_DILATION)

    def forward(self, magnitude: Tensor) -> Tensor:
        """Estimate the mask.

        Parameters
        ----------
        magnitude : Tensor, shape (batch, 2, frame, bin)
            Both counts are multiples of 2 to the number of convolutions.

        Returns
        -------
        Tensor, shape (batch, 2, frame, bin)
            In (0, 1).
        """
        skips: list[Tensor] = []
        x = magnitude
        for index, layer in enumerate(self.encoder):
            if index:
                x = F.leaky_relu(self.encoder_norms[index - 1](x), LEAK)
            # The padding of TensorFlow at stride 2: one before, two after.
            x = layer(F.pad(x, (1, 2, 1, 2)))
            skips.append(x)
        skips.pop()
        for layer, norm in zip(self.decoder, self.decoder_norms, strict=True):
            x = norm(F.relu(layer(x)[..., :-1, :-1]))
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)
        reach = LAST_DILATION * (LAST_KERNEL - 1) // 2
        return torch.sigmoid(self.mask(F.pad(x, [reach] * 4)))
