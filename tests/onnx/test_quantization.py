"""Networks in 8 bits: small, nearly the same outputs, independent of the processor, refused where they differ."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from hf_model.onnx.export import Graph, export_graph
from hf_model.onnx.quantization import QuantizationError, quantize
from hf_model.onnx.session import Session
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.network import FLOAT32, TranscriberNetwork

EXAMPLES = [{"x": np.random.default_rng(k).uniform(-1, 1, (1, 8, 200)).astype(np.float32)} for k in range(3)]


@pytest.fixture(scope="module")
def content() -> bytes:
    """Two convolutions, the first with a normalisation."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv1d(8, 32, 3, padding=1, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Conv1d(32, 4, 1)
    )
    x = torch.from_numpy(EXAMPLES[0]["x"])
    return export_graph(Graph(network.eval(), {"x": x}, ["y"], {"x": {2: "frame"}, "y": {2: "frame"}}))


def weights(content: bytes) -> dict[str, np.ndarray]:
    tensors = {one.name: numpy_helper.to_array(one) for one in onnx.load_from_string(content).graph.initializer}
    return {name: values for name, values in tensors.items() if values.ndim == 3}


def test_convolutions_are_in_8_bits_and_outputs_nearly_the_same(content: bytes) -> None:
    converted = quantize(content, EXAMPLES)
    assert sorted(one.dtype.name for one in weights(converted).values()) == ["int8", "int8"]
    x = np.random.default_rng(9).uniform(-1, 1, (1, 8, 333)).astype(np.float32)
    [expected], [found] = Session(content).run(x=x), Session(converted).run(x=x)
    assert found.shape == expected.shape == (1, 4, 333)
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert not np.array_equal(found, expected)


def test_weights_have_7_bits(content: bytes) -> None:
    """Pairs of products of 8 x 7 bits fit the 16 bits in which older processors add them: 2 x 255 x 64 < 32768."""
    values = np.concatenate([one.reshape(-1) for one in weights(quantize(content, EXAMPLES)).values()])
    assert np.abs(values.astype(int)).max() == 64


def test_chosen_layers_stay_in_float32(content: bytes) -> None:
    converted = weights(quantize(content, EXAMPLES, ["3/Conv"]))
    assert sorted(one.dtype.name for one in converted.values()) == ["float32", "int8"]


def test_conversion_is_reproducible(content: bytes) -> None:
    assert quantize(content, EXAMPLES) == quantize(content, EXAMPLES)


def test_a_network_that_8_bits_change_is_refused(content: bytes) -> None:
    """One large value makes the steps so coarse that the others vanish."""
    outlier = {"x": EXAMPLES[0]["x"].copy()}
    outlier["x"][0, 0, 0] = 3000.0
    with pytest.raises(QuantizationError, match=r"8 bits change 'y' by \d\.\de[-+]\d\d in the mean, more than 0\.01"):
        quantize(content, [*EXAMPLES, outlier])


def test_a_network_that_eight_bits_change_stays_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.onnx.quantization.TOLERANCE", 0.0)
    network = TranscriberNetwork(TranscriberConfig(channels=4, width=16, dilations=(1, 2))).eval()
    exported = network.export()
    network.facts[FLOAT32] = True
    assert exported == network.export()
    monkeypatch.undo()
    network.facts.clear()
    assert exported != network.export()
