"""Convolutions of an ONNX network in 8 bits: a quarter of the time where the processor has instructions for it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.onnx.session import Session, import_onnxruntime

Inputs = Mapping[str, NDArray[np.float32]]

TOLERANCE = 0.01
"""Largest mean difference that 8 bits may make to an output."""


class QuantizationError(ValueError):
    """Why a network cannot be computed in 8 bits."""


def quantize(content: bytes, examples: Sequence[Inputs], in_float: Sequence[str] = ()) -> bytes:
    """Convert the convolutions of a network to 8 bits.

    Activations have one scale a tensor, from their range on the examples. Weights have a scale a channel and 7 bits:
    processors without instructions for 8 bits would overflow with more, and give other results.

    Parameters
    ----------
    content : bytes
        An ONNX file.
    examples : sequence of mapping of str to ndarray
        Inputs that are typical.
    in_float : sequence of str
        Parts of the names of nodes that stay in float32.

    Raises
    ------
    QuantizationError
        If the outputs on the examples change by more than ``TOLERANCE``.
    """
    import_onnxruntime()
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(prefix="hummingface-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fused, quantized = Path(folder) / "fused.onnx", Path(folder) / "quantized.onnx"
        nodes = _fuse_normalization(content, fused)
        quantize_static(
            fused,
            quantized,
            _Reader(examples),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[node for node in nodes if any(part in node for part in in_float)],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        model = onnx.load(quantized)
    model.producer_name, model.producer_version = "hummingface", ""
    result: bytes = model.SerializeToString(deterministic=True)
    _compare(Session(content), Session(result), examples)
    return result


def _fuse_normalization(content: bytes, path: Path) -> list[str]:
    """Write the network with its normalisation fused into the convolutions before it; return the names of its nodes."""
    import onnx

    onnxruntime = import_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings.optimized_model_filepath = str(path)
    settings.log_severity_level = 3
    onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})  # otherwise it warns
    onnx.save(model, path)
    return [node.name for node in model.graph.node]


class _Reader:
    """The examples, one by one, as ``quantize_static`` asks for them."""

    def __init__(self, examples: Sequence[Inputs]) -> None:
        self._examples: Iterator[Inputs] = iter(examples)

    def get_next(self) -> dict[str, Any] | None:
        example = next(self._examples, None)
        return None if example is None else dict(example)


def _compare(session: Session, quantized: Session, examples: Sequence[Inputs]) -> None:
    for example in examples:
        outputs = zip(session.outputs, session.run(**example), quantized.run(**example), strict=True)
        for name, expected, found in outputs:
            difference = float(np.abs(found - expected).mean())
            if not difference <= TOLERANCE:
                msg = f"8 bits change {name!r} by {difference:.1e} in the mean, more than {TOLERANCE:g}"
                raise QuantizationError(msg)
