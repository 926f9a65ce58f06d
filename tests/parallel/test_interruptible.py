"""Calls in threads: order, number, and interruption."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from hf_model.parallel.interruptible import run_in_order


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")


def test_results_are_in_order() -> None:
    def answer(number: int) -> int:
        time.sleep(0.02 * (5 - number))  # the first takes longest
        return number

    assert list(run_in_order(partial(answer, number) for number in range(5))) == [0, 1, 2, 3, 4]


def test_two_calls_run_at_a_time() -> None:
    both = threading.Barrier(2, timeout=10)
    assert sorted(run_in_order([both.wait, both.wait])) == [0, 1]  # either would wait in vain alone


def test_one_core_means_one_call_in_this_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert set(run_in_order([threading.get_ident] * 3)) == {threading.get_ident()}


def test_few_calls_are_begun_before_their_results_are_taken() -> None:
    begun = []
    results = run_in_order(partial(begun.append, number) for number in range(100))
    next(results)
    time.sleep(0.1)
    assert len(begun) <= 4
    results.close()


def endless(cleaned: list[str], started: threading.Event) -> None:
    try:
        started.set()
        while True:
            time.sleep(0.01)
    finally:
        cleaned.append("cleaned")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interruption_ends_the_other_calls(error: type[BaseException]) -> None:
    cleaned: list[str] = []
    started = threading.Event()

    def fail() -> None:
        started.wait(10)
        raise error

    never: list[str] = []
    calls: list[Callable[[], None]] = [fail, partial(endless, cleaned, started), partial(never.append, "begun")]
    begun = time.monotonic()
    with pytest.raises(error):
        list(run_in_order(calls))
    assert cleaned == ["cleaned"]
    assert time.monotonic() - begun < 5


def test_a_consumer_that_stops_ends_the_calls() -> None:
    cleaned: list[str] = []
    started = threading.Event()
    results = run_in_order([lambda: None, partial(endless, cleaned, started)])
    next(results)
    assert started.wait(10)
    results.close()
    assert cleaned == ["cleaned"]
