"""Run a function over many jobs, in this process or in workers: ordered results, bounded memory, a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from importlib.util import find_spec
from typing import Any, TypeVar

from hf_model.parallel.dask_cluster import DaskWorkers

J = TypeVar("J")
R = TypeVar("R")

Workers = int | DaskWorkers
"""A number of processes, started for one call, or a pool that is used for several."""


def run_all(function: Callable[[J], R], jobs: Iterable[J], *, workers: Workers = 1, title: str = "") -> Iterator[R]:
    """Call ``function`` on every job; an exception in one job ends the run.

    Parameters
    ----------
    function : callable
        At module level, so that another process can import it.
    jobs : iterable
        Consumed as results are yielded, so that memory does not grow with their number.
    workers : int or DaskWorkers
        Number of processes to start for this call, or a pool. With 1 the jobs run in this process.
    title : str
        Of the progress bar; there is none without a title.

    Yields
    ------
    R
        Results in the order of the jobs.
    """
    total = len(jobs) if isinstance(jobs, Sized) else None
    with ExitStack() as stack:
        if isinstance(workers, int):
            workers = stack.enter_context(DaskWorkers(workers)) if workers > 1 and has_dask() else 1
        results = _run_here(function, jobs) if isinstance(workers, int) else workers.map(function, jobs)
        stack.enter_context(closing(results))
        advance = stack.enter_context(_progress_bar(title, total))
        for result in results:
            advance()
            yield result


def _run_here(function: Callable[[J], R], jobs: Iterable[J]) -> Generator[R, None, None]:
    yield from map(function, jobs)


def has_dask() -> bool:
    """Whether Dask is installed; prints a message if not."""
    if find_spec("distributed"):
        return True
    sys.stderr.write("Dask is not installed (pip install hummingface[cluster]): all jobs run in one process\n")
    return False


def _progress_bar(title: str, total: int | None) -> AbstractContextManager[Callable[[], Any]]:
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
