"""Networks in ONNX Runtime: results, several threads, and files that are damaged, missing or of another model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hf_model.config import ConfigError
from hf_model.onnx.export import Graph, export_graph, write_graphs
from hf_model.onnx.session import Session, load_session
from hf_model.parallel.threads import in_threads
from hf_model.weights import WeightsError, read_config


class SumAndProduct(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a + b, a * b


@pytest.fixture(scope="module")
def content() -> bytes:
    inputs = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, 4.0])}
    return export_graph(Graph(SumAndProduct(), inputs, ["sum", "product"], {name: {0: "n"} for name in inputs}))


@pytest.fixture
def folder(content: bytes, tmp_path: Path) -> Path:
    write_graphs(tmp_path, {"kind": "test"}, {"model.onnx": content, "other.onnx": content})
    return tmp_path


def test_outputs_in_their_order(content: bytes) -> None:
    session = Session(content)
    assert (session.inputs, session.outputs) == (("a", "b"), ("sum", "product"))
    total, product = session.run(b=np.array([5, 6, 7], np.float32), a=np.array([1, 2, 3], np.float32))
    assert total.tolist() == [6, 8, 10]
    assert product.tolist() == [5, 12, 21]


def test_threads_share_a_session(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    session = Session(content)
    arrays = [np.full(1000, k, dtype=np.float32) for k in range(200)]
    sums = [found[0] for found in in_threads(partial(session.run, a=one, b=one) for one in arrays)]
    assert [set(total.tolist()) for total in sums] == [{2.0 * k} for k in range(200)]


@pytest.mark.parametrize("name", ["model.onnx", "other.onnx"])
def test_files_of_a_folder_are_loaded(folder: Path, name: str) -> None:
    total, _ = load_session(folder, name).run(a=np.ones(1, np.float32), b=np.ones(1, np.float32))
    assert total.tolist() == [2.0]


def test_any_changed_byte_is_refused(folder: Path) -> None:
    path = folder / "model.onnx"
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(WeightsError, match=r"model\.onnx is damaged .* \(sha256\.model\.onnx differs\); copy"):
            load_session(folder)


@pytest.mark.parametrize("content", [b"", b"no network", b"\xff" * 200])
def test_files_that_are_no_network_are_refused(folder: Path, content: bytes) -> None:
    write_graphs(folder, {"kind": "test"}, {"model.onnx": content})
    with pytest.raises(WeightsError, match=r"model\.onnx is damaged \(.+\); copy, download or train") as caught:
        load_session(folder)
    assert "\n" not in str(caught.value)


def test_a_network_without_a_digest_is_refused(folder: Path) -> None:
    settings = read_config(folder)
    del settings["sha256"]["other.onnx"]
    (folder / "config.json").write_text(json.dumps(settings))
    load_session(folder)
    with pytest.raises(WeightsError, match=r"other\.onnx .*config\.json has no digest .*sha256\.other\.onnx"):
        load_session(folder, "other.onnx")


def test_a_folder_that_was_not_exported_says_how(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(ConfigError, match=r"model\.onnx is missing; `python -m hf_model\.onnx\.export .*` makes it"):
        load_session(folder)
    with pytest.raises(FileNotFoundError, match=r"no model in .*: config\.json is missing"):
        load_session(folder / "nowhere")


PROGRAM = """
import sys
import hf_model.onnx.session, hf_model.onnx.model
assert not {"onnxruntime", "onnx", "torch"} & set(sys.modules), "loaded on first use"
hf_model.onnx.session.load_session(sys.argv[1])
assert not {"onnx", "torch"} & set(sys.modules)
"""


def test_only_onnxruntime_is_imported_and_only_when_needed(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env={**os.environ, "PYTHONWARNINGS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_nothing_is_written_or_sent_about_the_user(folder: Path, tmp_path: Path) -> None:
    """ONNX Runtime's telemetry: a device number and events in the cache folder, and a thread that sends them."""
    home = tmp_path / "home"
    home.mkdir()
    program = (
        "import os, sys\nfrom hf_model.onnx.session import load_session\nload_session(sys.argv[1])\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])\n"
    )
    left_out = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    variables = {name: value for name, value in os.environ.items() if name not in left_out} | {"HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], env=variables, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("1\n", 0)
    assert list(home.rglob("*")) == []
