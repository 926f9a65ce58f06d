"""Slurm jobs: submit, wait, cancel. With ``RUNNER=slurm`` a stage submits itself as a job and waits for it.

Where a stage runs is environment, never a parameter: ``RUNNER`` (local or slurm) and ``HUMMINGFACE_SLURM_PROFILE``. The
outputs are the same files either way.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from hf_model.config import check_choice
from stages.cluster.site import LOGS, read_site

RUNNERS = ("local", "slurm")
POLL = float(os.environ.get("HUMMINGFACE_SLURM_POLL", "10"))
"""Seconds between two requests to the controller."""

MAX_PRINTED = 20
"""Lines of a failed job's output that are printed."""

OUTPUT_TIMEOUT = 60.0
"""Seconds until the output of a node must be visible here, on a network disk."""

FINAL_STATES = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT"),
}


class SlurmError(RuntimeError):
    """Slurm refused a job, or a job failed; the message is one line."""


def run_as_job(kind: str, command: Sequence[str], output: Path) -> bool:
    """Run a stage as a Slurm job if ``RUNNER=slurm``, and wait for it.

    Parameters
    ----------
    kind : str
        Part of the profile: "train" or "cpu".
    command : sequence of str
        The stage's module and its arguments: "stages.train", "transcriber".
    output : Path
        The output of the stage.

    Returns
    -------
    bool
        Whether the stage ran as a job; if False, the caller runs it in this process.

    Raises
    ------
    SlurmError
        When the job fails or is cancelled.
    """
    profile = chosen_profile()
    if not profile:
        return False
    site, name = read_site(profile, kind), "-".join([command[0].removeprefix("stages."), *command[1:]])
    job_file = LOGS / f"{name}.job"
    job = _find_unfinished_job(job_file, name)
    if job:
        print(f"{name}: job {job} of an earlier call has not ended; waiting for it", flush=True)
        _wait_as_stage(job, name, None)
    else:
        script = site.script(["python", "-m", *command], name, Path.cwd())
        with submit_script(script, wait=True) as (job, sbatch):
            job_file.write_text(job, encoding="utf-8")
            print(f"{name}: job {job} on {profile}; output: {log_path(job, name)}", flush=True)
            print("Ctrl-C cancels it; it continues when this terminal closes, and the same command waits for it again")
            _wait_as_stage(job, name, sbatch)
    _wait_for_output(output, job)
    job_file.unlink(missing_ok=True)
    return True


def chosen_profile() -> str:
    """Return the profile to use if ``RUNNER=slurm``, else an empty string."""
    runner = os.environ.get("RUNNER") or "local"
    check_choice("RUNNER", runner, RUNNERS)
    chosen = os.environ.get("HUMMINGFACE_SLURM_PROFILE", "")
    if runner == "slurm" and not chosen:
        msg = "RUNNER=slurm needs HUMMINGFACE_SLURM_PROFILE: a name in slurm/profiles, or the path of a YAML file"
        raise SlurmError(msg)
    return chosen if runner == "slurm" else ""


@contextmanager
def submit_script(script: str, *, wait: bool) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Submit a batch script; yields the job number and the sbatch process, which with ``wait`` ends with the job.

    Raises
    ------
    SlurmError
        When sbatch is missing or refuses; the message quotes it.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    # A job may submit a job: the variables that describe the outer one must not describe the inner one.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_") or name == "SLURM_CONF"}
    words = ["sbatch", "--parsable", *(["--wait"] if wait else [])]
    pipe = subprocess.PIPE
    try:
        # In its own session, so that Ctrl-C reaches only this process.
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
        job = process.stdout.readline().strip().partition(";")[0]
        if not job.isdecimal():
            refused = " ".join(process.stderr.read().split())
            msg = f"sbatch refused: {refused or 'no message'}"
            raise SlurmError(msg)
        yield job, process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            stream.close()


