"""Shared fixtures; every test runs with one thread, without telemetry, with reproducible random numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from hf_model.parallel.dask_cluster import DaskWorkers
    from tests.page_server import PageServer

# Set before torch and NumPy are imported: two test processes of two threads each are slower than with one.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ["MPLBACKEND"] = "Agg"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["DVC_NO_ANALYTICS"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# Tests never write to the user's runs.
os.environ.pop("MLFLOW_TRACKING_URI", None)

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("tests")

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the tests on a cluster first: they mostly wait, one after another, while another worker does the rest."""
    items.sort(key=lambda item: item.get_closest_marker("slurm") is None)


@pytest.fixture(scope="session")
def root() -> Path:
    """Root folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder of real recordings in their public layout; mark tests that use it ``data``."""
    folder = Path(os.environ.get("HUMMINGFACE_MIRROR", ROOT.parent / "shared" / "data" / "mirror"))
    if not (folder / "SOURCES.json").is_file():
        pytest.skip(f"no real recordings: HUMMINGFACE_MIRROR names no mirror ({folder.name}/SOURCES.json is missing)")
    return folder


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a few small shards to train on."""
    from tests.tiny_shards import write_tiny_shards

    return write_tiny_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="session")
def empty_mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An MLflow database without runs, made once because it takes seconds."""
    import mlflow

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture
def mlflow_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, without MLflow runs; the state of MLflow is restored afterwards."""
    import mlflow

    from stages.tracking import client

    monkeypatch.chdir(tmp_path)
    for name, value in {**client.DEFAULT_ENVIRONMENT, "MLFLOW_TRACKING_URI": ""}.items():
        monkeypatch.setenv(name, value)  # MLflow changes the last one
    yield tmp_path
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="session")
def dask_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskWorkers]:
    """Two Dask workers on this machine."""
    from hf_model.parallel.dask_cluster import DaskWorkers

    with DaskWorkers(2, tmp_path_factory.mktemp("dask") / "scratch") as workers:
        yield workers


@pytest.fixture(scope="session")
def make_midi() -> Callable[..., Path]:
    """Function that writes a MIDI file: `make_midi(path, {"MELODY": [(onset, offset, pitch)]})`, in seconds."""
    import pretty_midi

    def make(path, tracks, drums=(), key=None):
        midi = pretty_midi.PrettyMIDI(initial_tempo=120)
        for is_drum, group in ((False, tracks.items()), (True, drums)):
            for name, notes in group:
                instrument = pretty_midi.Instrument(0, is_drum=is_drum, name=name)
                instrument.notes = [pretty_midi.Note(90, pitch, onset, offset) for onset, offset, pitch in notes]
                midi.instruments.append(instrument)
        if key is not None:
            midi.key_signature_changes.append(pretty_midi.KeySignature(key, 0))
        path.parent.mkdir(parents=True, exist_ok=True)
        midi.write(str(path))
        return path

    return make


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A Slurm cluster of two nodes; mark tests that use it ``slurm`` and ``xdist_group("slurm")``, to share it."""
    from tests.slurm_cluster import UnavailableError, slurm_cluster

    with ExitStack() as stack:
        try:
            running = stack.enter_context(slurm_cluster())
        except UnavailableError as reason:
            pytest.skip(str(reason))
        yield running


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """A running `hummingface app`; mark tests that use it `xdist_group("page")`, to share it."""
    from tests.page_server import PageServer

    server = PageServer(tmp_path_factory.mktemp("page"))
    yield server
    server.close()
