"""Runs of the pipeline in MLflow: one for each training, with its evaluation in the same run."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hf_model.config import ConfigError
from hf_model.files import file_sha256, read_json, remove_leftovers, write_json
from stages import _run
from stages.tracking.client import EXPERIMENT, Tracker, connect, quiet_mlflow, valid_name
from stages.tracking.datasets import dataset_inputs
from stages.tracking.groups import PARENT_TAG, find_parent, summarize_group
from stages.tracking.run_labels import GROUP_VARIABLE, flatten, run_name, run_tags

SOURCES = {"instruments": "stages/instruments.py"}
"""The program of a training, where it is not ``stages/train.py``."""

SERVED = {"instruments": "served_identifier.py"}
"""The served model, where it is not ``served_model.py``."""

RUNS = Path("data/scratch/runs")
"""Run ids by training and by weights; ignored by git and DVC."""

SERVING = ("mlflow", "numpy", "onnxruntime", "safetensors", "soundfile", "soxr", "pandas", "av")
"""Packages that a served model needs, at the versions that are installed; the direct baseline also needs torch."""


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
            tracker.monitor_system(resumed=bool(known))
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


@contextmanager
def nested_run(
    group: str, kind: str, name: str, settings: Mapping[str, Any], tags: Mapping[str, str]
) -> Iterator[Tracker]:
    """Track a training as one of a group, below the group's run; the model is not registered.

    Parameters
    ----------
    group : str
        Name of the parent run: "folds".
    kind : str
        The model.
    name : str
        Of the run.
    settings : mapping
        All settings of the training.
    tags : mapping of str to str
        Replace those of the run.

    Yields
    ------
    Tracker
        The run ends with the block; the parent run then has the mean of the group's figures.
    """
    before = os.environ.get(GROUP_VARIABLE)
    os.environ[GROUP_VARIABLE] = group
    try:
        tracker = start_run(kind, f"{group}-{name}", settings, resumed=False)
        tracker.tag({"mlflow.runName": name, **tags})
        try:
            yield tracker
        except BaseException as error:
            tracker.finish("FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        tracker.finish()
        _summarize(tracker, group)
    finally:
        if before is None:
            del os.environ[GROUP_VARIABLE]
        else:
            os.environ[GROUP_VARIABLE] = before


def end_run(tracker: Tracker, kind: str, folder: Path, figures: Mapping[str, float]) -> None:
    """Log the figures and the model of a training, and store the run id of the weights."""
    tracker.log_figures({f"best/{name}": value for name, value in figures.items()})
    tracker.log_artifact(folder, "model_folder")
    _log_model(tracker, kind, folder)
    with tracker.attempt("storing the run id") as active:
        if active:
            write_json(_run_file(folder), {"run_id": tracker.run_id})
    tracker.finish()
    if os.environ.get(GROUP_VARIABLE):
        _summarize(tracker, os.environ[GROUP_VARIABLE])


def _summarize(tracker: Tracker, group: str) -> None:
    with tracker.attempt("summarizing the group") as active:
        if active:
            summarize_group(tracker.client, tracker.client.get_run(tracker.run_id).info.experiment_id, group)


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


def _runs(client: Any) -> Any:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client.search_runs([experiment.experiment_id], max_results=10_000)


def _new_run(client: Any, kind: str, training: Mapping[str, Any]) -> str:
    """Create a run with its parameters: those of the training, and those of the other stages in params.yaml."""
    from mlflow.entities import Param

    experiment = client.get_experiment_by_name(EXPERIMENT)
    tags = run_tags(kind, SOURCES.get(kind, "stages/train.py"))
    group = os.environ.get(GROUP_VARIABLE)
    if group:
        tags[PARENT_TAG] = find_parent(client, experiment.experiment_id, group)
    run = client.create_run(experiment.experiment_id, run_name=run_name(kind, training), tags=tags)
    client.log_inputs(run.info.run_id, dataset_inputs(kind, {"train": "training", "valid": "validation"}))
    settings = {**_run.all_settings(), "train": training}
    params = [Param(valid_name(name), str(value)) for name, value in flatten(settings).items()]
    for start in range(0, len(params), 100):
        client.log_batch(run.info.run_id, params=params[start : start + 100])
    return str(run.info.run_id)


def _log_model(tracker: Tracker, kind: str, folder: Path) -> None:
    """Log the model for ``mlflow.pyfunc.load_model``: audio in, notes and audio out."""
    with tracker.attempt("logging the model") as active:
        if not active:
            return
        import mlflow

        packages = (*SERVING, "torch") if kind == "direct" else SERVING
        parts = {kind: str(folder)}
        transcriber = folder.with_name("transcriber")
        if kind == "synthesizer" and transcriber.is_dir():
            parts["transcriber"] = str(transcriber)  # the piano alone cannot transcribe
        # MLflow prints the registered version to stderr
        with (
            quiet_mlflow(),
            redirect_stderr(io.StringIO()),
            mlflow.start_run(run_id=tracker.run_id, log_system_metrics=False),
        ):
            mlflow.pyfunc.log_model(
                name=kind,
                python_model=str(Path(__file__).with_name(SERVED.get(kind, "served_model.py"))),
                artifacts=parts,
                code_paths=["hf_model"],
                pip_requirements=[f"{name}=={version(name)}" for name in packages],
                registered_model_name=f"hummingface-{kind}",
                input_example=[_example_recording()],
            )


def _example_recording() -> bytes:
    """Return a wav file of one second: a tone of 220 Hz that fades in and out."""
    import numpy as np
    import soundfile

    seconds = np.arange(16_000) / 16_000
    audio = 0.3 * np.sin(2 * np.pi * 220 * seconds) * np.sin(np.pi * seconds)
    content = io.BytesIO()
    soundfile.write(content, audio, 16_000, format="WAV", subtype="PCM_16")
    return content.getvalue()


def _run_file(folder: Path) -> Path:
    return RUNS / f"{file_sha256(folder / 'model.safetensors')}.json"


def _read_run_id(path: Path) -> str:
    """Read the id of a run; empty if the file is damaged: the run is then opened anew."""
    try:
        return str(read_json(path, "").get("run_id", ""))
    except ConfigError:
        return ""
