import json
from pathlib import Path

import pytest

import hf_model
from hf_model.cli.commands.info import installed
from hf_model.cli.main import main
from hf_model.weights import WEIGHTS

Capture = pytest.CaptureFixture[str]


def test_info_has_versions_weights_and_licences(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "transcriber"
    folder.mkdir()
    (folder / "config.json").write_text('{"licence": "MIT", "trained_on": "made voices"}')
    (folder / "model.safetensors").write_bytes(bytes(1_500_000))
    monkeypatch.setattr("hf_model.cli.commands.info.WEIGHTS", tmp_path)
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert f"HummingFace {hf_model.__version__} (MIT licence)" in text
    assert "torch 2." in text
    assert f"transcriber (1.5 MB) in {folder}" in text
    assert "licence: MIT" in text
    assert "trained on: made voices" in text
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"][0]["folder"] == str(folder)


def test_info_uses_the_weights_of_the_program() -> None:
    names = {path.name for path in WEIGHTS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {item["name"] for item in installed()["weights"]} == names
    assert installed()["folder"] == str(Path(hf_model.__file__).parent)


def test_info_finds_nested_descriptions_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"a": '{"fitted_to": {"licence": "CC0"}}', "b": '{"trained_on": ["x", "y"]}', "c": "[]"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    (tmp_path / "c" / "README.md").touch()
    monkeypatch.setattr("hf_model.cli.commands.info.WEIGHTS", tmp_path)
    a, b, c = installed()["weights"]
    assert (a["licence"], a["trained_on"], a["card"]) == ("CC0", "", "")
    assert b["trained_on"] == "x, y"
    assert c["card"] == str(tmp_path / "c" / "README.md")


@pytest.mark.parametrize("content", ["[]", "null", "{", "\udcff"])
def test_info_names_a_damaged_description(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text(content, errors="surrogateescape")
    monkeypatch.setattr("hf_model.cli.commands.info.WEIGHTS", tmp_path)
    assert main(["info"]) == 0
    assert f"problem: {tmp_path / 'a' / 'config.json'} " in capsys.readouterr().out
