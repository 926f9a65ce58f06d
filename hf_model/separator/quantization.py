"""Convolution weights as 8-bit integers with one scale per output channel."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ".scale"
"""Ends the name of the scales of a weight."""


def quantize(state: Mapping[str, Tensor], transposed: str = "decoder") -> dict[str, Tensor]:
    """Quantise the weights of convolutions, and store the rest as float16.

    Parameters
    ----------
    state : mapping
        Names to tensors; weights are (output, input, row, column).
    transposed : str
        Part of the names of transposed convolutions, whose weights are (input, output, row, column).

    Returns
    -------
    dict
        An int8 tensor and its float32 scale for every weight of a convolution.
    """
    result: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.ndim == 4:
            axes = (0, 2, 3) if transposed in name else (1, 2, 3)
            scale = tensor.float().abs().amax(axes, keepdim=True).clamp(min=1e-12) / 127.0
            result[name] = (tensor.float() / scale).round().to(torch.int8)
            result[name + SCALE] = scale
        else:
            result[name] = tensor.half() if tensor.is_floating_point() else tensor
    return result


def dequantize(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the float32 weights of :func:`quantize`; other tensors stay as they are.

    Raises
    ------
    RuntimeError
        If an integer weight has no scale.
    """
    scales = {name.removesuffix(SCALE): tensor for name, tensor in state.items() if name.endswith(SCALE)}
    without = [name for name, tensor in state.items() if tensor.dtype == torch.int8 and name not in scales]
    if without:
        msg = f"{without[0]} has no {SCALE}"
        raise RuntimeError(msg)
    return {
        name: tensor.float() * scales[name] if name in scales else tensor
        for name, tensor in state.items()
        if not name.endswith(SCALE)
    }
