"""Where align and stft are done: here, in processes, in jobs on two nodes of a real Slurm; always the same bytes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import yaml

from hf_model.alignment.align import AlignSettings, align
from hf_model.parallel.dask_cluster import Crew
from hf_model.parallel.workers import run_all
from hf_model.shards.plan import StftSettings
from hf_model.shards.writer import write_shards
from stages.cluster import workers as cluster_workers
from stages.cluster.jobs import SlurmError
from stages.cluster.site import Site
from stages.cluster.workers import open_workers

ROOT = Path(__file__).resolve().parents[2]


def node(seconds: float) -> str:
    time.sleep(seconds)
    return os.environ["SLURMD_NODENAME"]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A work tree with a corpus to make, and a profile in which each job has a node of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "corpora.json").write_text(json.dumps({"made": {}}), encoding="utf-8")
    profile = {"time": "00:30:00", "cpus": 1, "memory": "4G", "interface": "lo", "options": ["--exclusive"]}
    Path("tests.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    monkeypatch.setenv("HUMMINGFACE_SLURM_PROFILE", "tests.yaml")
    monkeypatch.delenv("RUNNER", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # a job on a cluster is not measured
    return tmp_path


def make(folder: Path, workers) -> dict[str, bytes]:
    """Run align and stft: every file that they write."""
    settings = AlignSettings(made_phrases=8, made_seconds=2.0)
    (folder / "stft").mkdir(parents=True)
    align(folder.parent / "raw", folder / "aligned", settings, workers)
    write_shards(folder / "aligned", folder / "stft", StftSettings(segment_frames=64, rows_per_shard=4), workers)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slurm
@pytest.mark.xdist_group("slurm")
def test_two_nodes_write_the_bytes_of_one_process_and_lost_jobs_are_replaced(tree, cluster, monkeypatch, capsys):
    for name, value in {**cluster.env, "PYTHONPATH": str(ROOT), "RUNNER": "slurm", "HUMMINGFACE_WORKERS": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("hf_model.parallel.dask_cluster.CHECK_EVERY", 1.0)
    here = make(tree / "here", 1)
    with open_workers() as workers:
        assert isinstance(workers, Crew)
        assert make(tree / "there", workers) == here
        assert len(here) > 20
        nodes = set()
        while nodes != {"n1", "n2"}:
            nodes |= set(run_all(node, [0.1] * 8, workers=workers))
        before = running_jobs(cluster)
        assert len(before) == 2
        results = run_all(node, [0.1] * 20, workers=workers)
        next(results)
        cluster.call("scancel", before[0])
        assert len(list(results)) == 19, "what it had begun is done by the other"
        deadline = time.monotonic() + 60
        while not set(running_jobs(cluster)) - set(before):
            list(run_all(node, [1.5] * 2, workers=workers))
            assert time.monotonic() < deadline
    assert "is gone; another takes its place" in capsys.readouterr().out
    assert not running_jobs(cluster)
    assert not list(Path("data/scratch/dask").rglob("*.pem")), "the certificates go with the crew"


def running_jobs(cluster) -> list[str]:
    listed = cluster.call("squeue", "--noheader", "--states=RUNNING,PENDING", "--format=%i %j").splitlines()
    return [line.split()[0] for line in listed if line.split()[1] == cluster_workers.NAME]


@pytest.mark.slurm
@pytest.mark.xdist_group("slurm")
def test_a_job_that_cannot_start_its_workers_is_told(tree, cluster, monkeypatch):
    for name, value in {**cluster.env, "RUNNER": "slurm"}.items():
        monkeypatch.setenv(name, value)
    profile = {"time": "00:30:00", "cpus": 1, "interface": "lo", "environment": {"PATH": "/bin", "PYTHONHOME": "/no"}}
    (tree / "tests.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    monkeypatch.setattr("hf_model.parallel.dask_cluster.CHECK_EVERY", 0.5)
    message = r"ended before its workers came: see data/scratch/slurm/dask-worker-"
    with pytest.raises(SlurmError, match=message), open_workers() as workers:
        list(run_all(node, [0.0], workers=workers))


@pytest.mark.parametrize(("asked", "kind"), [("1", int), ("2", Crew)])
def test_here_the_environment_says_how_many(tree, monkeypatch, asked, kind):
    assert tree
    monkeypatch.setenv("HUMMINGFACE_WORKERS", asked)
    with open_workers() as workers:
        assert type(workers) is kind
        assert not Path("data").exists(), "nothing starts before there is work"


def test_where_there_is_no_slurm_it_is_one_line(tree, monkeypatch):
    monkeypatch.setenv("RUNNER", "slurm")
    monkeypatch.setenv("PATH", str(tree))
    with pytest.raises(SlurmError, match=r"^sbatch not found: this machine"), open_workers() as workers:
        list(run_all(node, [0.0], workers=workers))


def test_the_job_script_asks_for_what_the_profile_says(tree, monkeypatch):
    """Account, constraint and comment as given, a time after which workers leave by themselves, no dashboard."""
    assert tree
    scripts = []
    monkeypatch.setattr(cluster_workers, "_check_accepted", lambda script: scripts.append(script) or stop())
    site = Site(account="mine", comment="preemption=yes;requeue=true", time="01:00:00", cpus=3, interface="lo",
                modules=("purge",), environment={"A": "b c"})  # fmt: skip
    with pytest.raises(KeyboardInterrupt), Crew(3, Path("scratch"), cluster_workers.Jobs(site, 3)) as crew:
        list(run_all(node, [0.0], workers=crew))
    lines = scripts[0].splitlines()
    assert "#SBATCH --account=mine" in lines
    assert '#SBATCH --comment="preemption=yes;requeue=true"' in lines
    assert "#SBATCH --cpus-per-task=3" in lines
    assert not [line for line in lines if line.startswith(("#SBATCH -p", "#SBATCH --partition", "#SBATCH -n "))]
    assert "module purge" in lines
    assert "export A='b c'" in lines
    worker = next(line for line in lines if "dask_worker" in line)
    for part in ("--nworkers 3", "--nthreads 1", "--lifetime 3300s", "--no-dashboard", "--tls-cert", "--interface lo"):
        assert part in worker
    assert "--memory-limit 0" in worker


def stop() -> None:
    raise KeyboardInterrupt
