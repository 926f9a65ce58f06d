"""What the pipeline tells MLflow: one run a training, with its evaluation in the same run."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages import _run
from stages.tracking.client import EXPERIMENT, Tracker, allowed, connect, hushed

RUNS = Path("data/scratch/runs")
"""Which run belongs to which training, and to which weights; ignored by git and DVC."""

SERVING = ("mlflow", "numpy", "torch", "scipy", "soundfile", "soxr", "safetensors", "pandas", "av", "pretty_midi")
"""Packages that a served model needs, at the versions that are installed."""


def begin(kind: str, key: str, settings: Mapping[str, Any], resumed: bool) -> Tracker:
    """Open the run of one training, or the one that an interrupted training left.

    Steps after the last checkpoint are done again, and come out as before: their points are not doubled.

    Parameters
    ----------
    kind : str
        The model.
    key : str
        Names settings, data and code of the training.
    settings : mapping
        All settings of the training, defaults too.
    resumed : bool
        Whether there is a checkpoint to go on from.
    """
    tracker = Tracker(connect())
    note = RUNS / f"{kind}-{key}.json"
    with tracker.step("opening a run") as on:
        if on:
            known = _unfinished(tracker.client, note, resumed)
            tracker.run_id = tracker.version = known or _new_run(tracker.client, kind, settings)
            if known:
                tracker.client.update_run(known, "RUNNING")
                tracker.reached = _reached(tracker.client, known)
            _run.write_json(note, {"run_id": tracker.run_id})
    return tracker


def _unfinished(client: Any, note: Path, resumed: bool) -> str:
    """Find the run that an interrupted training left: with a checkpoint, or killed before its first one."""
    if not note.is_file():
        return ""
    known = str(json.loads(note.read_text(encoding="utf-8"))["run_id"])
    found = next((run for run in _runs(client) if run.info.run_id == known), None)
    return known if found and (resumed or found.info.status != "FINISHED") else ""


def _reached(client: Any, run_id: str) -> dict[str, int]:
    """Give the last step of each curve."""
    names = client.get_run(run_id).data.metrics
    return {name: max(point.step for point in client.get_metric_history(run_id, name)) for name in names}


def end(tracker: Tracker, kind: str, folder: Path, figures: Mapping[str, float]) -> None:
    """Keep the figures and the model of a training, and remember which weights came of which run."""
    tracker.log_figures({f"best/{name}": value for name, value in figures.items()})
    tracker.log_artifact(folder, "model_folder")
    _log_model(tracker, kind, folder)
    with tracker.step("noting the run") as on:
        if on:
            _run.write_json(_note(folder), {"run_id": tracker.run_id})
    tracker.finish()


def of_weights(kind: str, folder: Path) -> Tracker:
    """Find the run whose training made these weights; a run of its own when they come from elsewhere."""
    tracker = Tracker(connect())
    with tracker.step("finding the run") as on:
        if on and _note(folder).is_file():
            known = json.loads(_note(folder).read_text(encoding="utf-8"))["run_id"]
            if any(run.info.run_id == known for run in _runs(tracker.client)):
                tracker.run_id = known
                return tracker
        if on:
            made_with = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            tracker.run_id = _new_run(tracker.client, kind, {"model": made_with.get("model", {})})
            tracker.tag({"trained": "elsewhere"})
            _log_model(tracker, kind, folder)
            _run.write_json(_note(folder), {"run_id": tracker.run_id})
    return tracker


def log_evaluation(
    report: Mapping[str, Any], reports: Path, examples: Sequence[tuple[str, Path]], models: Path = Path("data/model")
) -> None:
    """Add an evaluation to the runs of the models that it measured.

    Parameters
    ----------
    report : mapping
        As written to metrics.json.
    reports : Path
        The folder of reports: pictures, page and table are kept with the run.
    examples : sequence of (str, Path)
        Sounds to keep: a folder within the run, and a file.
    models : Path
        The folder of models.
    """
    for kind, wanted in (("transcriber", "notes/"), ("synthesizer", "sound/"), ("direct", "sound/")):
        if not (models / kind / "model.safetensors").is_file():
            continue
        tracker = of_weights(kind, models / kind)
        if tracker.client is None:
            return
        figures = {name: value for name, value in flat(report).items() if name.startswith((wanted, "heard/", "same"))}
        tracker.log_figures(figures)
        tracker.tag(_origin())
        for path in (reports / "plots", reports / "index.html", reports / "recordings.csv"):
            tracker.log_artifact(path, "reports/plots" if path.is_dir() else "reports")
        for folder, path in examples:
            tracker.log_artifact(path, folder)
        tracker.finish()


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings into one, names joined by slashes."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        leaves |= flat(value, f"{prefix}{name}/") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return leaves


def _runs(client: Any) -> Any:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client.search_runs([experiment.experiment_id], max_results=10_000)


def _new_run(client: Any, kind: str, training: Mapping[str, Any]) -> str:
    """Open a run with its parameters: the training's own, and what params.yaml says of the other stages."""
    from mlflow.entities import Param

    experiment = client.get_experiment_by_name(EXPERIMENT)
    run = client.create_run(experiment.experiment_id, run_name=kind, tags={"model": kind, **_origin()})
    settings = {**_run.everything(), "train": training}
    params = [Param(allowed(name), str(value)) for name, value in flat(settings).items()]
    for start in range(0, len(params), 100):
        client.log_batch(run.info.run_id, params=params[start : start + 100])
    return str(run.info.run_id)


def _origin() -> dict[str, str]:
    """Name the state of the code and of the pipeline."""
    lock = Path("dvc.lock")
    found = {"dvc.lock": hashlib.sha256(lock.read_bytes()).hexdigest()} if lock.is_file() else {}
    if os.environ.get("HUMMINGFACE_SWEEP"):
        found["sweep"] = os.environ["HUMMINGFACE_SWEEP"]
    for name, command in (
        ("git.commit", ["git", "rev-parse", "HEAD"]),
        ("git.dirty", ["git", "status", "--porcelain"]),
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        found[name] = done.stdout.strip() if name == "git.commit" else str(bool(done.stdout.strip())).lower()
    return found


def _log_model(tracker: Tracker, kind: str, folder: Path) -> None:
    """Keep the model so that ``mlflow.pyfunc.load_model`` serves it: audio in, notes and audio out."""
    with tracker.step("keeping the model") as on:
        if not on:
            return
        import mlflow

        parts = {kind: str(folder)}
        transcriber = folder.with_name("transcriber")
        if kind == "synthesizer" and transcriber.is_dir():
            parts["transcriber"] = str(transcriber)  # a piano alone hears nothing
        with hushed(), mlflow.start_run(run_id=tracker.run_id, log_system_metrics=False):
            mlflow.pyfunc.log_model(
                name=kind,
                python_model=str(Path(__file__).with_name("served_model.py")),
                artifacts=parts,
                code_paths=["hf_model"],
                pip_requirements=[f"{name}=={version(name)}" for name in SERVING],
            )


def _note(folder: Path) -> Path:
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return RUNS / f"{weights}.json"
