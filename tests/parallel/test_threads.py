"""Calculations in threads: ordered results, one torch thread each, unchanged settings of torch."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest
import torch

from hf_model.parallel.threads import in_threads


@pytest.fixture(params=[1, 2, 3])
def n_threads(request):
    previous = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(previous)


def test_results_are_ordered_and_each_has_one_thread(n_threads):
    results = list(in_threads(partial(lambda i: (i, torch.get_num_threads()), i) for i in range(50)))
    assert results == [(i, 1) for i in range(50)]
    assert torch.get_num_threads() == n_threads


def test_few_calculations_are_pending_at_a_time(n_threads):
    started: list[int] = []

    def calculations():
        for i in range(100):
            started.append(i)
            yield partial(int, i)

    for i in in_threads(calculations()):
        assert len(started) <= i + n_threads + 1


@pytest.mark.usefixtures("n_threads")
def test_exceptions_reach_the_caller():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(in_threads([fail]))
    assert list(in_threads([])) == []


PROGRAM = """
import os, threading, torch
from hf_model.parallel.threads import in_threads
torch.set_num_threads(2)
assert list(in_threads([int, int])) == [0, 0]
later = []
thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
thread.start(); thread.join()
assert later == [2], later
child = os.fork()
if child == 0:
    os._exit(0 if list(in_threads([int, int, int])) == [0, 0, 0] else 1)
assert os.waitpid(child, 0)[1] == 0
"""


def test_other_threads_and_forks_are_unaffected():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
