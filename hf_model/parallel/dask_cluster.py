"""Workers of a Dask cluster: processes here, or those that a batch system starts on other nodes.

Nothing listens outside this machine unless the cluster's owner says so, every connection is encrypted and needs the
certificate of this one crew (who could connect could run any code), and there is no dashboard.
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

IN_FLIGHT = 3
"""Jobs that wait or run, for each worker: enough that none idles, few enough that memory stays flat."""

CHECK_EVERY = 5.0
"""Seconds between looks at whether workers of a batch system were lost for good."""

LIVES = 3
"""Workers that may die over one job before the job is to blame."""

QUIET = {
    "distributed.scheduler.http.routes": [],
    "distributed.nanny.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.multiprocessing-method": "forkserver",
    "distributed.scheduler.allowed-failures": LIVES,
    "distributed.comm.timeouts.connect": "60s",
}
"""Settings of Dask: no page to look at, processes that start from a clean one."""


class CrewError(RuntimeError):
    """Work that could not be done; the message says what it was."""


class Elsewhere(Protocol):
    """A batch system, say."""

    def open(self, security: Any, scratch: Path) -> Any:
        """Open a Dask cluster whose workers have ``--preload hf_model.parallel.dask_cluster``."""

    def tend(self) -> None:
        """See to it that workers that were lost for good are replaced."""


class Crew(AbstractContextManager["Crew"]):
    """Workers, started when they are first needed.

    Parameters
    ----------
    count : int
        How many.
    scratch : Path, optional
        Where Dask may keep files; a folder that goes away with the crew when not given.
    elsewhere : Elsewhere, optional
        Opens a cluster on other machines; processes of this one when not given.
    """

    def __init__(self, count: int, scratch: Path | None = None, elsewhere: Elsewhere | None = None) -> None:
        self.count = count
        self._scratch, self._elsewhere = scratch, elsewhere
        self._client: Any = None
        self._stack = ExitStack()

    def __exit__(self, *_: object) -> None:
        self._client = None
        self._stack.close()

    def map(self, function: Callable[[J], R], jobs: Iterable[J]) -> Generator[R, None, None]:
        """Call ``function``, which stands at a module's top level, on every job; results come in the jobs' order.

        A job whose worker died is done again by another, so jobs write files whole or not at all.

        Raises
        ------
        CrewError
            If several workers died over one job.
        """
        waiting: deque[Any] = deque()
        client = self._started(function.__module__)
        name = f"{function.__name__}-{uuid4().hex}"
        try:
            for number, job in enumerate(jobs):
                waiting.append(client.submit(function, job, key=f"{name}-{number}"))
                if len(waiting) >= IN_FLIGHT * self.count:
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            client.cancel(list(waiting))

    def _started(self, module: str) -> Any:
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
        os.environ.setdefault("DASK_CONFIG", str(scratch.absolute()))  # else dask-jobqueue writes into the home
        import dask
        from distributed import Client

        self._stack.enter_context(dask.config.set(QUIET))
        security = _certificates(Path(self._stack.enter_context(tempfile.TemporaryDirectory(dir=scratch))))
        if self._elsewhere:
            cluster = self._elsewhere.open(security, scratch)
        else:
            cluster = _processes(self.count, security, scratch, module)
        self._stack.callback(_dismissed, cluster)
        client = Client(cluster, security=security, set_as_default=False)
        self._stack.callback(client.close)
        return client

    def _result(self, future: Any) -> Any:
        from distributed import KilledWorker, wait

        while self._elsewhere:
            try:
                with self._client.as_current():
                    wait([future], timeout=CHECK_EVERY)
                break
            except TimeoutError:
                self._elsewhere.tend()
        try:
            return future.result()
        except KilledWorker as error:
            name, _, number = str(future.key).split("-")
            msg = f"{name}, job {number}: each worker that took it died, for lack of memory perhaps"
            raise CrewError(msg) from error


def _certificates(folder: Path) -> Any:
    """Make keys for one crew, in files that only their owner reads: workers elsewhere need them too."""
    from distributed.security import Security

    made, paths = Security.temporary(), {}
    for role in ("scheduler", "worker", "client"):
        for what, text in made.get_tls_config_for_role(role).items():
            if text:
                path = folder / f"{role}-{what}.pem"
                path.touch(mode=0o600)
                path.write_text(text, encoding="ascii")
                paths["tls_ca_file" if what == "ca_file" else f"tls_{role}_{what}"] = str(path.absolute())
    return Security(require_encryption=True, **paths)


def _processes(count: int, security: Any, scratch: Path, module: str) -> Any:
    """Open a cluster of processes on this machine, which only this machine can reach."""
    from distributed import LocalCluster

    # torch takes seconds to import, and Dask's workers import pandas where there is one: once for all of them
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


def _dismissed(cluster: Any) -> None:
    """Close a cluster; an interruption in the middle of that does not leave workers behind."""
    cluster.close(timeout=20)


def dask_setup(_worker: Any) -> None:
    """Prepare a worker (Dask calls this): one thread for arithmetic, and Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
