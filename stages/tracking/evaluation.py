"""What an evaluation adds to the runs of the evaluated models: the same names of metrics for all, pictures, sounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from hf_model.evaluation.page.sounds import Example, write_listening_page
from stages.tracking.datasets import dataset_inputs
from stages.tracking.run_labels import code_tags
from stages.tracking.runs import find_run_of_weights

SOUNDS = {"synthesizer": "neural", "direct": "direct"}
"""For each model that makes sound: its name among the sounds of the report."""

SOUND_FIGURES = {
    "log_mel_distance": "log_mel_db",
    "spectral_convergence": "spectral_convergence",
    "retranscribed_conp": "retranscribed_conp",
    "piano_share": "piano_share",
    "same_length": "same_length",
}
NOTE_FIGURES = ("con", "conp", "conpoff")
ALL = "all"
"""In place of a corpus: the mean over the corpora."""


def log_evaluation(
    report: Mapping[str, Any], reports: Path, examples: Sequence[Example], models: Path = Path("data/model")
) -> None:
    """Add an evaluation to the runs of the evaluated models.

    Parameters
    ----------
    report : mapping
        Content of metrics.json.
    reports : Path
        The folder of reports: plots, page and table are logged.
    examples : sequence of Example
        Recordings to listen to.
    models : Path
        The folder of models.
    """
    for kind in ("transcriber", "synthesizer", "direct"):
        if not (models / kind / "model.safetensors").is_file():
            continue
        tracker = find_run_of_weights(kind, models / kind)
        if tracker.client is None:
            return
        tracker.log_figures(named_metrics(kind, report))
        tracker.tag(code_tags())
        tracker.log_inputs(dataset_inputs(kind, {"test": "evaluation"}))
        for path in (reports / "plots", reports / "index.html", reports / "recordings.csv"):
            tracker.log_artifact(path, "reports/plots" if path.is_dir() else "reports")
        for example in examples:
            for label, path in example.sounds.items():
                tracker.log_artifact(path, f"examples/{example.name}/{label}")
        with TemporaryDirectory() as scratch:
            page = Path(scratch) / "listen.html"
            write_listening_page(page, examples)
            tracker.log_artifact(page)
        tracker.finish()


def named_metrics(kind: str, report: Mapping[str, Any]) -> dict[str, float]:
    """Name the figures of one model, so that all models and corpora can be ranked on the same metrics.

    Parameters
    ----------
    kind : str
        The model.
    report : mapping
        Content of metrics.json.

    Returns
    -------
    dict
        ``test/<corpus>/con``, ``conp`` and ``conpoff``: the notes that come out against the labels. Those of a model
        that makes sound are transcribed from its audio. ``test/all/...`` is the mean over the corpora.
        ``sound/<corpus>/...`` only for models that make sound; ``baseline/<corpus>/<system>/...`` and
        ``unlabelled/<corpus>/...`` only for the transcriber.
    """
    if kind in SOUNDS:
        figures = _sound_metrics(SOUNDS[kind], report.get("sound", {}))
    else:
        figures = _note_metrics(report.get("notes", {}))
        for corpus, values in report.get("unlabelled", {}).items():
            figures |= {f"unlabelled/{corpus}/{name}": value for name, value in values.items()}
    for name in NOTE_FIGURES:
        values = [value for key, value in figures.items() if key.startswith("test/") and key.endswith(f"/{name}")]
        if values:
            figures[f"test/{ALL}/{name}"] = fmean(values)
    return figures


def _note_metrics(notes: Mapping[str, Any]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for corpus, systems in notes.items():
        for system, values in systems.items():
            if system == "hummingface":
                figures |= {f"test/{corpus}/{name}": value for name, value in values.items()}
            elif not system.startswith("ahead_of_"):
                chosen = {name: values[name] for name in NOTE_FIGURES if name in values}
                figures |= {f"baseline/{corpus}/{system}/{name}": value for name, value in chosen.items()}
    return figures


def _sound_metrics(sound: str, corpora: Mapping[str, Any]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for corpus, sounds in corpora.items():
        values = sounds.get(sound, {})
        for name, short in SOUND_FIGURES.items():
            if name in values:
                figures[f"sound/{corpus}/{short}"] = values[name]
        for name in NOTE_FIGURES:
            if f"labels_{name}" in values:
                figures[f"test/{corpus}/{name}"] = values[f"labels_{name}"]
    return figures
