"""The notebooks run from start to end, with settings for a processor; in the repository they have no outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from hf_model.evaluation.report import write_recordings

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"

SMALL = {
    "convert_your_voice.ipynb": {},
    "figures.ipynb": {"REPORTS": '"reports"', "RESAMPLES": "50"},
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
        (tmp_path / "work").mkdir(exist_ok=True)
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


def test_figures_are_drawn_from_the_tables(run, tmp_path: Path) -> None:
    reports = tmp_path / "work" / "reports"
    reports.mkdir(parents=True)
    rows = [
        {
            "corpus": corpus,
            "pair_id": name,
            "system": system,
            "con": score,
            "conp": score,
            "conpoff": score,
            "onset_bias": 0.0,
        }
        for corpus in ("made", "ssvd")
        for system, score, names in (("hummingface", 0.9, "abc"), ("pyin", 0.6, "ab"))
        for name in names
    ]
    write_recordings(reports / "recordings.parquet", rows)
    (reports / "errors.csv").write_text("corpus,kind,errors,per_100_notes\nmade,right,9,90.0\nmade,missed,1,10.0\n")
    (reports / "reliability.csv").write_text("corpus,confidence,share_correct,notes\nmade,0.5,0.4,9\nmade,0.9,0.95,9\n")
    outputs = run("figures.ipynb")
    assert [kind for kind, _ in outputs].count("image/png") == 3
    (scores,) = (content for kind, content in outputs if kind == "text/plain" and "recordings" in content)
    assert re.search(r"ssvd\s+pyin\s+2\s+0\.6\s+0\.6\s+0\.6", scores)
    assert {path.name for path in (tmp_path / "work").glob("*.pdf")} == {"scores.pdf", "pairs.pdf", "errors.pdf"}
