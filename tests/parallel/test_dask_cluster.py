"""The stages align and stft in one process, in workers, and in jobs on two Slurm nodes write the same bytes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import yaml

from hf_model.alignment.align import AlignSettings, align
from hf_model.parallel.dask_cluster import DaskWorkers
from hf_model.parallel.workers import run_all
from hf_model.shards.plan import StftSettings
from hf_model.shards.writer import write_shards
from stages.cluster import workers as cluster_workers
from stages.cluster.jobs import SlurmError
from stages.cluster.site import Site
from stages.cluster.workers import open_workers


def get_node(seconds: float) -> str:
    time.sleep(seconds)
    return os.environ["SLURMD_NODENAME"]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A working folder with a synthetic corpus, and a Slurm profile with one job per node."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "corpora.json").write_text(json.dumps({"made": {}}), encoding="utf-8")
    profile = {"time": "00:30:00", "cpus": 1, "memory": "4G", "interface": "lo", "options": ["--exclusive"]}
    Path("tests.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    monkeypatch.setenv("HUMMINGFACE_SLURM_PROFILE", "tests.yaml")
    monkeypatch.delenv("RUNNER", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # no coverage of cluster jobs
    return tmp_path


def run_stages(folder: Path, workers) -> dict[str, bytes]:
    """Run align and stft, and return the files they write."""
    settings = AlignSettings(made_phrases=8, made_seconds=2.0)
    (folder / "stft").mkdir(parents=True)
    align(folder.parent / "raw", folder / "aligned", settings, workers)
    write_shards(folder / "aligned", folder / "stft", StftSettings(segment_frames=64, rows_per_shard=4), workers)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slurm
@pytest.mark.xdist_group("slurm")
def test_two_nodes_write_the_bytes_of_one_process(root, tree, cluster, monkeypatch, capsys):
    for name, value in {**cluster.env, "PYTHONPATH": str(root), "RUNNER": "slurm", "HUMMINGFACE_WORKERS": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("hf_model.parallel.dask_cluster.CHECK_SECONDS", 1.0)
    expected = run_stages(tree / "here", 1)
    with open_workers() as workers:
        assert isinstance(workers, DaskWorkers)
        assert run_stages(tree / "there", workers) == expected
        assert len(expected) > 20
        nodes = set()
        while nodes != {"n1", "n2"}:
            nodes |= set(run_all(get_node, [0.1] * 8, workers=workers))
        first_jobs = running_jobs(cluster)
        assert len(first_jobs) == 2
        results = run_all(get_node, [0.1] * 20, workers=workers)
        next(results)
        cluster.call("scancel", first_jobs[0])
        assert len(list(results)) == 19, "its unfinished jobs are repeated by the other worker"
        deadline = time.monotonic() + 60
        while not set(running_jobs(cluster)) - set(first_jobs):
            list(run_all(get_node, [1.5] * 2, workers=workers))
            assert time.monotonic() < deadline
    assert "has ended; submitting another" in capsys.readouterr().out
    assert not running_jobs(cluster)
    assert not list(Path("data/scratch/dask").rglob("*.pem")), "the certificates are removed with the workers"


def running_jobs(cluster) -> list[str]:
    listed = cluster.call("squeue", "--noheader", "--states=RUNNING,PENDING", "--format=%i %j").splitlines()
    return [line.split()[0] for line in listed if line.split()[1] == cluster_workers.NAME]


@pytest.mark.slurm
@pytest.mark.xdist_group("slurm")
def test_job_whose_workers_cannot_start_is_reported(tree, cluster, monkeypatch):
    for name, value in {**cluster.env, "RUNNER": "slurm"}.items():
        monkeypatch.setenv(name, value)
    profile = {"time": "00:30:00", "cpus": 1, "interface": "lo", "environment": {"PATH": "/bin", "PYTHONHOME": "/no"}}
    (tree / "tests.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    monkeypatch.setattr("hf_model.parallel.dask_cluster.CHECK_SECONDS", 0.5)
    message = r"ended before its workers connected: see data/scratch/slurm/dask-worker-"
    with pytest.raises(SlurmError, match=message), open_workers() as workers:
        list(run_all(get_node, [0.0], workers=workers))


@pytest.mark.parametrize(("count", "kind"), [("1", int), ("2", DaskWorkers)])
def test_environment_sets_the_number_of_workers(tree, monkeypatch, count, kind):
    assert tree
    monkeypatch.setenv("HUMMINGFACE_WORKERS", count)
    with open_workers() as workers:
        assert type(workers) is kind
        assert not Path("data").exists(), "workers start with the first job"


def test_missing_slurm_is_reported_in_one_line(tree, monkeypatch):
    monkeypatch.setenv("RUNNER", "slurm")
    monkeypatch.setenv("PATH", str(tree))
    with pytest.raises(SlurmError, match=r"^sbatch not found: this machine"), open_workers() as workers:
        list(run_all(get_node, [0.0], workers=workers))


def test_job_script_has_the_directives_of_the_profile(tree, monkeypatch):
    """Account and comment as in the profile, a lifetime of the workers below the time limit, no dashboard."""
    assert tree
    scripts = []
    monkeypatch.setattr(cluster_workers, "_check_accepted", lambda script: scripts.append(script) or stop())
    site = Site(account="mine", comment="preemption=yes;requeue=true", time="01:00:00", cpus=3, interface="lo",
                modules=("purge",), environment={"A": "b c"})  # fmt: skip
    with (
        pytest.raises(KeyboardInterrupt),
        DaskWorkers(3, Path("scratch"), cluster_workers.SlurmWorkers(site, 3)) as dask_workers,
    ):
        list(run_all(get_node, [0.0], workers=dask_workers))
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
