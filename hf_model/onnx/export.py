"""Export of networks to ONNX; what is written computes what torch computes."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import logging
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hf_model.config import check_choice
from hf_model.files import replacing, write_json
from hf_model.onnx.quantization import QuantizationError, quantize
from hf_model.onnx.session import MODEL_FILE, Session
from hf_model.weights import CONFIG, DIGESTS, WeightsError, read_config

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_LOG = logging.getLogger(__name__)

OPSET = 17
"""Version of the operators."""

TOLERANCE = 1e-4
"""Largest difference between ONNX Runtime and torch, relative to the largest value of an output that exceeds 1."""

FEWEST = 64
"""Numbers from which a tensor is stored as float16 if that changes none of them."""

NETWORKS = {
    "transcriber": "hf_model.transcriber.network.TranscriberNetwork",
    "synthesizer": "hf_model.synthesizer.network.SynthesizerNetwork",
    "separator": "hf_model.separator.network.SeparatorNetwork",
    "instrument": "hf_model.instruments.network.InstrumentNetwork",
}
"""The classes that have graphs, by the kind in ``config.json``; imported when they are exported."""


@dataclass(frozen=True)
class Graph:
    """A network, or a part of one, to export.

    Attributes
    ----------
    module : Module
        On the processor, in evaluation mode; takes the inputs in their order, and returns a tensor or a tuple.
    inputs : mapping of str to Tensor
        Examples, on which ONNX Runtime is compared with torch.
    outputs : sequence of str
    free_axes : mapping of str to mapping of int to str
        For inputs and outputs: the axes whose length may change, each with a name.
    calibration : sequence of mapping of str to Tensor
        Typical inputs: with them, convolutions are computed in 8 bits (:mod:`hf_model.onnx.quantization`).
    in_float : sequence of str
        Parts of the names of modules that are computed in float32 nevertheless.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: Sequence[str]
    free_axes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    calibration: Sequence[Mapping[str, Tensor]] = ()
    in_float: Sequence[str] = ()


def export_graph(graph: Graph) -> bytes:
    """Convert a network to ONNX and compare it with torch.

    Tensors that float16 represents exactly, as those of published weights, are stored as float16 and computed with in
    float32. What is in 8 bits is compared before its conversion, and more loosely after it. The same weights give the
    same bytes.

    Raises
    ------
    WeightsError
        If ONNX Runtime computes something else than torch.
    """
    import onnx

    examples = tuple(graph.inputs.values())
    with tempfile.TemporaryDirectory(prefix="hummingface-") as folder, warnings.catch_warnings():
        path = Path(folder) / MODEL_FILE
        warnings.simplefilter("ignore")  # about the exporter's own future, and about lengths in Python
        torch.onnx.export(
            graph.module,
            examples,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.PRESERVE,  # otherwise normalisation is fused: not exact in float16
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={name: dict(axes) for name, axes in graph.free_axes.items()},
        )
        model = onnx.load(path)
    _store_float16(model)
    model.producer_name, model.producer_version = "hummingface", ""
    content: bytes = model.SerializeToString(deterministic=True)
    compare_with_torch(content, graph)
    if graph.calibration:
        try:
            return quantize(content, [_arrays(inputs) for inputs in graph.calibration], graph.in_float)
        except QuantizationError as error:  # an unusual network, or one that is hardly trained
            _LOG.warning("exported in float32: %s", error)
    return content


def _arrays(inputs: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    return {name: value.numpy() for name, value in inputs.items()}


def _store_float16(model: ModelProto) -> None:
    """Store float32 tensors that float16 represents as such, with a conversion in front."""
    from onnx import TensorProto, helper, numpy_helper

    casts: list[NodeProto] = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < FEWEST:
            continue
        with np.errstate(over="ignore"):
            short = values.astype(np.float16)
        if np.array_equal(short.astype(np.float32), values):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(short, f"{name}_float16"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def compare_with_torch(content: bytes, graph: Graph) -> None:
    """Run an ONNX file and the network that it was made from on the example inputs.

    Raises
    ------
    WeightsError
        If the outputs differ by more than ``TOLERANCE``.
    """
    with torch.inference_mode():
        computed = graph.module(*graph.inputs.values())
    expected = [computed] if isinstance(computed, Tensor) else list(computed)
    found = Session(content).run(**_arrays(graph.inputs))
    for name, ours, tensor in zip(graph.outputs, found, expected, strict=True):
        theirs = tensor.numpy()
        difference = float(np.abs(ours - theirs).max(initial=0.0))
        if not difference <= TOLERANCE * max(1.0, float(np.abs(theirs).max(initial=0.0))):
            msg = f"the exported network differs from torch by {difference:.1e} in {name!r}"
            raise WeightsError(msg)


def write_graphs(folder: Path, settings: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    """Write exported networks, and ``config.json`` with their digests."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        with replacing(folder / name) as partial:
            partial.write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    digests = {**settings.get(DIGESTS, {}), **digests}
    write_json(folder / CONFIG, {**settings, **({DIGESTS: digests} if digests else {})}, digest=True)


def export_folder(folder: Path | str) -> list[Path]:
    """Export the networks of a model folder from its weights, and return the files.

    Raises
    ------
    FileNotFoundError, ConfigError, WeightsError
        As :meth:`hf_model.pretrained.Pretrained.from_pretrained`, and for a model that has no network to export.
    """
    settings = read_config(folder)
    kind = str(settings.get("kind"))
    check_choice(f"kind in {Path(folder) / CONFIG}", kind, NETWORKS)
    module, name = NETWORKS[kind].rsplit(".", 1)
    network = getattr(importlib.import_module(module), name).from_pretrained(folder)
    contents = network.export()
    write_graphs(Path(folder), settings, contents)
    return [Path(folder) / item for item in contents]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the ONNX files of model folders from their weights: ``python -m hf_model.onnx.export FOLDER``."""
    parser = argparse.ArgumentParser(prog="python -m hf_model.onnx.export", description=main.__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="with config.json and weights")
    for folder in parser.parse_args(arguments).folders:
        for path in export_folder(folder):
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
