"""Jobs: submitted, waited for, cancelled; ``RUNNER=slurm`` makes a stage submit itself and wait.

Where a stage runs is environment, never a parameter: ``RUNNER`` (local or slurm) and ``HUMMINGFACE_SLURM_PROFILE``. The
outputs are the same files either way.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from hf_model.config import check_choice
from stages.cluster.site import LOGS, Site, read_site

RUNNERS = ("local", "slurm")
POLL = float(os.environ.get("HUMMINGFACE_SLURM_POLL", "10"))
"""Seconds between two questions to the controller."""

SHOWN = 20
"""Lines of a failed job's output that are shown."""

VISIBLE = 60.0
"""Seconds that a network disk gets to show here what a node wrote."""

FINAL = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT"),
}


class SlurmError(RuntimeError):
    """Slurm refused, or a job failed; one line."""


def elsewhere(job: str, words: Sequence[str], makes: Path) -> bool:
    """Do a stage's work as a job, where RUNNER says so, and wait for it.

    Parameters
    ----------
    job : str
        What the work needs: "train" or "cpu".
    words : sequence of str
        The stage as a module with its arguments: "stages.train", "transcriber".
    makes : Path
        What the stage writes.

    Returns
    -------
    bool
        Whether it was done elsewhere; False means: do it here.

    Raises
    ------
    SlurmError
        When the job fails or is cancelled.
    """
    chosen = profile()
    if not chosen:
        return False
    site, name = read_site(chosen, job), "-".join([words[0].removeprefix("stages."), *words[1:]])
    note = LOGS / f"{name}.job"
    number = _still_there(note, name)
    if number:
        print(f"{name}: job {number} of an earlier call is still there; waiting for it", flush=True)
        _finish(number, name, None)
    else:
        script = site.script(["python", "-m", *words], name, Path.cwd())
        with submitted(script, wait=True) as (number, waiting):
            note.write_text(number, encoding="utf-8")
            print(f"{name}: job {number} on {chosen}; it prints into {log(number, name)}", flush=True)
            print("Ctrl-C cancels it; closing this terminal leaves it to run, and the same command waits for it again")
            _finish(number, name, waiting)
    _await(makes, number)
    note.unlink(missing_ok=True)
    return True


def profile() -> str:
    """Name the profile to run on, where RUNNER says slurm; an empty string means: here."""
    runner = os.environ.get("RUNNER") or "local"
    check_choice("RUNNER", runner, RUNNERS)
    chosen = os.environ.get("HUMMINGFACE_SLURM_PROFILE", "")
    if runner == "slurm" and not chosen:
        msg = "RUNNER=slurm needs HUMMINGFACE_SLURM_PROFILE: a name in slurm/profiles, or the path of a YAML file"
        raise SlurmError(msg)
    return chosen if runner == "slurm" else ""


