"""The separator as an ONNX graph: 8-bit weights, float32 arithmetic.

A transposed convolution of stride 2 is computed as four ordinary ones, one for each parity of row and column of its
result, and their results are interleaved: as many multiplications, in a form that ONNX Runtime computes faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_model.onnx.export import OPSET
from hf_model.separator.config import SeparatorConfig
from hf_model.separator.quantization import output_axis, quantize

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

INPUT, OUTPUT = "magnitude", "mask"

FLOOR = 1e-10
"""Added to the powers in the ratio of the sources."""

KERNEL = 5
"""Frames and bins of the convolutions, which have a stride of 2."""

LAST_KERNEL, LAST_DILATION = 4, 2
"""Of the convolution that computes the mask."""

LEAK = 0.2
"""Slope of the encoder's leaky ReLU below zero."""

NORM_EPS = 1e-3
"""Added to variances by the batch normalisation."""

IR_VERSION = 8
"""Version of the file format, which belongs to the version of the operators."""

TAPS = {0: (3, 1), 1: (4, 2, 0)}
"""Rows of a transposed convolution's kernel that contribute to even and odd rows of its result, in the order of an
ordinary convolution's kernel: result ``2 i + tap - 1`` takes input ``i``."""


class _Builder:
    """Nodes and tensors of a graph; every node has one output, which bears its name."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []

    def tensor(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant."""
        from onnx import numpy_helper

        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, name: str, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operation."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, name: str, levels: NDArray[np.int8], scale: NDArray[np.float32]) -> str:
        """Add quantised weights; ONNX Runtime computes the products when it loads the graph."""
        from onnx import TensorProto

        stored = self.node(f"{name}.float", "Cast", self.tensor(f"{name}.levels", levels), to=TensorProto.FLOAT)
        return self.node(name, "Mul", stored, self.tensor(f"{name}.scale", scale))


def build_graph(config: SeparatorConfig, state: Mapping[str, NDArray[Any]]) -> bytes:
    """Build the graph from magnitudes (1, 2, frame, bin) to the mask of the voice, of the same shape.

    Parameters
    ----------
    config : SeparatorConfig
    state : mapping of str to ndarray
        Weights, named as in :class:`hf_model.separator.network.SeparatorNetwork`.

    Returns
    -------
    bytes
        An ONNX file.
    """
    from onnx import TensorProto, helper

    graph = _Builder()
    depth = len(config.channels)
    one = graph.tensor("one", np.array(1.0, np.float32))
    voice, accompaniment = (
        _power(graph, f"{source}.", _unet(graph, f"{source}.", state, depth), one)
        for source in ("voice", "accompaniment")
    )
    floor, half = (
        graph.tensor(name, np.array(value, np.float32)) for name, value in (("floor", FLOOR), ("half", FLOOR / 2))
    )
    total = graph.node("total", "Add", graph.node("both", "Add", voice, accompaniment), floor)
    graph.node(OUTPUT, "Div", graph.node("part", "Add", voice, half), total)
    shape = (1, 2, "frame", config.n_bins)
    outside = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in (INPUT, OUTPUT)]
    whole = helper.make_graph(graph.nodes, "separator", outside[:1], outside[1:], graph.tensors)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name, model.producer_version = "hummingface", ""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _unet(graph: _Builder, prefix: str, state: Mapping[str, NDArray[Any]], depth: int) -> str:
    """Add a :class:`hf_model.separator.unet.UNet` without the logistic function at its end."""
    skips: list[str] = []
    x = INPUT
    for index in range(depth):
        name = f"{prefix}encoder.{index}"
        if index:
            x = _normalize(graph, f"{prefix}encoder_norms.{index - 1}", state, x)
            x = graph.node(f"{name}.leak", "LeakyRelu", x, alpha=LEAK)
        x = _convolve(graph, name, state, x, strides=[2, 2], pads=[1, 1, 2, 2])
        skips.append(x)
    skips.pop()
    for index in range(depth):
        name = f"{prefix}decoder.{index}"
        x = graph.node(f"{name}.relu", "Relu", _upsample(graph, name, state, x))
        x = _normalize(graph, f"{prefix}decoder_norms.{index}", state, x)
        if skips:
            x = graph.node(f"{name}.joined", "Concat", skips.pop(), x, axis=1)
    reach = LAST_DILATION * (LAST_KERNEL - 1) // 2
    return _convolve(graph, f"{prefix}mask", state, x, dilations=[LAST_DILATION] * 2, pads=[reach] * 4)


