"""Closed pipes, full disks and closed streams; signals."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hf_model.cli.main import main
from hf_model.cli.streams import BROKEN_PIPE, GuardedStream, StandardOutputError, guarded_output, sigterm_as_interrupt

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = f"'{sys.executable}' -m hf_model.cli"
FULL = b"hummingface: error: cannot write to standard output: No space left on device\n"

SHELL = {
    "a full disk": (f"{PROGRAM} completion bash > /dev/full", 1, FULL),
    "a full disk under help": (f"{PROGRAM} --help > /dev/full", 1, FULL),
    "a reader that has gone": (f"set -o pipefail; {PROGRAM} completion bash | true", BROKEN_PIPE, b""),
    "closed standard output": (f"{PROGRAM} completion bash >&-", 0, b""),
    "closed standard error": (f"{PROGRAM} convert nothing.wav --out-dir /dev/null/out 2>&-", 1, b""),
    "full standard error": (f"{PROGRAM} convert nothing.wav --out-dir /dev/null/out 2> /dev/full", 1, b""),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("name", SHELL)
def test_streams_that_cannot_be_written(name: str) -> None:
    command, code, said = SHELL[name]
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)


class FullStream(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


class ClosedPipe(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_stream_keeps_its_first_error_and_goes_on() -> None:
    stream = GuardedStream(FullStream())
    assert (stream.write("a"), stream.write("bc")) == (1, 2)
    stream.flush()
    assert stream.error is not None
    assert stream.error.errno == 28
    assert not stream.isatty()


def test_the_work_is_done_before_a_full_disk_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", FullStream())
    done = []

    def work() -> None:
        with guarded_output():
            for item in range(3):
                sys.stdout.write(str(item))
                sys.stdout.flush()
                done.append(item)

    with pytest.raises(StandardOutputError, match="cannot write to standard output: No space left on device"):
        work()
    assert done == [0, 1, 2]


def test_a_closed_pipe_ends_the_program_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", ClosedPipe())
    assert main(["completion", "bash"]) == BROKEN_PIPE


def test_sigterm_is_an_interrupt() -> None:
    def terminate() -> None:
        with sigterm_as_interrupt():
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()

    with pytest.raises(KeyboardInterrupt):
        terminate()
