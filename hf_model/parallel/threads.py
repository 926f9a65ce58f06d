"""Run network calculations in parallel threads: faster than threads within a layer, with bit-identical results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

Result = TypeVar("Result")

MAX_THREADS = 2
"""Independent of the number of cores, because each calculation needs memory."""


def in_threads(calculations: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Run calculations in as many threads as torch may use, at most ``MAX_THREADS``; yield their results in order.

    On short inputs a network gains little from threads within its layers. Each calculation uses one thread, so that
    its result does not depend on their number; few are pending at a time, to bound memory.
    """
    n_threads = min(MAX_THREADS, torch.get_num_threads())
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


@cache
def _threads(_: int, n_threads: int) -> ThreadPoolExecutor:
    """Thread pool of this process (a fork does not inherit threads) in which torch uses one thread."""
    ready, previous = Barrier(n_threads + 1), torch.get_num_threads()

    def initialize() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # the setting takes effect in this thread when it is first read
        ready.wait()

    threads = ThreadPoolExecutor(n_threads, "in-threads", initialize)
    for _ in range(n_threads):
        threads.submit(int)
    ready.wait()
    torch.set_num_threads(previous)  # undo the effect on threads that start later
    return threads
