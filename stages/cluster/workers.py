"""Workers of the align and stft stages: this process, local processes, or Slurm jobs with ``RUNNER=slurm``.

A job has as many workers as the profile's ``cpus``; HUMMINGFACE_WORKERS is the total number of workers. The output does
not depend on where the work is done.
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

from hf_model.parallel.dask_cluster import DaskWorkers
from hf_model.parallel.workers import Workers, has_dask
from stages import _run
from stages.cluster import jobs
from stages.cluster.site import LOGS, Site, limit_in_seconds, quote_option, read_site

SCRATCH = Path("data/scratch/dask")
"""Dask's files: certificates and locks of the workers. Ignored by git and DVC."""

NAME = "dask-worker"


@contextmanager
def open_workers() -> Iterator[Workers]:
    """Open the workers of a stage, and close them at the end.

    Raises
    ------
    hf_model.config.ConfigError, stages.cluster.jobs.SlurmError
        For an invalid profile, or without Slurm.
    """
    profile = jobs.chosen_profile()
    if profile:
        site = read_site(profile, "cpu")
        count = _run.workers() if os.environ.get("HUMMINGFACE_WORKERS") else site.cpus
        site = replace(site, nodes=1, tasks=1, cpus=min(site.cpus, count))
        with DaskWorkers(count, SCRATCH, SlurmWorkers(site, count)) as workers:
            yield workers
        return
    count = _run.workers()
    if count == 1 or not has_dask():
        yield 1
        return
    with DaskWorkers(count, SCRATCH) as workers:
        yield workers


@dataclass
class SlurmWorkers:
    """Dask workers in Slurm jobs, replaced when their job is preempted, lost or at its time limit."""

    site: Site
    count: int
    cluster: Any = None
    connected: set[str] = field(default_factory=set)

    def open(self, security: Any, scratch: Path) -> Any:
        """Submit the jobs and return the Dask cluster.

        Raises
        ------
        stages.cluster.jobs.SlurmError
            When Slurm refuses the job or is not installed.
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
            job_directives_skip=["#SBATCH"],  # replaced by the profile's own
            job_extra_directives=[quote_option(option) for option in site.directives(NAME, folder)],
            job_script_prologue=[
                'trap "" USR1',  # the warning before the time limit is for trainings
                *site.prologue(),
                f"export DASK_INTERNAL_INHERIT_CONFIG={settings} OMP_NUM_THREADS=1",
            ],
            python=shlex.join(site.wrap(["python"], folder)),
            worker_extra_args=["--preload", "hf_model.parallel.dask_cluster", "--no-dashboard", *_limits(site)],
            death_timeout=120,
            local_directory=str(scratch.absolute()),
            security=security,
            scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0", **network},
            **network,
        )
        _check_accepted(self.cluster.job_script())
        self.cluster.scale(self.count)
        print(f"{self.count} workers requested, {site.cpus} per job; output: {LOGS}/{NAME}-*", flush=True)
        return self.cluster

    def replace_lost_workers(self) -> None:
        """Submit jobs again that have ended.

        Raises
        ------
        stages.cluster.jobs.SlurmError
            When a job ended before any of its workers connected: the next one would end in the same way.
        """
        connected = {str(worker["name"]) for worker in self.cluster.scheduler_info["workers"].values()}
        # Job numbers, not job objects: Dask raises an error when a job is still referenced while the cluster closes.
        for name, number in [(name, job.job_id or "0") for name, job in self.cluster.workers.items()]:
            if any(one == str(name) or one.startswith(f"{name}-") for one in connected):
                self.connected.add(number)
            elif number in self.connected:
                print(f"job {number} has ended; submitting another", flush=True)
                self.cluster.sync(self.cluster.workers.pop(name).close)
            elif any(one["JobState"] in jobs.FINAL_STATES for one in jobs.show_job(number)):
                jobs.print_log_tail(jobs.log_path(number, NAME))
                msg = f"job {number} ended before its workers connected: see {jobs.log_path(number, NAME)}"
                raise jobs.SlurmError(msg)
        self.cluster.scale(self.count)


def _limits(site: Site) -> list[str]:
    """Options that end workers shortly before the time limit, and set no memory limit if the profile has none."""
    limit = limit_in_seconds(site.time)
    lifetime = ["--lifetime", f"{limit - 300}s", "--lifetime-stagger", "120s"] if limit > 900 else []
    return lifetime + ([] if site.memory else ["--memory-limit", "0"])


def _bytes(memory: str) -> str:
    """Convert an amount of memory from Slurm's format to Dask's: plain numbers are megabytes in Slurm."""
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
