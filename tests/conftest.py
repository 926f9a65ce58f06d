"""Every test: one thread, no calls home, the same random numbers each time, and where real recordings are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from hf_model.parallel.dask_cluster import Crew
    from tests.page_server import PageServer

# Before anything imports torch or NumPy: two workers with two threads each are slower than two with one.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ["MPLBACKEND"] = "Agg"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["DVC_NO_ANALYTICS"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# A test never writes to the runs that its owner made.
os.environ.pop("MLFLOW_TRACKING_URI", None)

settings.register_profile("house", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("house")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder with real recordings in their public layout; mark a test that uses it ``data``."""
    folder = Path(os.environ.get("HUMMINGFACE_MIRROR", ROOT.parent / "shared" / "data" / "mirror"))
    if not (folder / "SOURCES.json").is_file():
        pytest.skip(f"no real recordings: HUMMINGFACE_MIRROR names no mirror ({folder.name}/SOURCES.json is missing)")
    return folder


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """MLflow takes seconds to lay out a database: once for all."""
    import mlflow

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture
def tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to track in, where a run of MLflow begins with nothing; its state is put back afterwards."""
    import mlflow

    from stages.tracking import client

    monkeypatch.chdir(tmp_path)
    for name, value in {**client.CALM, "MLFLOW_TRACKING_URI": ""}.items():
        monkeypatch.setenv(name, value)  # MLflow itself changes the last of them
    yield tmp_path
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="session")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Two workers of Dask on this machine."""
    from hf_model.parallel.dask_cluster import Crew

    with Crew(2, tmp_path_factory.mktemp("crew") / "scratch") as opened:
        yield opened


@pytest.fixture(scope="session")
def make_midi() -> Callable[..., Path]:
    """`make_midi(path, {"MELODY": [(onset, offset, pitch)]})` writes a MIDI file: seconds, seconds, MIDI number."""
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
    """A Slurm of two nodes; mark a test that uses it ``slurm`` and ``xdist_group("slurm")``: there is one for all."""
    from tests.slurm_cluster import UnavailableError, slurm_cluster

    with ExitStack() as stack:
        try:
            running = stack.enter_context(slurm_cluster())
        except UnavailableError as reason:
            pytest.skip(str(reason))
        yield running


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """`hummingface app`, running; mark tests that use it `xdist_group("page")`, so that there is one server."""
    from tests.page_server import PageServer

    server = PageServer(tmp_path_factory.mktemp("page"))
    yield server
    server.close()
