"""The connection to MLflow, and one run of it: every method may be called, whether or not there is an MLflow.

Where it tracks is environment: SQLite in ``mlflow.db`` with artifacts in ``mlartifacts``, or ``MLFLOW_TRACKING_URI``.
Its absence or failure is told in one line and stops nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages import _run

EXPERIMENT = "hummingface"
ARTIFACTS = "mlartifacts"
"""The folder of artifacts, beside an SQLite file."""

DEFAULT_URI = "sqlite:///mlflow.db"
DATABASES = ("sqlite:", "http:", "https:", "postgresql", "mysql", "mssql", "databricks")

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
        self.reached: dict[str, int] = {}
        self._waiting: list[Any] = []

    @contextmanager
    def step(self, what: str) -> Iterator[bool]:
        """Do one thing with MLflow; when it fails, say so and do no more."""
        try:
            yield self.client is not None
        except Exception as error:  # noqa: BLE001 - whatever a tracker throws, training goes on
            self.client = None
            print(f"MLflow: {what} failed ({' '.join(str(error).split())[:300]}); going on without it", flush=True)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add one point to each curve, unless the curve was there already before an interruption."""
        if self.client is None:
            return
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [
            Metric(allowed(name), float(value), now, int(step or 0))
            for name, value in metrics.items()
            if name != "epoch" and (step is None or step > self.reached.get(name, -1))
        ]
        if len(self._waiting) >= FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Send the points that wait."""
        points, self._waiting = self._waiting, []
        with self.step("sending metrics") as on:
            for start in range(0, len(points) if on else 0, 500):
                self.client.log_batch(self.run_id, metrics=points[start : start + 500])

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Keep a file or a folder."""
        with self.step(f"keeping {path}") as on:
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
        with self.step("setting tags") as on:
            for key, value in tags.items() if on else ():
                self.client.set_tag(self.run_id, key, value)

    def finish(self, status: str = "FINISHED") -> None:
        """Close the run."""
        self.flush()
        with self.step("closing the run") as on:
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


def connect() -> Any:
    """Connect to where the environment says, or say in one line why not."""
    if not _run.is_first():
        return None
    keep_calm()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if not uri.startswith(DATABASES):
        print(f"MLflow: MLFLOW_TRACKING_URI is {uri}, a file store, which loses runs; use sqlite:///... or a server")
        return None
    try:
        import mlflow

        with hushed():
            # MLflow keeps one connection to each URI: a relative one would stay with the folder it was first used in.
            uri = absolute(uri)
            mlflow.set_tracking_uri(uri)
            client = mlflow.MlflowClient()
            experiment_id(client, EXPERIMENT, uri)
        return client
    except ImportError:
        print("MLflow is not installed: this run is not tracked")
    except Exception as error:  # noqa: BLE001 - whatever a tracker throws, training goes on
        print(f"MLflow: {uri} cannot be used ({' '.join(str(error).split())[:300]}); going on without it", flush=True)
    return None


def keep_calm() -> None:
    """Set MLflow's environment, before it is imported."""
    for name, value in CALM.items():
        os.environ.setdefault(name, value)


def experiment_id(client: Any, name: str, uri: str) -> str:
    """Find an experiment, or create it with its artifacts beside the database."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = Path(uri.removeprefix("sqlite:///")).resolve().with_name(ARTIFACTS) if uri.startswith("sqlite:") else None
    return str(client.create_experiment(name, artifact_location=place.as_uri() if place else None))


def absolute(uri: str) -> str:
    """Give one name to one place: the whole path of an SQLite file, a server without a slash at its end."""
    path = uri.removeprefix("sqlite:///")
    return f"sqlite:///{Path(path).resolve()}" if path != uri else uri.rstrip("/")


@contextmanager
def hushed() -> Iterator[None]:
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


def allowed(name: str) -> str:
    """Keep what MLflow allows in names."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)
