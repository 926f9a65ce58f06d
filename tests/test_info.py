import json
from pathlib import Path

import pytest

import hf_model
from hf_model.cli import main
from hf_model.info import SHIPPED, installed
from hf_model.pretrained import WEIGHTS

Capture = pytest.CaptureFixture[str]


def test_info_tells_versions_weights_and_licences(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "transcriber"
    folder.mkdir()
    (folder / "config.json").write_text('{"licence": "MIT", "trained_on": "made voices"}')
    (folder / "model.safetensors").write_bytes(bytes(1_500_000))
    monkeypatch.setattr("hf_model.info.SHIPPED", tmp_path)
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert f"HummingFace {hf_model.__version__} (MIT licence)" in text
    assert "torch 2." in text
    assert "1.5 MB  licence: MIT; from: made voices" in text
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"][0]["folder"] == str(folder)


def test_info_looks_where_the_program_does() -> None:
    assert SHIPPED == WEIGHTS
    assert installed()["folder"] == str(Path(hf_model.__file__).parent)
