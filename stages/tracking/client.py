"""The connection to MLflow, and one run in it; without MLflow every method does nothing.

The tracking URI is environment: ``MLFLOW_TRACKING_URI``, by default SQLite in ``mlflow.db`` with artifacts in
``mlartifacts``. If MLflow is missing or fails, one line is printed and the stage continues.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hf_model.config import mask_passwords
from stages import _run

EXPERIMENT = "hummingface"
ARTIFACTS = "mlartifacts"
"""The folder of artifacts, in the folder of the SQLite file."""

DEFAULT_URI = "sqlite:///mlflow.db"
DATABASES = ("sqlite:", "http:", "https:", "postgresql", "mysql", "mssql", "databricks")

FLUSH_EVERY = 20
"""Points of metrics that are sent together."""

DEFAULT_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Environment variables for MLflow, unless they are set: no telemetry, and short timeouts for a lost server."""


class Tracker:
    """A run of MLflow; without a client every method does nothing.

    Lightning uses it as a logger: ``log_metrics`` records the metrics of a training.
    """

    name, version, save_dir, root_dir, log_dir = EXPERIMENT, "", None, None, None

    def __init__(self, client: Any = None, run_id: str = "") -> None:
        self.client, self.run_id = client, run_id
        self.version = run_id
        self.last_steps: dict[str, int] = {}
        self._unsent: list[Any] = []
        self._monitor: Any = None

    @contextmanager
    def attempt(self, what: str) -> Iterator[bool]:
        """Try an operation of MLflow; if it fails, print a message and stop tracking."""
        try:
            with _without_log():
                yield self.client is not None
        except Exception as error:  # noqa: BLE001 - no tracking error may stop a training
            self.client = None
            print(f"MLflow: {what} failed ({reason(error)}); continuing without it", flush=True)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add one point to each metric, unless it was logged before an interruption."""
        if self.client is None:
            return
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._unsent += [
            Metric(valid_name(name), float(value), now, int(step or 0))
            for name, value in metrics.items()
            if name != "epoch" and (step is None or step > self.last_steps.get(name, -1))
        ]
        if len(self._unsent) >= FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Send the unsent points."""
        points, self._unsent = self._unsent, []
        with self.attempt("sending metrics") as active:
            for start in range(0, len(points) if active else 0, 500):
                self.client.log_batch(self.run_id, metrics=points[start : start + 500])

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Log a file or a folder."""
        with self.attempt(f"logging {path}") as active:
            if active and path.is_dir():
                self.client.log_artifacts(self.run_id, str(path), folder or None)
            elif active and path.is_file():
                self.client.log_artifact(self.run_id, str(path), folder or None)

    def log_figures(self, figures: Mapping[str, float]) -> None:
        """Log single values."""
        self.log_metrics(figures)
        self.flush()

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        with self.attempt("setting tags") as active:
            for key, value in tags.items() if active else ():
                self.client.set_tag(self.run_id, key, value)

    def log_inputs(self, inputs: Sequence[Any]) -> None:
        """Record the data sets of the run."""
        with self.attempt("recording the data sets") as active:
            if active and inputs:
                self.client.log_inputs(self.run_id, list(inputs))

    def monitor_system(self, *, resumed: bool = False) -> None:
        """Record processor, memory, disk, network and GPUs every ten seconds until the run is closed."""
        with self.attempt("starting the system metrics") as active, suppress(ImportError):  # psutil may be missing
            if not active:
                return
            import logging

            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            for name in ("mlflow.system_metrics", "mlflow.utils.autologging_utils"):
                logging.getLogger(name).setLevel(logging.CRITICAL)  # a failure is reported once, by this class
            monitor: Any = SystemMetricsMonitor
            self._monitor = monitor(self.run_id, resume_logging=resumed)
            self._monitor.start()

    def finish(self, status: str = "FINISHED") -> None:
        """Close the run."""
        self.flush()
        monitor, self._monitor = self._monitor, None
        with self.attempt("ending the system metrics"):
            if monitor is not None:
                monitor.finish()
        with self.attempt("closing the run") as active:
            if active:
                self.client.set_terminated(self.run_id, status)

    # Other methods that Lightning requires of a logger.

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: parameters are logged at the start."""

    def log_graph(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    def after_save_checkpoint(self, *_: Any) -> None:
        """Do nothing."""

    def save(self) -> None:
        """Do nothing."""

    def finalize(self, *_: Any) -> None:
        """Send the unsent points; the run stays open for the model."""
        self.flush()


def connect() -> Any:
    """Connect to the tracking URI, or print in one line why not."""
    if not _run.is_first_process():
        return None
    set_environment()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if not uri.startswith(DATABASES):
        shown = mask_passwords(uri)
        print(f"MLflow: MLFLOW_TRACKING_URI is {shown}, a file store, which loses runs; use sqlite:///... or a server")
        return None
    try:
        import mlflow

        with quiet_mlflow():
            # MLflow caches one connection for each URI: a relative one would refer to the folder of its first use.
            uri = absolute_uri(uri)
            mlflow.set_tracking_uri(uri)
            client = mlflow.MlflowClient()
            find_experiment(client, EXPERIMENT, uri)
        return client
    except ImportError:
        print("MLflow is not installed: this run is not tracked")
    except Exception as error:  # noqa: BLE001 - no tracking error may stop a training
        print(f"MLflow: {mask_passwords(uri)} cannot be used ({reason(error, uri)}); continuing without it", flush=True)
    return None


def reason(error: Exception, uri: str = "URI") -> str:
    """Describe an error of MLflow or its database at ``uri`` in one line, without passwords."""
    text = " ".join(str(error).split())
    if "database is locked" in text:
        text = "the database is locked by another process; wait for it, or use a database for each"
    elif "readonly database" in text:
        text = "the database cannot be written: its file or its folder is read-only"
    elif found := re.search(r"out-of-date database schema \(found version (\w+)", text):
        text = "the database was written by "
        if _is_older_schema(found[1]):
            text += f"an older version of MLflow; keep a copy and run: mlflow db upgrade {uri}"
        else:
            text += "a newer version of MLflow; install that one, or use another database"
    elif "malformed" in text or "not a database" in text:
        text = "the database is damaged; restore a copy, or rename it to begin a new one"
    return mask_passwords(text)[:300]


def _is_older_schema(revision: str) -> bool:
    """Whether this version of MLflow knows a revision of the database; its message is the same for newer ones."""
    import mlflow

    folder = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"
    return any(folder.glob(f"{revision}_*.py"))


def set_environment() -> None:
    """Set MLflow's environment variables; call it before MLflow is imported."""
    for name, value in DEFAULT_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def find_experiment(client: Any, name: str, uri: str) -> str:
    """Return the id of an experiment, created with its artifacts in the folder of the database if necessary."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = Path(uri.removeprefix("sqlite:///")).resolve().with_name(ARTIFACTS) if uri.startswith("sqlite:") else None
    tags = {"mlflow.experimentKind": "custom_model_development"}  # the page then shows trainings, not prompts
    return str(client.create_experiment(name, artifact_location=place.as_uri() if place else None, tags=tags))


def absolute_uri(uri: str) -> str:
    """Return a unique URI: with the absolute path of an SQLite file, or a server without a trailing slash."""
    path = uri.removeprefix("sqlite:///")
    return f"sqlite:///{Path(path).resolve()}" if path != uri else uri.rstrip("/")


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Suppress MLflow's warnings (input examples, the version of pip), and what it logs."""
    import warnings

    with _without_log(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _without_log() -> Iterator[None]:
    """Suppress MLflow's log: it has a traceback for every error of a database, and the error is reported anyway."""
    import logging

    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def valid_name(name: str) -> str:
    """Replace characters that MLflow does not allow in names."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)