def _power(graph: _Builder, prefix: str, x: str, one: str) -> str:
    """Add the square of the logistic function, written out: ONNX Runtime's own is too coarse for ratios near zero."""
    x = graph.node(f"{prefix}exp", "Exp", graph.node(f"{prefix}minus", "Neg", x))
    x = graph.node(f"{prefix}inverse", "Add", x, one)
    return graph.node(f"{prefix}power", "Reciprocal", graph.node(f"{prefix}square", "Mul", x, x))


def _convolve(graph: _Builder, name: str, state: Mapping[str, NDArray[Any]], x: str, **attributes: Any) -> str:
    weight = graph.weight(f"{name}.weight", *quantize(state[f"{name}.weight"], output_axis(name)))
    return graph.node(name, "Conv", x, weight, graph.tensor(f"{name}.bias", state[f"{name}.bias"]), **attributes)


def _upsample(graph: _Builder, name: str, state: Mapping[str, NDArray[Any]], x: str) -> str:
    """Add a transposed convolution of stride 2, without the last row and column of its result."""
    levels, scale = quantize(state[f"{name}.weight"], output_axis(name))
    bias = graph.tensor(f"{name}.bias", state[f"{name}.bias"])
    if levels.shape[1] == 1:  # a single channel is faster in one
        weight = graph.weight(f"{name}.weight", levels, scale)
        full = graph.node(name, "ConvTranspose", x, weight, bias, strides=[2, 2], pads=[1, 1, 1, 1])
        edges = [graph.tensor(f"{name}.{part}", np.array(values)) for part, values in _CROP.items()]
        return graph.node(f"{name}.crop", "Slice", full, *edges)
    phases = []
    for part, kernel, pads in parities(levels):
        weight = graph.weight(f"{name}.weight.{part}", kernel, scale.swapaxes(0, 1))
        phases.append(graph.node(f"{name}.{part}", "Conv", x, weight, bias, pads=pads))
    joined = graph.node(f"{name}.phases", "Concat", *phases, axis=1)
    return graph.node(name, "DepthToSpace", joined, blocksize=2, mode="DCR")


_CROP = {"starts": [0, 0], "ends": [-1, -1], "axes": [2, 3]}


def parities(kernel: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any], list[int]]]:
    """Split the kernel of a transposed convolution by the parity of the rows and columns of its result.

    Parameters
    ----------
    kernel : ndarray, shape (input, output, 5, 5)
        With stride 2 and padding 1.

    Yields
    ------
    name : str
        "00", "01", "10", "11": row and column, 1 for odd ones.
    kernel : ndarray, shape (output, input, row, column)
        Of an ordinary convolution.
    pads : list of int
        Rows and columns of zeros before, then after.
    """
    for odd_row, rows in TAPS.items():
        for odd_column, columns in TAPS.items():
            part = kernel[:, :, rows][:, :, :, columns].swapaxes(0, 1)
            yield f"{odd_row}{odd_column}", part, [1, 1, odd_row, odd_column]


def _normalize(graph: _Builder, name: str, state: Mapping[str, NDArray[Any]], x: str) -> str:
    """Add a batch normalisation as scale and shift."""
    parts = ("weight", "bias", "running_mean", "running_var")
    weight, bias, mean, variance = (state[f"{name}.{part}"].astype(np.float64) for part in parts)
    scale = weight / np.sqrt(variance + NORM_EPS)
    factors = {"scale": scale, "shift": bias - mean * scale}
    factor, shift = (
        graph.tensor(f"{name}.{part}", values.astype(np.float32).reshape(1, -1, 1, 1))
        for part, values in factors.items()
    )
    return graph.node(name, "Add", graph.node(f"{name}.scaled", "Mul", x, factor), shift)
