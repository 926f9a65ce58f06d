"""Work spread over workers: results in order, memory flat, a progress bar, and one error stops everything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from importlib.util import find_spec
from typing import Any, TypeVar

from hf_model.parallel.dask_cluster import Crew

J = TypeVar("J")
R = TypeVar("R")

Workers = int | Crew
"""Who works: so many processes of this machine for one call, or a crew that outlives it."""


def run_all(function: Callable[[J], R], jobs: Iterable[J], *, workers: Workers = 1, title: str = "") -> Iterator[R]:
    """Call ``function`` on every job.

    Parameters
    ----------
    function : callable
        At module level, so that another process can import it.
    jobs : iterable
        Drawn from only as fast as results leave, so that a long list does not fill the memory.
    workers : int or Crew
        Processes of this machine, for this call alone; or a crew that outlives it. With 1 everything happens here.
    title : str
        Names the progress bar; without a title there is none.

    Yields
    ------
    R
        The results in the order of the jobs, whatever the workers.
    """
    total = len(jobs) if isinstance(jobs, Sized) else None
    with ExitStack() as stack:
        if isinstance(workers, int):
            workers = stack.enter_context(Crew(workers)) if workers > 1 and can_spread() else 1
        results = _here(function, jobs) if isinstance(workers, int) else workers.map(function, jobs)
        stack.enter_context(closing(results))
        advance = stack.enter_context(_bar(title, total))
        for result in results:
            advance()
            yield result


def _here(function: Callable[[J], R], jobs: Iterable[J]) -> Generator[R, None, None]:
    yield from map(function, jobs)


def can_spread() -> bool:
    """Whether Dask is here; if not, say that one worker does it all."""
    if find_spec("distributed"):
        return True
    sys.stderr.write("Dask is not installed (pip install hummingface[cluster]): one worker does all the work\n")
    return False


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
