"""Who does the work of align and stft: this process, processes of this machine, or with RUNNER=slurm jobs of a cluster.

A job is as many workers as the profile's ``cpus``; HUMMINGFACE_WORKERS is the number of all workers. Where the work is
done changes no byte of what comes out.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hf_model.parallel.dask_cluster import Crew
from hf_model.parallel.workers import Workers, can_spread
from stages import _run
from stages.cluster import jobs
from stages.cluster.site import LOGS, Site, quoted, read_site, seconds

SCRATCH = Path("data/scratch/dask")
"""What Dask keeps on disk: certificates of a crew and the locks of its workers. Ignored by git and DVC."""

NAME = "dask-worker"


@contextmanager
def open_workers() -> Iterator[Workers]:
    """Gather the workers of a stage, and dismiss them in the end.

    Raises
    ------
    hf_model.config.ConfigError, stages.cluster.jobs.SlurmError
        For a profile that does not suit, or where there is no Slurm.
    """
    profile = jobs.profile()
    if profile:
        site = read_site(profile, "cpu")
        count = _run.workers() if os.environ.get("HUMMINGFACE_WORKERS") else site.cpus
        with Crew(count, SCRATCH, Jobs(replace(site, nodes=1, tasks=1, cpus=min(site.cpus, count)), count)) as found:
            yield found
        return
    count = _run.workers()
    if count == 1 or not can_spread():
        yield 1
        return
    with Crew(count, SCRATCH) as found:
        yield found


@dataclass
class Jobs:
    """Workers in jobs, replaced when they are preempted, lost, or at the end of their time."""

    site: Site
    count: int
    cluster: Any = None
    came: set[str] = field(default_factory=set)

    def open(self, security: Any, scratch: Path) -> Any:
        """Submit the jobs; the result is a Dask cluster.

        Raises
        ------
        stages.cluster.jobs.SlurmError
            When Slurm refuses the job, or is not there.
        """
        import dask
        from dask_jobqueue import SLURMCluster

        site, folder = self.site, Path.cwd()
        LOGS.mkdir(parents=True, exist_ok=True)
        network: dict[str, Any] = {"interface": site.interface} if site.interface else {}
        settings = dask.config.serialize(dask.config.config)
        self.cluster = SLURMCluster(
            cores=site.cpus,
            processes=site.cpus,
            memory=_bytes(site.memory) or "1GB",
            job_directives_skip=["#SBATCH"],  # the profile's own take their place
            job_extra_directives=[quoted(option) for option in site.directives(NAME, folder)],
            job_script_prologue=[
                'trap "" USR1',  # the warning before the limit is for trainings
                *site.prologue(),
                f"export DASK_INTERNAL_INHERIT_CONFIG={settings} OMP_NUM_THREADS=1",
            ],
            python=shlex.join(site.wrapped(["python"], folder)),
            worker_extra_args=["--preload", "hf_model.parallel.dask_cluster", "--no-dashboard", *_limits(site)],
            death_timeout=120,
            local_directory=str(scratch.absolute()),
            security=security,
            scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0", **network},
            **network,
        )
        _check_accepted(self.cluster.job_script())
        self.cluster.scale(self.count)
        print(f"{self.count} workers asked for, {site.cpus} a job; they print into {LOGS}/{NAME}-*", flush=True)
        return self.cluster

    def tend(self) -> None:
        """Submit anew what is gone.

        Raises
        ------
        stages.cluster.jobs.SlurmError
            When a job ended before any of its workers came: it would end like that again.
        """
        here = {str(worker["name"]) for worker in self.cluster.scheduler_info["workers"].values()}
        # Numbers, not jobs: Dask takes offence at a job that anything still refers to when the cluster closes.
        for name, number in [(name, job.job_id or "0") for name, job in self.cluster.workers.items()]:
            if any(one == str(name) or one.startswith(f"{name}-") for one in here):
                self.came.add(number)
            elif number in self.came:
                print(f"job {number} is gone; another takes its place", flush=True)
                self.cluster.sync(self.cluster.workers.pop(name).close)
            elif any(one["JobState"] in jobs.FINAL for one in jobs.show_job(number)):
                jobs.show_end(jobs.log(number, NAME))
                msg = f"job {number} ended before its workers came: see {jobs.log(number, NAME)}"
                raise jobs.SlurmError(msg)
        self.cluster.scale(self.count)


def _limits(site: Site) -> list[str]:
    """Let workers end by themselves shortly before Slurm ends them; and those without a known memory be unlimited."""
    limit = seconds(site.time)
    lifetime = ["--lifetime", f"{limit - 300}s", "--lifetime-stagger", "120s"] if limit > 900 else []
    return lifetime + ([] if site.memory else ["--memory-limit", "0"])


def _bytes(memory: str) -> str:
    """Write an amount of memory as Dask reads it; Slurm's plain numbers are megabytes."""
    return f"{memory}MB" if memory.isdecimal() else memory


def _check_accepted(script: str) -> None:
    try:
        done = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        msg = "sbatch not found: this machine is no login node of a cluster (or needs a module)"
        raise jobs.SlurmError(msg) from None
    if done.returncode:
        msg = f"sbatch refused: {' '.join(done.stderr.split())}"
        raise jobs.SlurmError(msg)
