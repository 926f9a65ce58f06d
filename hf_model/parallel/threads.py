"""Run network calculations in parallel threads: faster than threads within a layer, with bit-identical results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Result = TypeVar("Result")

MAX_THREADS = 2
"""Independent of the number of cores, because each calculation needs memory."""


def in_threads(calculations: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Run calculations in :func:`thread_count` threads; yield their results in order.

    On short inputs a network gains little from threads within its layers. Each calculation uses one thread, so that
    its result does not depend on their number; few are pending at a time, to bound memory.
    """
    n_threads = thread_count()
    if n_threads == 1:
        for calculate in calculations:
            yield calculate()
        return
    threads = _threads(os.getpid(), n_threads)
    pending: deque[Future[Result]] = deque()
    for calculate in calculations:
        pending.append(threads.submit(calculate))
        if len(pending) > n_threads:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def thread_count() -> int:
    """Count the threads to use: as many as there are cores for this process, or as ``OMP_NUM_THREADS`` says.

    At most ``MAX_THREADS``; numerical libraries follow the same variable.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal():
        cores = int(given)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MAX_THREADS, max(1, cores))


@cache
def _threads(_: int, n_threads: int) -> ThreadPoolExecutor:
    """Give the thread pool of this process: a fork does not inherit threads."""
    return ThreadPoolExecutor(n_threads, "in-threads")
