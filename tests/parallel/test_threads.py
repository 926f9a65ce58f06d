"""Calculations at once: in order, each on one thread, without a trace in torch's settings."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest
import torch

from hf_model.parallel.threads import side_by_side


@pytest.fixture(params=[1, 2, 3])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_side_by_side_and_each_has_one_thread(n_threads):
    found = list(side_by_side(partial(lambda i: (i, torch.get_num_threads()), i) for i in range(50)))
    assert found == [(i, 1) for i in range(50)]
    assert torch.get_num_threads() == n_threads


def test_few_wait_at_once(n_threads):
    begun: list[int] = []

    def calculations():
        for i in range(100):
            begun.append(i)
            yield partial(int, i)

    for i in side_by_side(calculations()):
        assert len(begun) <= i + n_threads + 1


@pytest.mark.usefixtures("n_threads")
def test_an_error_is_the_callers():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(side_by_side([fail]))
    assert list(side_by_side([])) == []


PROGRAM = """
import os, threading, torch
from hf_model.parallel.threads import side_by_side
torch.set_num_threads(2)
assert list(side_by_side([int, int])) == [0, 0]
later = []
thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
thread.start(); thread.join()
assert later == [2], later
child = os.fork()
if child == 0:
    os._exit(0 if list(side_by_side([int, int, int])) == [0, 0, 0] else 1)
assert os.waitpid(child, 0)[1] == 0
"""


def test_other_threads_and_forks_are_left_alone():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
