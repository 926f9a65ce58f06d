"""Convolution weights as 8-bit integers with one scale per output channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRANSPOSED = "decoder"
"""Part of the names of transposed convolutions: their weights are (input, output, row, column), others start with the
output."""


def quantize(weight: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantise the weights of a convolution.

    Parameters
    ----------
    weight : ndarray, four axes
    axis : int
        Of the output channels.

    Returns
    -------
    levels : ndarray of int8
        -127 to 127.
    scale : ndarray of float32
        The value of level 1, with four axes; the product of both is within half a step of the weights.
    """
    others = tuple(other for other in range(4) if other != axis)
    scale = np.maximum(np.abs(weight).max(axis=others, keepdims=True), 1e-12) / np.float32(127.0)
    return np.round(weight / scale).astype(np.int8), scale.astype(np.float32)


def round_weights(state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Round the weights of convolutions, named as in a ``state_dict``, to what :func:`quantize` stores."""
    rounded = dict(state)
    for name, weight in state.items():
        if weight.ndim == 4:
            levels, scale = quantize(weight, output_axis(name))
            rounded[name] = levels * scale
    return rounded


def output_axis(name: str) -> int:
    """Tell the axis of the output channels of a weight by its name."""
    return 1 if TRANSPOSED in name else 0
