"""Calculations in threads: ordered results, few pending, as many threads as the process may use."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from hf_model.parallel.threads import in_threads, thread_count


@pytest.fixture(params=[1, 2])
def n_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("OMP_NUM_THREADS", str(request.param))
    return int(request.param)


def test_results_are_ordered_and_use_so_many_threads(n_threads: int) -> None:
    together = threading.Barrier(n_threads)

    def calculate(i: int) -> tuple[int, str]:
        together.wait(timeout=30)  # each call waits for one in every other thread
        return i, threading.current_thread().name

    results = list(in_threads(partial(calculate, i) for i in range(50)))
    assert [i for i, _ in results] == list(range(50))
    assert len({name for _, name in results}) == n_threads


def test_few_calculations_are_pending_at_a_time(n_threads: int) -> None:
    started: list[int] = []

    def calculations() -> Iterator[Callable[[], int]]:
        for i in range(100):
            started.append(i)
            yield partial(int, i)

    for i in in_threads(calculations()):
        assert len(started) <= i + n_threads + 1


@pytest.mark.usefixtures("n_threads")
def test_exceptions_reach_the_caller() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(in_threads([fail]))
    assert list(in_threads([])) == []


@pytest.mark.parametrize(("given", "expected"), [("1", 1), ("64", 2), ("0", 1), ("many", 2), (None, 2)])
def test_number_of_threads(given: str | None, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert thread_count() == expected


def test_systems_without_affinity_use_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert thread_count() == 1


PROGRAM = """
import os, sys
from hf_model.parallel.threads import in_threads
assert list(in_threads([int, int])) == [0, 0]
assert "torch" not in sys.modules
child = os.fork()
if child == 0:
    os._exit(0 if list(in_threads([int, int, int])) == [0, 0, 0] else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forks_have_threads_of_their_own() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
