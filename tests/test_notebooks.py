"""The notebooks run from start to end, with settings for a processor; in the repository they have no outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"

SMALL = {
    "convert_your_voice.ipynb": {},
    "train_on_your_recordings.ipynb": {
        "N_MADE": "3",
        "SECONDS": "2.0",
        "STEPS": "2",
        "BATCH_SIZE": "2",
        "CROP_FRAMES": "100",
    },
}
"""Settings of each notebook that take seconds."""


def change(notebook: nbformat.NotebookNode, settings: Mapping[str, str]) -> None:
    """Change assignments to settings; each must occur once."""
    for name, value in settings.items():
        changed = 0
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.source, count = re.subn(
                    rf"^{name} = [^#\n]*", f"{name} = {value}", cell.source, flags=re.MULTILINE
                )
                changed += count
        assert changed == 1, name


def shown(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """List what the cells show, as pairs of type and content; what is printed has the type "text"."""
    found = []
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if output.output_type == "stream":
            found.append(("text", output.text))
        else:
            found += [(kind, str(content)) for kind, content in output.get("data", {}).items()]
    return found


def test_every_notebook_is_tested() -> None:
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_notebooks_are_stored_without_outputs(name: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count]
    assert f"blob/HEAD/notebooks/{name})" in notebook.cells[0].source, "the badge opens this notebook"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a notebook in an empty folder, as Jupyter does."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # else figures are not shown

    def execute(name: str) -> list[tuple[str, str]]:
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        change(notebook, SMALL[name])
        (tmp_path / "work").mkdir()
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path / "work")}})
        client.execute()
        return shown(notebook)

    return execute


@pytest.mark.slow
def test_a_voice_is_converted(run, tmp_path: Path) -> None:
    outputs = run("convert_your_voice.ipynb")
    kinds = [kind for kind, _ in outputs]
    players = [content for kind, content in outputs if kind == "text/html" and "<audio" in content]
    assert len(players) == 2
    assert kinds.count("image/png") == 2, "picture and curve"
    assert kinds.count("image/svg+xml") == 1
    names = {path.name for path in (tmp_path / "work" / "out").iterdir()}
    assert {"piano.wav", "piano.mid", "piano.bend.mid", "piano.ustx", "score.musicxml"} <= names
    assert (tmp_path / "work" / "piano.zip").stat().st_size > 100_000


@pytest.mark.slow
def test_a_model_is_trained(run, tmp_path: Path) -> None:
    text = "".join(content for kind, content in run("train_on_your_recordings.ipynb") if kind == "text")
    assert "3 recordings" in text
    assert re.search(r"before \{'con': .*\nafter \{'con': ", text)
    model = tmp_path / "work" / "training" / "model"
    assert {"config.json", "model.safetensors", "model.onnx"} <= {path.name for path in model.iterdir()}