def show_job(job: str) -> list[dict[str, str]]:
    """Return the fields of a job, one mapping for each task of an array; an unknown job has none."""
    words = ["scontrol", "--oneliner", "show", "job", job]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    # Values may contain spaces, names of fields do not.
    return [dict(re.findall(r"([A-Z]\S*?)=(.*?)(?= [A-Z]\S*=|$)", line)) for line in done.stdout.splitlines()]


def wait_for_job(job: str, sbatch: subprocess.Popen[str] | None = None) -> tuple[str, int]:
    """Wait until a job has reached a final state; a requeued job has not.

    Parameters
    ----------
    job : str
        Job number.
    sbatch : process, optional
        ``sbatch --wait``, whose exit code is the job's; used only when the controller has no record of the job.

    Returns
    -------
    state, exit_code : str, int
        Of an array, the worst.

    Raises
    ------
    SlurmError
        When the controller has no record of the job and there is no ``sbatch``.
    """
    while True:
        if sbatch:
            sbatch.wait()
        fields = show_job(job)
        if not fields and sbatch:
            return ("COMPLETED" if sbatch.returncode == 0 else "FAILED"), sbatch.returncode
        if not fields:
            msg = f"job {job}: the cluster has no record of it; its output is in {LOGS}"
            raise SlurmError(msg)
        if all(one["JobState"] in FINAL_STATES for one in fields):
            worst = max(fields, key=lambda one: (one["JobState"] != "COMPLETED", _exit_code(one)))
            return worst["JobState"], _exit_code(worst)
        time.sleep(POLL)


def log_path(job: str, name: str) -> Path:
    """Return the output file of a single job."""
    return LOGS / f"{name}-{job}.out"


def _exit_code(fields: dict[str, str]) -> int:
    code, _, killed = fields.get("ExitCode", "0:0").partition(":")
    return int(code) or (128 + int(killed) if int(killed) else 0)


def _wait_as_stage(job: str, name: str, sbatch: subprocess.Popen[str] | None) -> None:
    """Wait for a job; Ctrl-C cancels it, a closed terminal does not. Raises :class:`SlurmError` when it failed."""
    before = {one: signal.signal(one, _exit) for one in (signal.SIGHUP, signal.SIGTERM)}
    try:
        state, code = wait_for_job(job, sbatch)
    except KeyboardInterrupt:
        subprocess.run(["scancel", job], check=False)
        print(f"{name}: job {job} is cancelled; a training continues from its checkpoint next time", flush=True)
        raise
    except SystemExit:
        with suppress(OSError):  # the terminal is closed
            print(f"{name}: job {job} continues; the same command waits for it again", flush=True)
        raise
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    if state != "COMPLETED" or code:
        print_log_tail(log_path(job, name))
        msg = f"job {job} ({name}) ended as {state} with exit code {code}; full output: {log_path(job, name)}"
        raise SlurmError(msg)


def _exit(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def print_log_tail(path: Path) -> None:
    """Print the last lines of a job's output."""
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-MAX_PRINTED:]:
            print(f"  | {line}", file=sys.stderr)


def _find_unfinished_job(job_file: Path, name: str) -> str:
    """Return the job of an earlier call if it has this name and folder and has not ended, else an empty string."""
    if not job_file.is_file():
        return ""
    job = job_file.read_text(encoding="utf-8").strip()
    expected = {"JobName": name, "WorkDir": str(Path.cwd())}
    for fields in show_job(job) if job.isdecimal() else []:
        if fields["JobState"] not in FINAL_STATES and all(fields.get(key) == value for key, value in expected.items()):
            return job
    return ""


def _wait_for_output(output: Path, job: str) -> None:
    deadline = time.monotonic() + OUTPUT_TIMEOUT
    while not output.exists():
        if time.monotonic() > deadline:
            msg = f"job {job} ended well, but {output} is not here: is this folder on a disk that the nodes share?"
            raise SlurmError(msg)
        with suppress(OSError):
            list(output.parent.iterdir())  # refreshes the cache of a network disk
        time.sleep(0.5)
