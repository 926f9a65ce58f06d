"""Model folders: saving, loading, and errors for invalid folders."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hf_model.config import ConfigError, check_range
from hf_model.pretrained import Pretrained, main
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import WEIGHTS, WeightsError, read_config


@dataclass(frozen=True)
class LineConfig:
    width: int = 3
    bias: bool = True

    def __post_init__(self) -> None:
        check_range("width", self.width, 1, 64)


class Line(Pretrained):
    config_class: ClassVar[type[LineConfig]] = LineConfig
    kind: ClassVar[str] = "line"

    def __init__(self, config: LineConfig) -> None:
        super().__init__(config)
        self.layer = nn.Linear(config.width, 1, bias=config.bias)
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("scale", torch.tensor([2.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.layer(x)) * self.scale


class Other(Line):
    kind: ClassVar[str] = "other"


@pytest.fixture
def line():
    torch.manual_seed(0)
    return Line(LineConfig(width=5, bias=False))


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(read_config(folder) | changes), encoding="utf-8")


def sha256(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def remove_digest(folder):
    """Make a model folder like those of earlier versions."""
    settings = read_config(folder)
    del settings["weights_sha256"]
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")


def test_saved_model_is_loaded(line, tmp_path):
    line.save_pretrained(tmp_path / "new" / "model")
    loaded = Line.from_pretrained(tmp_path / "new" / "model")
    assert loaded.config == line.config
    assert not loaded.training, "in evaluation mode"
    x = torch.randn(4, 5)
    assert torch.equal(loaded(x), line.eval()(x))
    assert torch.equal(loaded.scale, torch.tensor([2.0]))


def test_config_json_has_extra_values(line, tmp_path):
    line.save_pretrained(tmp_path, data=["made"], decoder={"threshold": 0.4})
    assert read_config(tmp_path) == {
        "kind": "line",
        "model": {"width": 5, "bias": False},
        "data": ["made"],
        "decoder": {"threshold": 0.4},
        "weights_sha256": sha256(tmp_path),
    }
    names = ["data", "decoder", "kind", "model", "weights_sha256"]
    assert list(read_config(tmp_path)) == names, "sorted, to compare versions"
    assert Line.from_pretrained(tmp_path).config == line.config


def test_saved_files_are_reproducible(line, tmp_path):
    line.save_pretrained(tmp_path / "a")
    line.save_pretrained(tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_channels_last_weights_can_be_saved(tmp_path):
    conv = Line(LineConfig())
    conv.layer = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[assignment]
    conv.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size > 4 * 3 * 9 * 4


@pytest.mark.parametrize("name", ["missing", "."])
def test_folder_without_a_model_is_refused(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"no model in .*: (config\.json is missing|there is no such folder)"):
        Line.from_pretrained(tmp_path / name)


def test_another_kind_of_model_is_refused(line, tmp_path):
    line.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"holds a 'line' model, expected 'other'"):
        Other.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"width": 5, "depth": 2}, r"unknown setting model\.depth; known: bias, width"),
        ({"width": "5"}, r"model\.width is '5', expected int"),
        ({"width": 0}, r"model\.width is 0, allowed is 1 to 64"),
    ],
)
def test_settings_of_another_version_are_refused(line, tmp_path, model, message):
    line.save_pretrained(tmp_path)
    change_config(tmp_path, model=model)
    with pytest.raises(ConfigError, match=message):
        Line.from_pretrained(tmp_path)


def test_weights_must_match_the_settings(line, tmp_path):
    line.save_pretrained(tmp_path)
    change_config(tmp_path, model={"width": 6, "bias": False})
    with pytest.raises(WeightsError, match="size mismatch"):
        Line.from_pretrained(tmp_path)


def test_published_model_has_float16_weights_and_its_licence(tmp_path):
    torch.manual_seed(0)
    line = Line(LineConfig(width=64))
    line.save_pretrained(tmp_path / "trained", valid={"loss": 1.0})
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "README.md").write_text("the card", encoding="utf-8")
    main([str(tmp_path / "trained"), str(tmp_path / "published"), "--trained-on", "synthetic voices"])
    facts = {"trained_on": "synthetic voices", "licence": "MIT", "weights_sha256": sha256(tmp_path / "published")}
    assert read_config(tmp_path / "published") == {**read_config(tmp_path / "trained"), **facts}
    assert (tmp_path / "published" / "README.md").read_text(encoding="utf-8") == "the card"
    loaded = Line.from_pretrained(tmp_path / "published")
    assert loaded.layer.weight.dtype == torch.float32
    assert torch.equal(loaded.layer.weight, line.layer.weight.half().float())
    size, published_size = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("trained", "published"))
    assert published_size < size - 64 * 1.9


# ------------------------------------------------------------------------------------------------------------- damage


def test_digest_is_not_a_fact_and_follows_the_weights(line, tmp_path):
    line.save_pretrained(tmp_path / "a", data=["made"])
    loaded = Line.from_pretrained(tmp_path / "a")
    assert loaded.facts == {"data": ["made"]}
    with torch.no_grad():
        loaded.layer.weight += 1
    loaded.save_pretrained(tmp_path / "b", weights_sha256="0")
    assert read_config(tmp_path / "b")["weights_sha256"] == sha256(tmp_path / "b") != sha256(tmp_path / "a")
    assert torch.equal(Line.from_pretrained(tmp_path / "b").layer.weight, loaded.layer.weight)


def test_folders_without_a_digest_are_loaded(line, tmp_path):
    line.save_pretrained(tmp_path)
    remove_digest(tmp_path)
    assert torch.equal(Line.from_pretrained(tmp_path).layer.weight, line.layer.weight)


def test_decoder_settings_of_another_type_name_the_file(tmp_path):
    folder = shutil.copytree(WEIGHTS / "transcriber", tmp_path / "model")
    change_config(folder, decoder={"min_duration": "long"})
    with pytest.raises(ConfigError, match=r"config\.json: decoder\.min_duration is 'long', expected float.*; copy"):
        Transcriber.from_pretrained(folder)


def test_failed_write_keeps_the_older_weights(line, tmp_path, monkeypatch):
    line.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space"):
        line.save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["transcriber", "transcriber_made", "transcriber_songs", "synthesizer"])
def test_shipped_weights_have_a_digest(name):
    assert read_config(WEIGHTS / name)["weights_sha256"] == sha256(WEIGHTS / name)


def test_any_changed_byte_of_the_weights_is_refused(line, tmp_path):
    line.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(WeightsError, match=r"model\.safetensors is damaged .*; copy, download or train"):
            Line.from_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="weights_sha256 differs"):
        main([str(tmp_path), str(tmp_path / "published"), "--trained-on", "synthetic voices"])
    assert not (tmp_path / "published").exists()


@pytest.mark.parametrize("size", [0, 4, 8, 60, -1])
def test_truncated_weights_without_a_digest_are_refused(line, tmp_path, size):
    line.save_pretrained(tmp_path)
    remove_digest(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(WeightsError, match=r"model\.safetensors is damaged \(.+\); copy, download or train") as caught:
        Line.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


def test_folder_without_weights_is_refused(line, tmp_path):
    line.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no model in .*: model\.safetensors is missing"):
        Line.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b'{"kind": "line", "model": {', "is not valid JSON"),
        (b"\xff\xfe{}", "is not valid JSON"),
        (b"[]", "must hold a JSON object, got list"),
        (b"null", "must hold a JSON object, got NoneType"),
        (b'{"kind": "line"}', "has no settings of the model"),
    ],
)
def test_damaged_config_is_refused(line, tmp_path, content, message):
    line.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"config\.json {message}.*; copy, download or train") as caught:
        Line.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_name_the_file(line, tmp_path):
    line.save_pretrained(tmp_path)
    change_config(tmp_path, model={"width": 6, "bias": False})
    with pytest.raises(WeightsError, match=r"^[^\n]*model\.safetensors does not match config\.json: [^\n]*$"):
        Line.from_pretrained(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_weights_are_refused(line, tmp_path, value):
    line.save_pretrained(tmp_path / "old")
    with torch.no_grad():
        line.layer.weight[0, 2] = value
    message = r"model\.safetensors: the tensor layer\.weight has NaN or infinite values"
    with pytest.raises(WeightsError, match=message):
        line.save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    remove_digest(tmp_path / "old")
    save_file(line.state_dict(), tmp_path / "old" / "model.safetensors")
    with pytest.raises(WeightsError, match=message):
        Line.from_pretrained(tmp_path / "old")


def test_weights_too_large_for_float16_are_not_published(line, tmp_path):
    with torch.no_grad():
        line.layer.weight[0, 0] = 1e6
    line.save_pretrained(tmp_path / "trained")
    assert load_file(tmp_path / "trained" / "model.safetensors")["layer.weight"][0, 0] == 1e6
    with pytest.raises(WeightsError, match=r"published.model\.safetensors: the tensor layer\.weight"):
        main([str(tmp_path / "trained"), str(tmp_path / "published"), "--trained-on", "synthetic voices"])
