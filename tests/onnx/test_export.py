"""Export to ONNX: what torch computes, small files, the same bytes again, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from hf_model.config import ConfigError
from hf_model.onnx import export
from hf_model.onnx.export import OPSET, Graph, export_graph, main
from hf_model.onnx.session import Session
from hf_model.pretrained import publish
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.level import set_level
from hf_model.transcriber.network import TranscriberNetwork
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import WEIGHTS, WeightsError, read_config
from tests.tiny_shards import TINY_MODELS

FILES = ["model.onnx", "context.onnx"]


class Block(nn.Module):
    """A convolution with a normalisation that has running statistics of its own."""

    def __init__(self, in_float16: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv, self.norm = nn.Conv1d(8, 16, 3, padding=1, bias=False), nn.BatchNorm1d(16)
        for tensor in (*self.parameters(), self.norm.running_mean, self.norm.running_var):
            assert tensor is not None
            values = 0.5 + torch.rand(tensor.shape, generator=generator)
            tensor.data = values.half().float() if in_float16 else values

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu()


def graph_of(module: nn.Module) -> Graph:
    x = torch.randn(1, 8, 20, generator=torch.Generator().manual_seed(1))
    return Graph(module.eval(), {"x": x}, ["y"], {"x": {2: "frame"}, "y": {2: "frame"}})


@pytest.mark.parametrize("in_float16", [True, False])
def test_an_exported_network_computes_what_torch_computes(in_float16: bool) -> None:
    block = Block(in_float16)
    session = Session(export_graph(graph_of(block)))
    for n_frames in (1, 20, 333):  # other lengths than the example's
        x = np.random.default_rng(n_frames).standard_normal((1, 8, n_frames)).astype(np.float32)
        expected = block(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(session.run(x=x)[0], expected, rtol=0, atol=1e-5)


def test_weights_that_float16_holds_are_stored_so() -> None:
    """Only the convolution's 384 numbers are many enough; the others are stored as they are."""
    short, long = (export_graph(graph_of(Block(in_float16))) for in_float16 in (True, False))
    stored = {one.name: one.data_type for one in onnx.load_from_string(short).graph.initializer}
    assert stored["conv.weight_float16"] == onnx.TensorProto.FLOAT16
    assert stored["norm.weight"] == onnx.TensorProto.FLOAT
    assert len(long) - len(short) == pytest.approx(2 * 384, abs=200)


def test_fixed_operators_and_reproducible_bytes() -> None:
    content = export_graph(graph_of(Block(in_float16=True)))
    assert content == export_graph(graph_of(Block(in_float16=True)))
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]


class Changing(nn.Module):
    """Another result at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + 0.001 * self.calls


def test_a_difference_from_torch_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"the exported network differs from torch by \d\.\de-0\d in 'y'"):
        export_graph(graph_of(Changing()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    TranscriberNetwork(TranscriberConfig(**TINY_MODELS["transcriber"])).save_pretrained(
        tmp_path / "model", valid={"a": 1}
    )
    return tmp_path / "model"


def test_the_command_exports_folders_of_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: (folder / name).read_bytes() for name in [*FILES, "model.safetensors", "config.json"]}
    for name in FILES:
        (folder / name).unlink()
    settings = read_config(folder)
    del settings["sha256"]
    (folder / "config.json").write_text(json.dumps(settings))
    main([str(folder), str(folder)])
    assert capsys.readouterr().out.split() == 2 * [str(folder / name) for name in FILES]
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_published_model_is_exported_from_its_rounded_weights(folder: Path, tmp_path: Path) -> None:
    publish(folder, tmp_path / "published", licence="MIT")
    published, trained = (Transcriber.from_pretrained(one) for one in (tmp_path / "published", folder))
    voice = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    network = TranscriberNetwork.from_pretrained(tmp_path / "published")
    with torch.inference_mode():
        expected = network(torch.from_numpy(set_level(voice))[None]).pitch[0].softmax(-1).numpy()
    np.testing.assert_allclose(published.posteriors(voice)[3], expected, atol=1e-5)
    assert not np.array_equal(trained.posteriors(voice)[3], published.posteriors(voice)[3])


def test_folders_without_a_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"kind in .*config\.json is 'harmony', allowed is one of .*transcriber"):
        main([str(WEIGHTS / "harmony")])
    with pytest.raises(FileNotFoundError, match="no model in"):
        main([str(tmp_path)])


@pytest.mark.parametrize("name", ["transcriber", "transcriber_made", "transcriber_songs"])
def test_shipped_networks_are_those_of_the_shipped_weights(name: str) -> None:
    exported = TranscriberNetwork.from_pretrained(WEIGHTS / name).export()
    for file, content in exported.items():
        shipped = {one.name: one for one in onnx.load(WEIGHTS / name / file).graph.initializer}
        now = {one.name: one for one in onnx.load_from_string(content).graph.initializer}
        assert shipped.keys() == now.keys()
        for tensor, value in now.items():  # ranges of activations depend on the processor, in the last digits
            found, expected = (numpy_helper.to_array(one) for one in (shipped[tensor], value))
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1.0 if found.dtype.kind in "iu" else 1e-6)


def test_all_kinds_have_a_class() -> None:
    assert set(export.NETWORKS) == {"instrument", "separator", "synthesizer", "transcriber"}
