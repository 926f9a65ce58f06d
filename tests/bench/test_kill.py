"""Killed commands: the small version of `python -m bench kill`, and that it finds what is broken."""

from __future__ import annotations

import subprocess
import sys

BROKEN = """
import shutil, sys
from contextlib import contextmanager
from pathlib import Path
from bench.reliability import kill
from stages import _run

@contextmanager
def output(path, *, resume=False, beside=()):
    shutil.rmtree(path, ignore_errors=True)
    Path(path).mkdir(parents=True)
    yield Path(path)

_run.output = output
print(next(kill.measure(4, ["download"], 0))["result"])
"""


def run(root, *arguments):
    # in a process of its own, because it forks
    return subprocess.run([sys.executable, *arguments], cwd=root, capture_output=True, text=True, check=False)


def test_killed_commands_leave_nothing_broken(root):
    done = run(root, "-m", "bench", "kill", "--moments", "8", "--only", "download", "stft")
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("SIGKILL")]
    assert len(rows) == 2
    for _, target, result, _ in rows:
        assert result.startswith(f"{target} of "), done.stderr


def test_output_written_in_place_is_found(root):
    done = run(root, "-c", BROKEN)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 0
    assert "looks whole and is not: data/raw" in done.stderr
