"""Jobs in workers: ordered, lazy, and ended by an exception."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hf_model.parallel import workers as worker_pool
from hf_model.parallel.dask_cluster import DaskWorkers, WorkersError
from hf_model.parallel.workers import run_all


def double(number: int) -> int:
    if number == 13:
        msg = "thirteen"
        raise ValueError(msg)
    return 2 * number


def die_once(job: tuple[Path, int]) -> int:
    """Kill the first worker that runs job 3."""
    folder, number = job
    marker = folder / "died"
    if number == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def describe_process(_: int) -> tuple[int, str | None, bool]:
    return os.getpid(), os.environ.get("OMP_NUM_THREADS"), signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_results_are_ordered_in_this_process():
    assert list(run_all(double, range(9), title="doubling")) == [0, 2, 4, 6, 8, 10, 12, 14, 16]


def test_results_are_ordered_in_workers(dask_workers):
    assert list(run_all(double, range(20, 80), workers=dask_workers, title="doubling")) == list(range(40, 160, 2))


def test_exception_of_a_job_is_raised(dask_workers):
    for workers in (1, dask_workers):
        with pytest.raises(ValueError, match="thirteen"):
            list(run_all(double, [1, 13, 2], workers=workers))
    assert list(run_all(double, [4], workers=dask_workers)) == [8]


def test_jobs_are_consumed_as_results_are_yielded(dask_workers):
    consumed = []

    def jobs() -> Iterator[int]:
        for number in range(1000):
            consumed.append(number)
            yield number

    results = run_all(double, jobs(), workers=dask_workers)
    assert next(results) == 0
    assert len(consumed) < 20
    results.close()


def test_workers_have_one_thread_and_ignore_sigint(dask_workers):
    processes = set(run_all(describe_process, range(20), workers=dask_workers))
    assert os.getpid() not in {pid for pid, *_ in processes}
    assert {(threads, ignored) for _, threads, ignored in processes} == {("1", True)}


def test_workers_listen_locally_and_need_a_certificate(dask_workers):
    from distributed import Client

    list(run_all(double, [1], workers=dask_workers))
    pids = {os.getpid(), *(pid for pid, *_ in run_all(describe_process, range(20), workers=dask_workers))}
    addresses = listening_addresses(pids)
    assert addresses
    assert all(address.startswith("0100007F:") for address in addresses), addresses
    with pytest.raises((OSError, TypeError)):
        Client(dask_workers._client.scheduler.address, timeout=5)


def listening_addresses(pids: set[int]) -> list[str]:
    """Addresses, in hexadecimal as in /proc, on which these processes listen."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            target = link.readlink() if link.is_symlink() else Path()
            inodes |= {str(target)[8:-1]} if str(target).startswith("socket:") else set()
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]


def test_job_of_a_killed_worker_is_repeated(dask_workers, tmp_path):
    assert list(run_all(die_once, [(tmp_path, n) for n in range(12)], workers=dask_workers)) == list(range(0, 24, 2))
    assert (tmp_path / "died").exists()


def test_job_that_kills_every_worker_is_reported(dask_workers, monkeypatch):
    list(run_all(double, [1], workers=dask_workers))
    # 1 instead of 3, because every death takes seconds.
    monkeypatch.setattr(dask_workers._client.cluster.scheduler, "allowed_failures", 1)
    with pytest.raises(WorkersError, match=r"^die, job 0: each worker that ran it died"):
        list(run_all(die, [0], workers=dask_workers))


@pytest.mark.parametrize("kind", ["cancelled", "closed"])
def test_lost_scheduler_is_reported(kind):
    """The scheduler is a thread of the stage's own process, so a lost one is simulated."""
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    def result():
        raise FutureCancelledError("double-0a-3", "lost") if kind == "cancelled" else CommClosedError("lost")

    future = SimpleNamespace(key="double-0a-3", result=result)
    with pytest.raises(WorkersError, match=r"^double, job 3: Dask's scheduler was lost; run the same command again$"):
        DaskWorkers(1)._result(future)


def test_without_dask_jobs_run_in_this_process(monkeypatch, capsys):
    monkeypatch.setattr(worker_pool, "find_spec", lambda _: None)
    assert next(run_all(describe_process, range(2), workers=4))[0] == os.getpid()
    assert "Dask is not installed" in capsys.readouterr().err


def test_ctrl_c_leaves_no_worker_and_no_traceback(tmp_path, root):
    """Send SIGINT to the whole process group, as a terminal does."""
    (tmp_path / "jobs.py").write_text(
        "import os, time, pathlib\nfrom hf_model.parallel.workers import run_all\nfrom stages import _run\n"
        "def slow(n):\n    pathlib.Path(f'{os.getpid()}.pid').touch()\n    time.sleep(0.2)\n    return n\n"
        "def main():\n    for _ in run_all(slow, range(1000), workers=2):\n        pass\n"
        "if __name__ == '__main__':\n    import jobs\n    _run.main(jobs.main)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{tmp_path}"}
    program = [
        sys.executable,
        "-c",
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import runpy; runpy.run_path('jobs.py', run_name='__main__')",
    ]
    running = subprocess.Popen(
        program, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list(tmp_path.glob("*.pid")):
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    errors = running.communicate(timeout=60)[1]
    assert errors == "error: interrupted; no incomplete output was kept\n"
    assert running.returncode == 130
    for path in tmp_path.glob("*.pid"):
        assert not Path(f"/proc/{path.stem}").exists()
