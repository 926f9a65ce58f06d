"""A Slurm cluster on this machine for tests: one controller and two nodes, in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "squeue")
NODES = ("n1", "n2")
NOT_FOR_JOBS = ("SLURM_", "SBATCH_", "COVERAGE_")
START_TIMEOUT = 30.0
"""Seconds for the start of a daemon."""

CONFIG = """\
ClusterName=tests
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={control}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=100000,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
ReturnToService=2
InactiveLimit=0
KillWait=20
OverTimeLimit=0
MinJobAge=600
SlurmctldTimeout=60
SlurmdTimeout=60
MessageTimeout=30
UnkillableStepTimeout=30
GresTypes=gpu
{nodes}
PartitionName=tests Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""
NODE = "NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=900000 {rest}"


class UnavailableError(Exception):
    """Slurm cannot run here; the message is the reason."""


class Cluster:
    """A running cluster.

    Attributes
    ----------
    env : dict
        Environment of its clients.
    folder : Path
        Configuration, state and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bin_folder = str(Path(sys.executable).parent)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(NOT_FOR_JOBS)},
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": os.pathsep.join([bin_folder, os.environ["PATH"], "/usr/sbin", "/sbin"]),
        }

    def call(self, *words: str, cwd: Path | None = None, check: bool = True, **env: str) -> str:
        """Run a command of Slurm and return its output."""
        done = subprocess.run(
            words, cwd=cwd, env={**self.env, **env}, capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def job(self, job: str) -> dict[str, str]:
        """Return the fields of a job."""
        shown = self.call("scontrol", "show", "job", "-o", job).splitlines()[0]
        return dict(part.split("=", 1) for part in shown.split() if "=" in part)

    def wait(self, job: str, *states: str, seconds: float = 120) -> dict[str, str]:
        """Wait until a job is in one of these states; returns its fields."""
        deadline = time.monotonic() + seconds
        while (found := self.job(job))["JobState"] not in states:
            assert time.monotonic() < deadline, f"job {job} is {found['JobState']}, not {states}; {self.tail(found)}"
            time.sleep(0.2)
        return found

    def tail(self, job: dict[str, str]) -> str:
        """Return the end of a job's output, for messages."""
        path = Path(job.get("StdOut", ""))
        return path.read_text(encoding="utf-8", errors="replace")[-3000:] if path.is_file() else "no output"

    def cancel_all(self, folder: Path | None = None) -> None:
        """Cancel all jobs, or those submitted in a folder, and wait for their end."""
        while jobs := [
            number
            for number, place in (line.split(" ", 1) for line in self._queue())
            if folder is None or place == str(folder)
        ]:
            self.call("scancel", *jobs, check=False)
            time.sleep(0.2)

    def _queue(self) -> list[str]:
        return self.call("squeue", "--noheader", "--format=%A %Z", check=False).splitlines()


@contextmanager
def slurm_cluster() -> Iterator[Cluster]:
    """Start munge, the controller and two nodes; stop them and their processes at the end.

    Raises
    ------
    UnavailableError
        If Slurm cannot run here.
    """
    missing = [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]
    if missing:
        raise UnavailableError(f"no Slurm: {', '.join(missing)} not found (Debian: apt-get install slurm-wlm munge)")
    if os.geteuid() != 0:
        raise UnavailableError("no Slurm: its daemons need root here")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # pytest's own folders are too long for a socket
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        cluster = Cluster(folder)
        _configure(folder)
        stack.callback(_kill_remaining, folder)
        _start(stack, cluster, _munged(folder), lambda: (folder / "munge.socket").exists())
        _start(stack, cluster, ["slurmctld", "-D", "-c"], lambda: "UP" in _answer(cluster, "ping"))
        for node in NODES:
            _start(stack, cluster, ["slurmd", "-D", "-N", node], lambda node=node: _is_idle(cluster, node))
        stack.callback(cluster.cancel_all)
        yield cluster


def _configure(folder: Path) -> None:
    control, *ports = _free_ports(1 + len(NODES))
    features = ("Feature=h200 Gres=gpu:2", "Feature=l40s Gres=gpu:2")
    nodes = [NODE.format(name=n, port=p, rest=rest) for n, p, rest in zip(NODES, ports, features, strict=True)]
    text = CONFIG.format(folder=folder, control=control, nodes="\n".join(nodes))
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    gpus = [folder / "gpu0", folder / "gpu1"]  # Slurm only counts them, but the files must exist
    for gpu in gpus:
        gpu.touch()
    lines = [f"NodeName={node} Name=gpu File={folder}/gpu[0-1]\n" for node in NODES]
    (folder / "gres.conf").write_text("".join(lines), encoding="utf-8")
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _munged(folder: Path) -> list[str]:
    places = [
        f"--{option}={folder}/munge.{end}"
        for option, end in (("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("seed-file", "seed"))
    ]
    return ["munged", "--foreground", "--force", f"--log-file={folder}/munged.log", *places]


def _start(stack: ExitStack, cluster: Cluster, words: list[str], ready) -> None:
    log = stack.enter_context((cluster.folder / f"{'-'.join(words[::2])}.out".replace("/", "_")[:60]).open("wb"))
    prefix = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []  # ends when pytest is killed
    process = subprocess.Popen(
        [*prefix, *words], env=cluster.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    stack.callback(_stop, process)
    deadline = time.monotonic() + START_TIMEOUT
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            logs = "".join(
                path.read_text(encoding="utf-8", errors="replace")[-600:]
                for path in (*cluster.folder.glob("*.out"), *cluster.folder.glob("*.log"))
            )
            raise UnavailableError(f"no Slurm: {words[0]} did not start: {' '.join(logs.split())[-1500:]}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answer(cluster: Cluster, *words: str) -> str:
    return cluster.call("scontrol", *words, check=False)


def _is_idle(cluster: Cluster, node: str) -> bool:
    return "State=IDLE" in _answer(cluster, "show", "node", "-o", node).replace("*", "")


def _kill_remaining(folder: Path) -> None:
    """Kill the remaining processes of this cluster: step daemons and tasks are no children of its daemons."""
    mark = f"SLURM_CONF={folder}/".encode()
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(place.name) != os.getpid() and mark in (place / "environ").read_bytes():
                os.kill(int(place.name), signal.SIGKILL)
