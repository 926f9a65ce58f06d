"""Folders of models that need no torch: digests, damage, and what a message says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from hf_model.config import ConfigError
from hf_model.music import fitted
from hf_model.music.chords import ChordModel
from hf_model.music.ensemble.rhythms import RhythmModel
from hf_model.piano.sampled import SampledPiano
from hf_model.synthesizer.partials import PartialTable
from hf_model.weights import WEIGHTS, WeightsError, read_config, read_model_file, read_tensors, write_tensors

LOADERS: dict[str, Callable[[Path], Any]] = {
    "piano": SampledPiano.load,
    "partials": PartialTable.load,
    "harmony": ChordModel.load,
    "rhythms": RhythmModel.load,
}


@pytest.fixture(params=LOADERS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Callable[[Path], Any]]:
    return Path(shutil.copytree(WEIGHTS / request.param, tmp_path / request.param)), LOADERS[request.param]


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def without_digest(folder: Path) -> None:
    settings = read_config(folder)
    del settings["weights_sha256"]
    (folder / "config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize("place", [0, 9, 3000, -1])
def test_changed_weights_are_refused(model: tuple[Path, Callable[[Path], Any]], place: int) -> None:
    folder, load = model
    flip(folder / "model.safetensors", place)
    message = r"model\.safetensors is damaged or belongs to another config\.json \(weights_sha256 differs\); copy"
    with pytest.raises(WeightsError, match=message):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0[1,2,3] ", b"\xff" * 100])
def test_damaged_weights_without_a_digest_are_refused(
    model: tuple[Path, Callable[[Path], Any]], content: bytes
) -> None:
    folder, load = model
    without_digest(folder)
    load(folder)  # as folders of earlier versions
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.safetensors is damaged \([^\n]+\); copy, download or train"):
        load(folder)


def test_transposed_tensors_are_written_in_order(tmp_path: Path) -> None:
    table = np.arange(6.0).reshape(2, 3)
    write_tensors(tmp_path, {"table": table.T}, {"kind": "test"})
    assert np.array_equal(read_tensors(tmp_path)["table"], table.T)


def test_weights_of_another_model_are_refused(model: tuple[Path, Callable[[Path], Any]]) -> None:
    folder, load = model
    write_tensors(folder, {"unknown": np.zeros(3)}, read_config(folder))
    with pytest.raises(WeightsError, match=r"model\.safetensors is damaged"):
        load(folder)


def test_missing_weights_are_named(model: tuple[Path, Callable[[Path], Any]]) -> None:
    folder, load = model
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no model in .*: model\.safetensors is missing"):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"[1]", b"null", b"\xff\xfe", b'{"kind": '])
def test_damaged_config_is_refused(model: tuple[Path, Callable[[Path], Any]], content: bytes) -> None:
    folder, load = model
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json [^\n]*; copy, download or train the model again$"):
        load(folder)


def test_written_tensors_are_readable_for_others(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", {"x": np.arange(3)}, {"kind": "test"})
    assert (tmp_path / "a" / "model.safetensors").stat().st_mode == (tmp_path / "a" / "config.json").stat().st_mode
    np.testing.assert_array_equal(read_tensors(tmp_path / "a")["x"], [0, 1, 2])
    save_file({"x": np.arange(4)}, tmp_path / "a" / "model.safetensors")
    with pytest.raises(WeightsError, match="weights_sha256 differs"):
        read_tensors(tmp_path / "a")


def test_shipped_files_are_installed_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(WEIGHTS / "harmony", tmp_path / "weights" / "harmony"))
    monkeypatch.setattr("hf_model.weights.WEIGHTS", tmp_path / "weights")
    flip(folder / "model.safetensors", 100)
    with pytest.raises(WeightsError, match=r"; install the package again$"):
        ChordModel.load(folder)


def test_fitted_numbers_have_digests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(WEIGHTS / "music", tmp_path / "music"))
    monkeypatch.setattr(fitted, "FOLDER", folder)
    load = fitted.load_fitted.__wrapped__
    assert load("tempo") == fitted.load_fitted("tempo")
    path = folder / "tempo.json"
    path.write_text(path.read_text().replace("4", "3", 1))
    with pytest.raises(WeightsError, match=r"tempo\.json is damaged or belongs .* \(sha256\.tempo\.json differs\)"):
        load("tempo")
    fitted.save_fitted("tempo", {"median_bpm": 88.0}, folder)
    assert load("tempo") == {"median_bpm": 88.0}
    assert read_model_file(folder, "key.json") == (WEIGHTS / "music" / "key.json").read_bytes()
    (folder / "config.json").write_text("{}")  # as in earlier versions
    path.write_text("{")
    with pytest.raises(WeightsError, match=r"tempo\.json is damaged"):
        load("tempo")
