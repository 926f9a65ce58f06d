"""A pool of Dask workers: processes of this machine, or jobs of a batch system on other nodes.

A Dask connection can run any code, so a local cluster listens on the loopback interface only, every connection is
encrypted and needs the certificate of its cluster, and there is no dashboard.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

J = TypeVar("J")
R = TypeVar("R")

JOBS_PER_WORKER = 3
"""Jobs submitted at a time: enough to keep every worker busy, few enough to bound memory."""

CHECK_SECONDS = 5.0
"""Seconds between checks for lost workers of a batch system."""

MAX_FAILURES = 3
"""Workers that may die during one job before the job fails."""

DASK_SETTINGS = {
    "distributed.scheduler.http.routes": [],
    "distributed.nanny.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.multiprocessing-method": "forkserver",
    "distributed.scheduler.allowed-failures": MAX_FAILURES,
    "distributed.comm.timeouts.connect": "60s",
}
"""No HTTP pages, and workers forked from a server process without threads."""


class WorkersError(RuntimeError):
    """Why a job could not be done; the message names the job."""


class WorkerLauncher(Protocol):
    """Starts workers on other machines, for example with a batch system."""

    def open(self, security: Any, scratch: Path) -> Any:
        """Open a Dask cluster whose workers have ``--preload hf_model.parallel.dask_cluster``."""

    def replace_lost_workers(self) -> None:
        """Start new workers in place of those that were lost."""


class DaskWorkers(AbstractContextManager["DaskWorkers"]):
    """A pool of workers, started when first used.

    Parameters
    ----------
    count : int
        Number of workers.
    scratch : Path, optional
        Folder for the files of Dask; a temporary one by default.
    launcher : WorkerLauncher, optional
        Starts the workers on other machines; by default they are processes of this one.
    """

    def __init__(self, count: int, scratch: Path | None = None, launcher: WorkerLauncher | None = None) -> None:
        self.count = count
        self._scratch, self._launcher = scratch, launcher
        self._client: Any = None
        self._stack = ExitStack()

    def __exit__(self, *_: object) -> None:
        self._client = None
        self._stack.close()

    def map(self, function: Callable[[J], R], jobs: Iterable[J]) -> Generator[R, None, None]:
        """Call ``function``, defined at module level, on every job; yield results in the order of the jobs.

        The job of a worker that died is repeated by another one, so jobs must write files atomically.

        Raises
        ------
        WorkersError
            If ``MAX_FAILURES`` workers died during one job, or the scheduler was lost.
        """
        pending: deque[Any] = deque()
        client = self._get_client(function.__module__)
        name = f"{function.__name__}-{uuid4().hex}"
        try:
            for number, job in enumerate(jobs):
                pending.append(client.submit(function, job, key=f"{name}-{number}"))
                if len(pending) >= JOBS_PER_WORKER * self.count:
                    yield self._result(pending.popleft())
            while pending:
                yield self._result(pending.popleft())
        finally:
            client.cancel(list(pending))

    def _get_client(self, module: str) -> Any:
        if self._client is None:
            try:
                self._client = self._start(module)
            except BaseException:
                self._stack.close()
                raise
        return self._client

    def _start(self, module: str) -> Any:
        scratch = self._scratch or Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hummingface")))
        scratch.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("DASK_CONFIG", str(scratch.absolute()))  # else dask-jobqueue writes to the home folder
        import dask
        from distributed import Client

        self._stack.enter_context(dask.config.set(DASK_SETTINGS))
        security = _make_certificates(Path(self._stack.enter_context(tempfile.TemporaryDirectory(dir=scratch))))
        if self._launcher:
            cluster = self._launcher.open(security, scratch)
        else:
            cluster = _open_local_cluster(self.count, security, scratch, module)
        self._stack.callback(cluster.close, timeout=20)
        client = Client(cluster, security=security, set_as_default=False)
        self._stack.callback(client.close)
        return client

    def _result(self, future: Any) -> Any:
        from distributed import KilledWorker, wait
        from distributed.client import CancelledError
        from distributed.comm import CommClosedError

        name, _, number = str(future.key).split("-")
        try:
            while self._launcher:
                try:
                    with self._client.as_current():
                        wait([future], timeout=CHECK_SECONDS)
                    break
                except TimeoutError:
                    self._launcher.replace_lost_workers()
            return future.result()
        except KilledWorker as error:
            msg = f"{name}, job {number}: each worker that ran it died, perhaps for lack of memory"
            raise WorkersError(msg) from error
        except (CancelledError, CommClosedError) as error:
            msg = f"{name}, job {number}: Dask's scheduler was lost; run the same command again"
            raise WorkersError(msg) from error


def _make_certificates(folder: Path) -> Any:
    """Make the TLS keys of one cluster, in files only the user can read; workers on other machines read them too."""
    from distributed.security import Security

    temporary, paths = Security.temporary(), {}
    for role in ("scheduler", "worker", "client"):
        for item, text in temporary.get_tls_config_for_role(role).items():
            if text:
                path = folder / f"{role}-{item}.pem"
                path.touch(mode=0o600)
                path.write_text(text, encoding="ascii")
                paths["tls_ca_file" if item == "ca_file" else f"tls_{role}_{item}"] = str(path.absolute())
    return Security(require_encryption=True, **paths)


def _open_local_cluster(count: int, security: Any, scratch: Path, module: str) -> Any:
    """Start worker processes that are reachable from this machine only."""
    from distributed import LocalCluster

    # Import torch, and pandas for Dask's workers, once in the server instead of in each worker.
    multiprocessing.get_context("forkserver").set_forkserver_preload(["distributed", "pandas", "pyarrow", module])
    return LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        memory_limit=0,
        host="127.0.0.1",
        security=security,
        local_directory=str(scratch),
        preload="hf_model.parallel.dask_cluster",
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.CRITICAL,
    )


def dask_setup(_worker: Any) -> None:
    """Set up a worker (called by Dask): one thread for arithmetic, and Ctrl-C is left to the parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
