"""Work spread over processes: results in order, memory flat, a progress bar, and one error stops everything."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

J = TypeVar("J")
R = TypeVar("R")


def run_all(function: Callable[[J], R], jobs: Iterable[J], *, workers: int = 1, title: str = "") -> Iterator[R]:
    """Call ``function`` on every job.

    Parameters
    ----------
    function : callable
        At module level, so that another process can import it.
    jobs : iterable
        Drawn from only as fast as results leave, so that a long list does not fill the memory.
    workers : int
        Processes; with 1 everything happens in this one.
    title : str
        Names the progress bar; without a title there is none.

    Yields
    ------
    R
        The results in the order of the jobs, whatever the number of workers.
    """
    results = map(function, jobs) if workers <= 1 else _in_processes(function, jobs, workers)
    total = len(jobs) if isinstance(jobs, Sized) else None
    with _bar(title, total) as advance:
        for result in results:
            advance()
            yield result


def _in_processes(function: Callable[[J], R], jobs: Iterable[J], workers: int) -> Iterator[R]:
    pool = ProcessPoolExecutor(workers, mp_context=_context(function.__module__), initializer=_calm)
    waiting: deque[Future[R]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(function, job))
            if len(waiting) >= 3 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _context(module: str) -> Any:
    """Choose how processes start; never a plain fork, which torch's threads do not survive."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # torch takes seconds to import: once for all workers
    context.set_forkserver_preload([module])
    return context


def _calm() -> None:
    """One thread a worker; Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _bar(title: str, total: int | None) -> AbstractContextManager[Callable[[], Any]]:
    if not title:
        return nullcontext(lambda: None)
    try:
        import rich.progress
    except ImportError:
        return nullcontext(lambda: None)
    return _RichBar(rich.progress.Progress, title, total)


class _RichBar(AbstractContextManager[Callable[[], Any]]):
    def __init__(self, bar: Any, title: str, total: int | None) -> None:
        from rich.console import Console

        self.bar = bar(console=Console(stderr=True))
        self.task = self.bar.add_task(title, total=total)

    def __enter__(self) -> Callable[[], Any]:
        self.bar.start()
        return lambda: self.bar.advance(self.task)

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
