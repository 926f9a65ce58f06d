"""Signals that ask a training to stop: remembered from the first moment on, acted on when a checkpoint can be kept.

Imports nothing that takes time, so that a signal finds somebody who listens: without a handler SIGUSR1 ends a process,
and Slurm counts the job as done.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

RUN_AGAIN = 75
"""Exit code of a training that a signal stopped: a checkpoint is kept, the same command goes on from it.

EX_TEMPFAIL of sysexits.h: "the user is invited to retry"; a site may put it into ``RequeueExit`` of its slurm.conf.
"""

CTRL_C = 130
"""Exit code of a training that Ctrl-C stopped; the same command goes on from its checkpoint as well."""

REQUEUE = "scontrol requeue {job}"
"""What puts a Slurm job back into the queue."""

_STOPPING = b"\ninterrupted: a checkpoint is kept at the end of this batch; Ctrl-C again stops at once\n"


class Interrupted(SystemExit):
    """A training stopped because a signal asked for it; ends the process with the code that says so.

    Parameters
    ----------
    signum : int
        The signal; 0 when only another process of the same training heard it.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(CTRL_C if signum == signal.SIGINT else RUN_AGAIN)
        self.signum = signum

    @property
    def name(self) -> str:
        """Name of the signal."""
        return signal.Signals(self.signum).name if self.signum else "a signal to another process"


class RequeueError(OSError):
    """The job was not put back into the queue; the message says why."""


class _Listener:
    """The handler: one a process, as signals are."""

    def __init__(self) -> None:
        self.heard = 0
        self.at_once = False

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        first, self.heard = not self.heard, self.heard or signum
        if self.at_once or (signum == signal.SIGINT and not first):
            raise Interrupted(signum)
        if signum == signal.SIGINT:
            os.write(2, _STOPPING)


_LISTENER = _Listener()


def listen() -> None:
    """Remember SIGUSR1 (the time limit is near) and SIGTERM (preemption) from now on; Ctrl-C still interrupts."""
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(signum, _LISTENER)


def heard() -> int:
    """Give the signal that asked to stop, or 0."""
    return _LISTENER.heard


@contextmanager
def listening() -> Iterator[None]:
    """Remember signals, and Ctrl-C too, while the block runs; afterwards everything is as before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)}
    listen()
    if before[signal.SIGINT] is not signal.SIG_IGN:  # a shell starts what runs in the background deaf to Ctrl-C
        signal.signal(signal.SIGINT, _LISTENER)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _LISTENER.heard = 0


@contextmanager
def at_once() -> Iterator[None]:
    """Let a signal end the block where it stands, also one that came before: for work that nothing is lost of.

    Raises
    ------
    Interrupted
        When there is a signal.
    """
    _LISTENER.at_once = True
    try:
        if _LISTENER.heard:
            raise Interrupted(_LISTENER.heard)
        yield
    finally:
        _LISTENER.at_once = False


@contextmanager
def withheld() -> Iterator[None]:
    """Hold signals back while the block runs; processes that are started in it never get them.

    Slurm and terminals send a signal to every process; one that reads batches must live until the checkpoint is kept.
    """
    signals = {signal.SIGUSR1, signal.SIGTERM, signal.SIGINT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        from multiprocessing import resource_tracker

        # Its start would end the blocking of SIGTERM and SIGINT, so it comes first.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def requeue(environment: Mapping[str, str] = os.environ) -> str:
    """Put the Slurm job that this process belongs to back into the queue.

    The command is :data:`REQUEUE`; ``HUMMINGFACE_REQUEUE`` may name a site's own (``{job}`` stands for the job's
    number, no shell reads it) or say ``no``. A job that is ending already, as one that was cancelled, is left alone.

    Returns
    -------
    str
        The job's number; empty where there is no Slurm job, or it is not to be put back.

    Raises
    ------
    RequeueError
        If Slurm refuses, or there is no such command.
    """
    job, wanted = job_number(environment), environment.get("HUMMINGFACE_REQUEUE", "") or REQUEUE
    if not job or wanted == "no":
        return ""
    state = _answer(["squeue", "--noheader", "--jobs", job, "--format", "%T"], must=False)
    if state not in ("", "RUNNING"):
        return ""
    _answer([word.replace("{job}", job) for word in shlex.split(wanted)], must=True)
    return job


def job_number(environment: Mapping[str, str]) -> str:
    """Name the Slurm job, one of an array by its place in it; empty outside Slurm.

    The last job of an array has the number of the whole array, which must not be put back with it.
    """
    array, task = environment.get("SLURM_ARRAY_JOB_ID", ""), environment.get("SLURM_ARRAY_TASK_ID", "")
    job = f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID", "")
    return job if re.fullmatch(r"\d+(_\d+)?", job) else ""


def _answer(command: list[str], *, must: bool) -> str:
    """Run a command of Slurm and give what it prints."""
    try:
        done: Any = subprocess.run(command, capture_output=True, text=True, timeout=60, check=must)
    except (OSError, subprocess.SubprocessError) as error:
        if not must:
            return ""
        said = (getattr(error, "stderr", None) or str(error)).strip()
        msg = f"{' '.join(command)}: {' '.join(said.split())}"
        raise RequeueError(msg) from error
    return str(done.stdout).strip()
