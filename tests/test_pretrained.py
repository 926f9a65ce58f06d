"""Model folders: saving, loading, and errors for invalid folders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from hf_model.config import ConfigError, check_range
from hf_model.pretrained import Pretrained, main, read_config


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
    path.write_text(json.dumps(json.loads(path.read_text()) | changes), encoding="utf-8")


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
    }
    assert list(read_config(tmp_path)) == ["data", "decoder", "kind", "model"], "sorted, to compare versions"
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
    with pytest.raises(RuntimeError, match="size mismatch"):
        Line.from_pretrained(tmp_path)


def test_published_model_has_float16_weights_and_its_licence(tmp_path):
    torch.manual_seed(0)
    line = Line(LineConfig(width=64))
    line.save_pretrained(tmp_path / "trained", valid={"loss": 1.0})
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "README.md").write_text("the card", encoding="utf-8")
    main([str(tmp_path / "trained"), str(tmp_path / "published"), "--trained-on", "synthetic voices"])
    facts = {"trained_on": "synthetic voices", "licence": "MIT"}
    assert read_config(tmp_path / "published") == {**read_config(tmp_path / "trained"), **facts}
    assert (tmp_path / "published" / "README.md").read_text(encoding="utf-8") == "the card"
    loaded = Line.from_pretrained(tmp_path / "published")
    assert loaded.layer.weight.dtype == torch.float32
    assert torch.equal(loaded.layer.weight, line.layer.weight.half().float())
    size, published_size = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("trained", "published"))
    assert published_size < size - 64 * 1.9
