"""Several calculations of a network at once, each on one thread: faster, and the same to the bit."""

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

MOST = 2
"""At once, however many cores there are: each needs its memory."""


def side_by_side(calculations: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Do calculations, as many at once as torch may use threads (or ``MOST``), and yield their results in order.

    A network on short pieces gains little from threads within its layers. Each calculation has one thread, so that
    its result does not depend on how many there are; few wait at once, so that memory does not grow.
    """
    n_threads = min(MOST, torch.get_num_threads())
    if n_threads == 1:
        for calculate in calculations:
            yield calculate()
        return
    threads = _threads(os.getpid(), n_threads)
    at_work: deque[Future[Result]] = deque()
    for calculate in calculations:
        at_work.append(threads.submit(calculate))
        if len(at_work) > n_threads:
            yield at_work.popleft().result()
    while at_work:
        yield at_work.popleft().result()


@cache
def _threads(_: int, n_threads: int) -> ThreadPoolExecutor:
    """Threads of this process (a fork has none of its parent's) that each know torch on one thread."""
    ready, allowed = Barrier(n_threads + 1), torch.get_num_threads()

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes the number over when it is first asked for
        ready.wait()

    threads = ThreadPoolExecutor(n_threads, "side-by-side", begin)
    for _ in range(n_threads):
        threads.submit(int)
    ready.wait()
    torch.set_num_threads(allowed)  # what threads to come begin with, which those of these threads would change
    return threads
