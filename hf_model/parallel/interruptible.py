"""Run long calls in threads: results in order, and an interruption that reaches every thread."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import chain, islice
from typing import TypeVar

from hf_model.parallel.threads import thread_count

Result = TypeVar("Result")

WAKE_SECONDS = 0.5
"""On Windows, Ctrl-C does not end the waiting for a thread: it is heeded when the waiting is over."""


def run_in_order(calls: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Run calls, :func:`thread_count` at a time, and yield their results in order; a single call runs in this thread.

    A call begins when the one before it has begun; few results are pending at a time. Whatever ends the iteration
    early (Ctrl-C, an exception in a call, or the consumer) is raised in the running calls as KeyboardInterrupt, so
    that they remove their incomplete files, and their end is waited for.
    """
    n_threads = thread_count()
    waiting = iter(calls)
    first = list(islice(waiting, 2))
    if n_threads == 1 or len(first) < 2:
        for call in chain(first, waiting):
            yield call()
        return
    running = _RunningThreads()
    pending: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(n_threads, "in-order")
    try:
        for call in chain(first, waiting):
            pending.append(pool.submit(running.run, call))
            if len(pending) > n_threads:
                yield _result(pending.popleft())
        while pending:
            yield _result(pending.popleft())
    finally:
        for future in pending:
            future.cancel()
        running.interrupt()
        pool.shutdown(wait=True)


def _result(future: Future[Result]) -> Result:
    while not future.done():
        wait([future], WAKE_SECONDS)
    return future.result()


class _RunningThreads:
    """The threads in which a call runs."""

    def __init__(self) -> None:
        self._threads: set[int] = set()
        self._is_interrupted = False
        self._lock = threading.Lock()

    def run(self, call: Callable[[], Result]) -> Result:
        with self._registered():
            return call()

    @contextmanager
    def _registered(self) -> Iterator[None]:
        thread = threading.get_ident()
        with self._lock:
            if self._is_interrupted:
                raise KeyboardInterrupt
            self._threads.add(thread)
        try:
            yield
        finally:
            with self._lock:
                self._threads.discard(thread)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in all of them, at their next step in Python, and in each that begins later."""
        with self._lock:
            self._is_interrupted = True
            for thread in self._threads:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))
