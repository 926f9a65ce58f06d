"""Signals that stop a training (time limit, preemption, Ctrl-C): recorded at once, acted on after a checkpoint.

Imports nothing slow, so that the handlers are installed early: without a handler SIGUSR1 ends a process, and Slurm
counts the job as completed.
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
"""Exit code of a training that a signal stopped: the same command resumes from its checkpoint.

EX_TEMPFAIL of sysexits.h: "the user is invited to retry"; a site may put it into ``RequeueExit`` of its slurm.conf.
"""

CTRL_C = 130
"""Exit code of a training that Ctrl-C stopped; the same command resumes from its checkpoint."""

REQUEUE = "scontrol requeue {job}"
"""Command that requeues a Slurm job."""

_CTRL_C_MESSAGE = b"\ninterrupted: a checkpoint is written at the end of this batch; Ctrl-C again stops at once\n"


class Interrupted(SystemExit):
    """A training was stopped by a signal; ends the process with the exit code for it.

    Parameters
    ----------
    signum : int
        The signal; 0 if only another process of the same training received it.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(CTRL_C if signum == signal.SIGINT else RUN_AGAIN)
        self.signum = signum

    @property
    def name(self) -> str:
        """Name of the signal."""
        return signal.Signals(self.signum).name if self.signum else "a signal to another process"


class RequeueError(OSError):
    """The job could not be requeued; the message gives the reason."""


class _SignalHandler:
    """Records the first signal; raises at once for a second Ctrl-C or while ``immediate`` is set."""

    def __init__(self) -> None:
        self.received = 0
        self.immediate = False

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        first, self.received = not self.received, self.received or signum
        if self.immediate or (signum == signal.SIGINT and not first):
            raise Interrupted(signum)
        if signum == signal.SIGINT:
            os.write(2, _CTRL_C_MESSAGE)


_HANDLER = _SignalHandler()


def install_handlers() -> None:
    """Record SIGUSR1 (time limit) and SIGTERM (preemption) from now on; Ctrl-C still interrupts."""
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(signum, _HANDLER)


def received_signal() -> int:
    """Return the first signal received, or 0."""
    return _HANDLER.received


@contextmanager
def handle_signals() -> Iterator[None]:
    """Record SIGUSR1, SIGTERM and Ctrl-C within the context; restore the previous handlers afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)}
    install_handlers()
    if previous[signal.SIGINT] is not signal.SIG_IGN:  # shells start background jobs with Ctrl-C ignored
        signal.signal(signal.SIGINT, _HANDLER)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _HANDLER.received = 0


@contextmanager
def stop_immediately() -> Iterator[None]:
    """Let a signal, even an earlier one, end the context at once: for work that loses nothing when stopped.

    Raises
    ------
    Interrupted
        When a signal was or is received.
    """
    _HANDLER.immediate = True
    try:
        if _HANDLER.received:
            raise Interrupted(_HANDLER.received)
        yield
    finally:
        _HANDLER.immediate = False


@contextmanager
def block_signals() -> Iterator[None]:
    """Block the signals within the context; processes started in it never receive them.

    Slurm and terminals send a signal to every process; a data loader must live until the checkpoint is written.
    """
    signals = {signal.SIGUSR1, signal.SIGTERM, signal.SIGINT}
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        from multiprocessing import resource_tracker

        # Its start would unblock SIGTERM and SIGINT, so it is started first.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def requeue(environment: Mapping[str, str] = os.environ) -> str:
    """Requeue the Slurm job of this process.

    The command is :data:`REQUEUE` or that of ``HUMMINGFACE_REQUEUE`` (``{job}`` is the job's number; no shell is
    involved); ``no`` turns it off. A job that is ending already, for instance a cancelled one, is not requeued.

    Returns
    -------
    str
        The job's number; empty outside Slurm, or if the job was not requeued.

    Raises
    ------
    RequeueError
        If Slurm refuses, or the command does not exist.
    """
    job, command = job_number(environment), environment.get("HUMMINGFACE_REQUEUE", "") or REQUEUE
    if not job or command == "no":
        return ""
    state = _run_slurm(["squeue", "--noheader", "--jobs", job, "--format", "%T"], check=False)
    if state not in ("", "RUNNING"):
        return ""
    _run_slurm([word.replace("{job}", job) for word in shlex.split(command)], check=True)
    return job


def job_number(environment: Mapping[str, str]) -> str:
    """Return the number of the Slurm job, ``array_task`` for one of an array; empty outside Slurm.

    SLURM_JOB_ID of an array's last job is the number of the whole array, which must not be requeued with it.
    """
    array, task = environment.get("SLURM_ARRAY_JOB_ID", ""), environment.get("SLURM_ARRAY_TASK_ID", "")
    job = f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID", "")
    return job if re.fullmatch(r"\d+(_\d+)?", job) else ""


def _run_slurm(command: list[str], *, check: bool) -> str:
    """Run a Slurm command and return its output; failures raise RequeueError if ``check``, else give ""."""
    try:
        done: Any = subprocess.run(command, capture_output=True, text=True, timeout=60, check=check)
    except (OSError, subprocess.SubprocessError) as error:
        if not check:
            return ""
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        msg = f"{' '.join(command)}: {' '.join(reason.split())}"
        raise RequeueError(msg) from error
    return str(done.stdout).strip()