@contextmanager
def submitted(script: str, *, wait: bool) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Submit a batch script: the job's number, and sbatch, which waits for the job's end where ``wait`` is set.

    Raises
    ------
    SlurmError
        When sbatch is missing or refuses, in its own words.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    # A job that submits a job: what describes the one must not describe the other.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_") or name == "SLURM_CONF"}
    words = ["sbatch", "--parsable", *(["--wait"] if wait else [])]
    pipe = subprocess.PIPE
    try:
        # In a session of its own: Ctrl-C is ours to handle.
        process = subprocess.Popen(
            words, env=kept, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
    except FileNotFoundError:
        msg = "sbatch not found: this machine is no login node of a cluster (or needs a module)"
        raise SlurmError(msg) from None
    assert process.stdin
    assert process.stdout
    assert process.stderr
    try:
        with suppress(BrokenPipeError):
            process.stdin.write(script)
            process.stdin.close()
        number = process.stdout.readline().strip().partition(";")[0]
        if not number.isdecimal():
            refused = " ".join(process.stderr.read().split())
            msg = f"sbatch refused: {refused or 'without a word'}"
            raise SlurmError(msg)
        yield number, process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            stream.close()


def show_job(number: str) -> list[dict[str, str]]:
    """Ask the controller about a job: its fields, one mapping for each task of an array; none when it is forgotten."""
    words = ["scontrol", "--oneliner", "show", "job", number]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    # Values may hold spaces; the names of fields never do.
    return [dict(re.findall(r"([A-Z]\S*?)=(.*?)(?= [A-Z]\S*=|$)", line)) for line in done.stdout.splitlines()]


def follow(number: str, waiting: subprocess.Popen[str] | None = None) -> tuple[str, int]:
    """Wait until a job has ended for good; one that goes back to the queue has not.

    Parameters
    ----------
    number : str
        The job.
    waiting : process, optional
        ``sbatch --wait``, whose exit code is the job's; it is believed only when nothing is left of the job.

    Returns
    -------
    state, exit_code : str, int
        Of an array, the worst.
    """
    while True:
        if waiting:
            waiting.wait()
        fields = show_job(number)
        if not fields and waiting:
            return ("COMPLETED" if waiting.returncode == 0 else "FAILED"), waiting.returncode
        if not fields:
            msg = f"job {number}: the cluster no longer knows it; look into {LOGS}"
            raise SlurmError(msg)
        if all(one["JobState"] in FINAL for one in fields):
            worst = max(fields, key=lambda one: (one["JobState"] != "COMPLETED", _exit_code(one)))
            return worst["JobState"], _exit_code(worst)
        time.sleep(POLL)


def log(number: str, name: str) -> Path:
    """Name the file into which a single job prints."""
    return LOGS / f"{name}-{number}.out"


def _exit_code(fields: dict[str, str]) -> int:
    code, _, killed = fields.get("ExitCode", "0:0").partition(":")
    return int(code) or (128 + int(killed) if int(killed) else 0)


def _finish(number: str, name: str, waiting: subprocess.Popen[str] | None) -> None:
    """Wait for a job as a stage does: cancel it on Ctrl-C, leave it when the terminal closes, tell why it failed."""
    before = {one: signal.signal(one, _leave) for one in (signal.SIGHUP, signal.SIGTERM)}
    try:
        state, code = follow(number, waiting)
    except KeyboardInterrupt:
        subprocess.run(["scancel", number], check=False)
        print(f"{name}: job {number} is cancelled; a training goes on from its checkpoint next time", flush=True)
        raise
    except SystemExit:
        with suppress(OSError):  # the terminal is gone
            print(f"{name}: job {number} runs on; the same command waits for it again", flush=True)
        raise
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    if state != "COMPLETED" or code:
        show_end(log(number, name))
        msg = f"job {number} ({name}) ended as {state} with exit code {code}; all it printed: {log(number, name)}"
        raise SlurmError(msg)


def _leave(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def show_end(path: Path) -> None:
    """Print the last lines of a job's output."""
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN:]:
            print(f"  | {line}", file=sys.stderr)


def _still_there(note: Path, name: str) -> str:
    """Find the job that an earlier call left behind, if it is this one's and has not ended; else an empty string."""
    if not note.is_file():
        return ""
    number = note.read_text(encoding="utf-8").strip()
    ours = {"JobName": name, "WorkDir": str(Path.cwd())}
    for fields in show_job(number) if number.isdecimal() else []:
        if fields["JobState"] not in FINAL and all(fields.get(key) == value for key, value in ours.items()):
            return number
    return ""


def _await(makes: Path, number: str) -> None:
    deadline = time.monotonic() + VISIBLE
    while not makes.exists():
        if time.monotonic() > deadline:
            msg = f"job {number} ended well, but {makes} is not here: is this folder on a disk that the nodes share?"
            raise SlurmError(msg)
        with suppress(OSError):
            list(makes.parent.iterdir())  # makes a network disk look again
        time.sleep(0.5)


def describe(site: Site, command: Sequence[str]) -> str:
    """Say in one line what a job will ask for."""
    gpus = f", {site.gres}" if site.gres else ""
    return f"{shlex.join(command)}: {site.nodes} x {site.tasks} tasks, {site.cpus} CPUs each{gpus}, {site.time}"
