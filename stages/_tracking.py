"""MLflow, and the only place that imports it: one run a training, with its evaluation in the same run.

Where it tracks is environment: SQLite in ``mlflow.db`` with artifacts in ``mlartifacts``, or ``MLFLOW_TRACKING_URI``.
Its absence or failure is told in one line and stops nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages import _run

EXPERIMENT = "hummingface"
RUNS = Path("data/scratch/runs")
"""Which run belongs to which training, and to which weights; ignored by git and DVC."""

ARTIFACTS = Path("mlartifacts")

SERVING = ("mlflow", "numpy", "torch", "scipy", "soundfile", "soxr", "safetensors", "pandas", "av", "pretty_midi")
"""Packages that a served model needs, at the versions that are installed."""

FLUSH_EVERY = 20
"""Points of a curve that are sent together."""

CALM = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Environment that MLflow gets unless it says otherwise: no calls home, and no minutes of waiting for a lost server."""


class Tracker:
    """A run of MLflow, or nothing at all: every method may be called either way.

    Passed to Lightning as a logger, it takes the curves (``log_metrics``).
    """

    name, version, save_dir, root_dir, log_dir = EXPERIMENT, "", None, None, None

    def __init__(self, client: Any = None, run_id: str = "") -> None:
        self.client, self.run_id = client, run_id
        self.version = run_id
        self._waiting: list[Any] = []

    @contextmanager
    def _step(self, what: str) -> Iterator[bool]:
        """Do one thing with MLflow; when it fails, say so and do no more."""
        try:
            yield self.client is not None
        except Exception as error:  # noqa: BLE001 - whatever a tracker throws, training goes on
            self.client = None
            print(f"MLflow: {what} failed ({' '.join(str(error).split())[:300]}); going on without it", flush=True)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add one point to each curve."""
        if self.client is None:
            return
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [
            Metric(_allowed(name), float(value), now, int(step or 0))
            for name, value in metrics.items()
            if name != "epoch"
        ]
        if len(self._waiting) >= FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Send the points that wait."""
        points, self._waiting = self._waiting, []
        with self._step("sending metrics") as on:
            for start in range(0, len(points) if on else 0, 500):
                self.client.log_batch(self.run_id, metrics=points[start : start + 500])

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Keep a file or a folder."""
        with self._step(f"keeping {path}") as on:
            if on and path.is_dir():
                self.client.log_artifacts(self.run_id, str(path), folder or None)
            elif on and path.is_file():
                self.client.log_artifact(self.run_id, str(path), folder or None)

    def log_figures(self, figures: Mapping[str, float]) -> None:
        """Keep single numbers."""
        self.log_metrics(figures)
        self.flush()

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        with self._step("setting tags") as on:
            for key, value in tags.items() if on else ():
                self.client.set_tag(self.run_id, key, value)

    def finish(self, status: str = "FINISHED") -> None:
        """Close the run."""
        self.flush()
        with self._step("closing the run") as on:
            if on:
                self.client.set_terminated(self.run_id, status)

    # What Lightning asks of a logger beside log_metrics.

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: parameters are logged at the start."""

    def log_graph(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    def after_save_checkpoint(self, *_: Any) -> None:
        """Do nothing."""

    def save(self) -> None:
        """Do nothing."""

    def finalize(self, *_: Any) -> None:
        """Send what waits; the run stays open for the model."""
        self.flush()


def begin(kind: str, key: str, settings: Mapping[str, Any], resumed: bool) -> Tracker:
    """Open the run of one training, or the one that an interrupted training left.

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
    tracker = Tracker(_client())
    note = RUNS / f"{kind}-{key}.json"
    with tracker._step("opening a run") as on:
        if on:
            known = json.loads(note.read_text(encoding="utf-8"))["run_id"] if resumed and note.is_file() else ""
            tracker.run_id = tracker.version = known or _new_run(tracker.client, kind, settings)
            if known:
                tracker.client.update_run(known, "RUNNING")
            _run.write_json(note, {"run_id": tracker.run_id})
    return tracker


def end(tracker: Tracker, kind: str, folder: Path, figures: Mapping[str, float]) -> None:
    """Keep the figures and the model of a training, and remember which weights came of which run."""
    tracker.log_figures({f"best/{name}": value for name, value in figures.items()})
    tracker.log_artifact(folder, "model_folder")
    _log_model(tracker, kind, folder)
    with tracker._step("noting the run") as on:
        if on:
            _run.write_json(_note(folder), {"run_id": tracker.run_id})
    tracker.finish()


def of_weights(kind: str, folder: Path) -> Tracker:
    """Find the run whose training made these weights; a run of its own when they come from elsewhere."""
    tracker = Tracker(_client())
    with tracker._step("finding the run") as on:
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


def _client() -> Any:
    """Connect, or say in one line why not."""
    if not _run.is_first():
        return None
    for name, value in CALM.items():
        os.environ.setdefault(name, value)
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if not uri.startswith(("sqlite:", "http:", "https:", "postgresql", "mysql", "mssql", "databricks")):
        print(f"MLflow: MLFLOW_TRACKING_URI is {uri}, a file store, which loses runs; use sqlite:///... or a server")
        return None
    try:
        import mlflow

        with _hushed():
            mlflow.set_tracking_uri(uri)
            client = mlflow.MlflowClient()
            if client.get_experiment_by_name(EXPERIMENT) is None:
                place = ARTIFACTS.resolve().as_uri() if uri.startswith("sqlite:") else None
                client.create_experiment(EXPERIMENT, artifact_location=place)
        return client
    except ImportError:
        print("MLflow is not installed: this run is not tracked")
    except Exception as error:  # noqa: BLE001 - whatever a tracker throws, training goes on
        print(f"MLflow: {uri} cannot be used ({' '.join(str(error).split())[:300]}); going on without it", flush=True)
    return None


def _runs(client: Any) -> Any:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client.search_runs([experiment.experiment_id], max_results=10_000)


def _new_run(client: Any, kind: str, training: Mapping[str, Any]) -> str:
    """Open a run with its parameters: the training's own, and what params.yaml says of the other stages."""
    from mlflow.entities import Param

    experiment = client.get_experiment_by_name(EXPERIMENT)
    run = client.create_run(experiment.experiment_id, run_name=kind, tags={"model": kind, **_origin()})
    settings = {**_run.everything(), "train": training}
    params = [Param(_allowed(name), str(value)) for name, value in flat(settings).items()]
    for start in range(0, len(params), 100):
        client.log_batch(run.info.run_id, params=params[start : start + 100])
    return str(run.info.run_id)


def _origin() -> dict[str, str]:
    """Name the state of the code and of the pipeline."""
    lock = Path("dvc.lock")
    found = {"dvc.lock": hashlib.sha256(lock.read_bytes()).hexdigest()} if lock.is_file() else {}
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
    with tracker._step("keeping the model") as on:
        if not on:
            return
        import mlflow

        parts = {kind: str(folder)}
        transcriber = folder.with_name("transcriber")
        if kind == "synthesizer" and transcriber.is_dir():
            parts["transcriber"] = str(transcriber)  # a piano alone hears nothing
        with _hushed(), mlflow.start_run(run_id=tracker.run_id, log_system_metrics=False):
            mlflow.pyfunc.log_model(
                name=kind,
                python_model=str(Path(__file__).with_name("_served.py")),
                artifacts=parts,
                code_paths=["hf_model"],
                pip_requirements=[f"{name}=={version(name)}" for name in SERVING],
            )


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep MLflow's advice (input examples, the version of pip) off the terminal."""
    import logging
    import warnings

    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _note(folder: Path) -> Path:
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return RUNS / f"{weights}.json"


def _allowed(name: str) -> str:
    """Keep what MLflow allows in names."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)
