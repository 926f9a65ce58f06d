"""Runs of the pipeline in MLflow: one for each training, with its evaluation in the same run."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hf_model.config import ConfigError
from hf_model.files import file_sha256, read_json, remove_leftovers, write_json
from stages import _run
from stages.tracking.client import EXPERIMENT, Tracker, connect, quiet_mlflow, valid_name

RUNS = Path("data/scratch/runs")
"""Run ids by training and by weights; ignored by git and DVC."""

SERVING = ("mlflow", "numpy", "torch", "scipy", "soundfile", "soxr", "safetensors", "pandas", "av", "pretty_midi")
"""Packages that a served model needs, at the versions that are installed."""


def start_run(kind: str, key: str, settings: Mapping[str, Any], resumed: bool) -> Tracker:
    """Start the run of a training, or continue the run of an interrupted one.

    Steps after the last checkpoint are repeated with the same result: their points are not logged again.

    Parameters
    ----------
    kind : str
        The model.
    key : str
        Hash of settings, data and code of the training.
    settings : mapping
        All settings of the training, including defaults.
    resumed : bool
        Whether the training resumes from a checkpoint.
    """
    tracker = Tracker(connect())
    remove_leftovers(RUNS)
    run_file = RUNS / f"{kind}-{key}.json"
    with tracker.attempt("opening a run") as active:
        if active:
            known = _find_unfinished_run(tracker.client, run_file, resumed)
            tracker.run_id = tracker.version = known or _new_run(tracker.client, kind, settings)
            if known:
                tracker.client.update_run(known, "RUNNING")
                tracker.last_steps = _last_steps(tracker.client, known)
            write_json(run_file, {"run_id": tracker.run_id})
    return tracker


def _find_unfinished_run(client: Any, run_file: Path, resumed: bool) -> str:
    """Return the run of an interrupted training, with a checkpoint or killed before its first one, else ""."""
    if not run_file.is_file():
        return ""
    known = _read_run_id(run_file)
    found = next((run for run in _runs(client) if run.info.run_id == known), None)
    return known if found and (resumed or found.info.status != "FINISHED") else ""


def _last_steps(client: Any, run_id: str) -> dict[str, int]:
    """Return the last step of each metric."""
    names = client.get_run(run_id).data.metrics
    return {name: max(point.step for point in client.get_metric_history(run_id, name)) for name in names}


def end_run(tracker: Tracker, kind: str, folder: Path, figures: Mapping[str, float]) -> None:
    """Log the figures and the model of a training, and store the run id of the weights."""
    tracker.log_figures({f"best/{name}": value for name, value in figures.items()})
    tracker.log_artifact(folder, "model_folder")
    _log_model(tracker, kind, folder)
    with tracker.attempt("storing the run id") as active:
        if active:
            write_json(_run_file(folder), {"run_id": tracker.run_id})
    tracker.finish()


def find_run_of_weights(kind: str, folder: Path) -> Tracker:
    """Return the run of the training that made these weights, or a new run if it is unknown."""
    tracker = Tracker(connect())
    with tracker.attempt("finding the run") as active:
        if active and _run_file(folder).is_file():
            known = _read_run_id(_run_file(folder))
            if any(run.info.run_id == known for run in _runs(tracker.client)):
                tracker.run_id = known
                return tracker
        if active:
            config = read_json(folder / "config.json", "train the model again")
            tracker.run_id = _new_run(tracker.client, kind, {"model": config.get("model", {})})
            tracker.tag({"trained": "elsewhere"})
            _log_model(tracker, kind, folder)
            write_json(_run_file(folder), {"run_id": tracker.run_id})
    return tracker


def log_evaluation(
    report: Mapping[str, Any], reports: Path, examples: Sequence[tuple[str, Path]], models: Path = Path("data/model")
) -> None:
    """Add an evaluation to the runs of the evaluated models.

    Parameters
    ----------
    report : mapping
        Content of metrics.json.
    reports : Path
        The folder of reports: plots, page and table are logged.
    examples : sequence of (str, Path)
        Audio files to log, each with its folder in the run.
    models : Path
        The folder of models.
    """
    for kind, wanted in (("transcriber", "notes/"), ("synthesizer", "sound/"), ("direct", "sound/")):
        if not (models / kind / "model.safetensors").is_file():
            continue
        tracker = find_run_of_weights(kind, models / kind)
        if tracker.client is None:
            return
        figures = {
            name: value for name, value in flatten(report).items() if name.startswith((wanted, "unlabelled/", "same"))
        }
        tracker.log_figures(figures)
        tracker.tag(_code_tags())
        for path in (reports / "plots", reports / "index.html", reports / "recordings.csv"):
            tracker.log_artifact(path, "reports/plots" if path.is_dir() else "reports")
        for folder, path in examples:
            tracker.log_artifact(path, folder)
        tracker.finish()


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings, with keys joined by slashes."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        leaves |= flatten(value, f"{prefix}{name}/") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return leaves


def _runs(client: Any) -> Any:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client.search_runs([experiment.experiment_id], max_results=10_000)


def _new_run(client: Any, kind: str, training: Mapping[str, Any]) -> str:
    """Create a run with its parameters: those of the training, and those of the other stages in params.yaml."""
    from mlflow.entities import Param

    experiment = client.get_experiment_by_name(EXPERIMENT)
    run = client.create_run(experiment.experiment_id, run_name=kind, tags={"model": kind, **_code_tags()})
    settings = {**_run.all_settings(), "train": training}
    params = [Param(valid_name(name), str(value)) for name, value in flatten(settings).items()]
    for start in range(0, len(params), 100):
        client.log_batch(run.info.run_id, params=params[start : start + 100])
    return str(run.info.run_id)


def _code_tags() -> dict[str, str]:
    """Return tags for the version of the code and of the pipeline."""
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
    """Log the model for ``mlflow.pyfunc.load_model``: audio in, notes and audio out."""
    with tracker.attempt("logging the model") as active:
        if not active:
            return
        import mlflow

        parts = {kind: str(folder)}
        transcriber = folder.with_name("transcriber")
        if kind == "synthesizer" and transcriber.is_dir():
            parts["transcriber"] = str(transcriber)  # the piano alone cannot transcribe
        with quiet_mlflow(), mlflow.start_run(run_id=tracker.run_id, log_system_metrics=False):
            mlflow.pyfunc.log_model(
                name=kind,
                python_model=str(Path(__file__).with_name("served_model.py")),
                artifacts=parts,
                code_paths=["hf_model"],
                pip_requirements=[f"{name}=={version(name)}" for name in SERVING],
            )


def _run_file(folder: Path) -> Path:
    return RUNS / f"{file_sha256(folder / 'model.safetensors')}.json"


def _read_run_id(path: Path) -> str:
    """Read the id of a run; empty if the file is damaged: the run is then opened anew."""
    try:
        return str(read_json(path, "").get("run_id", ""))
    except ConfigError:
        return ""
