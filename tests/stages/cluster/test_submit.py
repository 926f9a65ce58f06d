"""Jobs on a real Slurm: submitted, interrupted, requeued, without losing checkpoints."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from stages.cluster.submit import main as submit_main
from tests.tiny_shards import TINY_FIT, TINY_MODELS, tiny_task

ROOT = Path(__file__).resolve().parents[3]
KIND = "synthesizer"  # the fastest
STEPS, EVERY = 40, 4
FIT = {"steps": STEPS, "validate_every": 20}
MODEL = Path("data/model") / KIND
# Slow before its first requeue, so that there is time to interrupt it; records its process and steps.
SLOW = f"""
from hf_model.training import preemption
preemption.install_handlers()
import os, runpy, sys, time, torch
from pathlib import Path
from hf_model.training.tasks import TASKS
task = TASKS["{KIND}"][1]
losses, fast = task.losses, Path("fast").exists() or "SLURM_RESTART_COUNT" in os.environ
def noted(self, model, batch, step):
    if torch.is_grad_enabled():
        Path("pid").write_text(str(os.getpid()))
        with open("steps", "a") as file:
            file.write(f"{{step}}\\n")
        time.sleep(0 if fast else 0.25)
    return losses(self, model, batch, step)
task.losses = noted
sys.argv = ["train", "{KIND}"]
runpy.run_module("stages.train", run_name="__main__", alter_sys=True)
"""
# Handles signals like a training, without its ten seconds of imports; ends well once it finds its checkpoint.
LISTENER = """
import os, sys, time
from pathlib import Path
from hf_model.training import preemption
kept = Path("checkpoint" + os.environ.get("SLURM_ARRAY_TASK_ID", ""))
preemption.install_handlers()
print("listening", flush=True)
with preemption.handle_signals():
    while not kept.exists() and not Path("end").exists():
        time.sleep(0.1)
        if preemption.received_signal():
            kept.write_text("kept")
            raise preemption.Interrupted(preemption.received_signal())  # with exit code 75, whatever the signal
print("done", flush=True)
"""

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("slurm")]


def plant(folder: Path, shards: Path) -> None:
    """Make a work tree: shards, tiny models, a profile, and the programs of these tests."""
    shutil.copytree(shards, folder / "data" / "stft")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["train"][KIND] = {"model": TINY_MODELS[KIND], "fit": {**TINY_FIT, **FIT}}
    (folder / "slurm" / "profiles").mkdir(parents=True)
    profile = {"time": "00:10:00", "cpus": 1, "signal_seconds": 60}
    for path, text in {
        "params.yaml": yaml.safe_dump(params),
        "slurm/profiles/tests.yaml": yaml.safe_dump(profile),
        "slow.py": SLOW,
        "listener.py": LISTENER,
    }.items():
        (folder / path).write_text(text, encoding="utf-8")


def environment(cluster) -> dict[str, str]:
    """The environment of a user of the cluster."""
    return {
        **cluster.env,
        "PYTHONPATH": str(ROOT),
        "HUMMINGFACE_SLURM_PROFILE": "tests",
        "HUMMINGFACE_SLURM_POLL": "0.5",
        "HUMMINGFACE_CHECKPOINT_STEPS": str(EVERY),
        "MLFLOW_TRACKING_URI": "file:not-tracked",
    }


@pytest.fixture(scope="module")
def limited(cluster, shards, tmp_path_factory):
    """A job with a limit of one minute, submitted first: Slurm checks limits twice a minute."""
    folder = tmp_path_factory.mktemp("limited")
    plant(folder, shards)
    words = ["submit", "tests", "--set", "time=1", "--set", "signal_seconds=20", "--", "python", "listener.py"]
    output = subprocess.run(
        [sys.executable, "-m", "stages.cluster.submit", *words],
        cwd=folder,
        env=environment(cluster),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    yield re.search(r"^job (\d+) submitted", output, re.MULTILINE)[1]
    cluster.cancel_all(folder)


@pytest.fixture
def tree(tmp_path, shards, cluster, limited, monkeypatch):
    """A work tree of a user of the cluster; its jobs are cancelled at the end."""
    plant(tmp_path, shards)
    monkeypatch.chdir(tmp_path)
    for name, value in environment(cluster).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # a job on a cluster is not measured
    assert limited
    yield tmp_path
    cluster.cancel_all(tmp_path)


@pytest.fixture
def submit(tree, capfd):
    """`submit("python", "x.py", options=["--set", "cpus=2"])` submits a job and returns its number."""

    def call(*words, options=()):
        capfd.readouterr()
        submit_main(["submit", "tests", *options, "--", *words])
        return re.search(r"^job (\d+) submitted", capfd.readouterr().out, re.MULTILINE)[1]

    assert tree
    return call


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, shards):
    """The model files of the same training without interruption and without Slurm."""
    from hf_model.training.trainer import train

    folder = tmp_path_factory.mktemp("uninterrupted")
    train(tiny_task(KIND, **FIT), shards, folder / "model", folder / "checkpoints", progress=False)
    return files(folder / "model")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def until(condition, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def has_checkpoint(tree) -> bool:
    return any(tree.glob("data/scratch/checkpoints/*/last.ckpt"))


def steps(tree) -> list[int]:
    path = tree / "steps"
    return [int(line) for line in path.read_text(encoding="utf-8").split()] if path.exists() else []


def prints(cluster, job: str) -> str:
    path = Path(cluster.job(job)["StdOut"])
    return path.read_text(encoding="utf-8") if path.exists() else ""


# ----------------------------------------------------------------------------------------------- a training, requeued


def test_sigusr1_requeues_and_weights_are_the_same(tree, submit, cluster, uninterrupted):
    job = submit("python", "slow.py")
    until(lambda: has_checkpoint(tree))
    cluster.call("scancel", "--batch", "--signal=USR1", job)
    found = cluster.wait(job, "COMPLETED", "FAILED", "CANCELLED")
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), cluster.tail(found)
    assert files(tree / MODEL) == uninterrupted
    assert steps(tree) == list(range(STEPS)), "no step is lost or repeated"


def test_sigusr1_during_imports_requeues(tree, submit, cluster, uninterrupted):
    """The signal is sent once to the script, which repeats it; the training makes no step before the requeue."""
    job = submit("python", "-m", "stages.train", KIND)
    until(lambda: f"job {job}: run 1 on n" in prints(cluster, job))
    cluster.call("scancel", "--batch", "--signal=USR1", job)
    found = cluster.wait(job, "COMPLETED", "FAILED", "CANCELLED")
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), cluster.tail(found)
    assert files(tree / MODEL) == uninterrupted


def test_killed_training_loses_at_most_one_interval(tree, submit, cluster, uninterrupted):
    job = submit("python", "slow.py")
    until(lambda: len(steps(tree)) > 2 * EVERY + 1)
    os.kill(int((tree / "pid").read_text(encoding="utf-8")), signal.SIGKILL)
    found = cluster.wait(job, "CANCELLED", "COMPLETED", "FAILED")
    assert (found["JobState"], found["Restarts"], found["ExitCode"]) == ("FAILED", "0", "137:0"), cluster.tail(found)
    first = steps(tree)
    (tree / "fast").touch()
    cluster.wait(submit("python", "slow.py"), "COMPLETED")
    second = steps(tree)[len(first) :]
    assert second[0] > 0, "it resumes"
    assert 0 <= first[-1] + 1 - second[0] <= EVERY
    assert files(tree / MODEL) == uninterrupted


# --------------------------------------------------------------------------------------------------- the pipeline on it


def dvc(*words: str, **env: str) -> str:
    done = subprocess.run(
        ["dvc", *words], env={**os.environ, **env}, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pipeline(tree: Path, **stages: dict) -> None:
    """Make the work tree a DVC repository with these stages."""
    (tree / ".dvc").mkdir()
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8").replace("[core]", "[core]\n    no_scm = true")
    (tree / ".dvc" / "config").write_text(config, encoding="utf-8")
    (tree / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")


def test_slurm_run_gives_dvc_the_outputs_of_a_local_run(tree, cluster, uninterrupted):
    train = {"cmd": f"python -m stages.train {KIND}", "deps": ["data/stft"], "outs": [str(MODEL)]}
    pipeline(tree, train=train)
    number = re.search(rf"train-{KIND}: job (\d+) on tests", dvc("repro", RUNNER="slurm"))
    assert cluster.job(number[1])["JobState"] == "COMPLETED"
    assert files(tree / MODEL) == uninterrupted
    # A local run is up to date for DVC, and its cache restores the outputs.
    assert "didn't change, skipping" in dvc("repro", RUNNER="local")
    shutil.rmtree(tree / MODEL)
    dvc("checkout")
    assert files(tree / MODEL) == uninterrupted


def test_two_pipelines_wait_for_each_other(tree, submit, cluster):
    """Each is a job. The second waits for the lock, and everything is up to date."""
    work = 'import pathlib, time; time.sleep(2); open("done", "a").write("once "); pathlib.Path("made").touch()'
    pipeline(tree, work={"cmd": ["python work.py"], "outs": ["made"]})
    (tree / "work.py").write_text(work, encoding="utf-8")
    jobs = [submit("flock", ".dvc/config", "dvc", "repro") for _ in range(2)]
    found = [cluster.wait(job, "COMPLETED", "FAILED") for job in jobs]
    assert [one["JobState"] for one in found] == ["COMPLETED", "COMPLETED"], [prints(cluster, job) for job in jobs]
    assert (tree / "done").read_text(encoding="utf-8") == "once "
    assert sum("didn't change, skipping" in prints(cluster, job) for job in jobs) == 1


# ----------------------------------------------------------------------------------------------------- many processes


@pytest.mark.parametrize(("nodes", "tasks"), [(1, 2), (2, 1)])
def test_two_processes_train_one_model(nodes, tasks, tree, submit, cluster, uninterrupted):
    job = submit("python", "-m", "stages.train", KIND, options=["--set", f"nodes={nodes}", "--set", f"tasks={tasks}"])
    found = cluster.wait(job, "COMPLETED", "FAILED", seconds=200)
    output = prints(cluster, job)
    assert (found["JobState"], found["NumNodes"], found["NumTasks"]) == ("COMPLETED", str(nodes), "2"), output
    assert output.count(f"{KIND}: loss") == 1, "only one process prints"
    alone, together = json.loads(uninterrupted["config.json"]), json.loads(files(tree / MODEL)["config.json"])
    assert together["model"] == alone["model"]
    assert together["valid"]["loss"] == pytest.approx(alone["valid"]["loss"], rel=0.05)


# -------------------------------------------------------------------------------------------------- jobs of every kind


def test_array_requeues_only_the_signalled_job(submit, cluster):
    job = submit("python", "listener.py", options=["--array", "0-1"])
    until(lambda: all("listening" in prints(cluster, f"{job}_{number}") for number in (0, 1)))
    cluster.call("scancel", "--batch", "--signal=USR1", f"{job}_1")
    assert cluster.wait(f"{job}_1", "COMPLETED", "FAILED")["Restarts"] == "1"
    assert cluster.job(f"{job}_0")["JobState"] == "RUNNING"
    Path("end").touch()
    assert cluster.wait(f"{job}_0", "COMPLETED", "FAILED")["Restarts"] == "0"
    assert "run 2" in prints(cluster, f"{job}_1")
    assert "done" in prints(cluster, f"{job}_0")


def test_cancelled_job_keeps_checkpoint_without_requeue(tree, submit, cluster):
    job = submit("python", "listener.py")
    until(lambda: "listening" in prints(cluster, job))
    cluster.call("scancel", job)
    until(lambda: "SIGTERM: yes" in prints(cluster, job))
    found = cluster.wait(job, "CANCELLED", "COMPLETED", "FAILED")
    assert (found["JobState"], found["Restarts"]) == ("CANCELLED", "0"), cluster.tail(found)
    assert (tree / "checkpoint").read_text(encoding="utf-8") == "kept"


def test_signal_to_the_steps_requeues(submit, cluster):
    job = submit("python", "listener.py")
    until(lambda: "listening" in prints(cluster, job))
    cluster.call("scancel", "--signal=USR1", job)
    assert cluster.wait(job, "COMPLETED", "FAILED")["Restarts"] == "1"


def test_program_without_handler_is_requeued_in_time(submit, cluster):
    program = "import os, time; time.sleep(0 if 'SLURM_RESTART_COUNT' in os.environ else 60)"
    job = submit("python", "-c", program, options=["--set", "signal_seconds=4"])
    until(lambda: "run 1" in prints(cluster, job))
    cluster.call("scancel", "--batch", "--signal=USR1", job)
    found = cluster.wait(job, "COMPLETED", "FAILED")
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), cluster.tail(found)


def test_failed_job_is_not_requeued(submit, cluster):
    found = cluster.wait(submit("python", "-c", "raise SystemExit(3)"), "FAILED", "COMPLETED")
    assert (found["JobState"], found["ExitCode"], found["Restarts"]) == ("FAILED", "3:0", "0")


def test_nyu_profile_runs(tree, submit, cluster, monkeypatch):
    """On nodes with NYU's features, and a stand-in for apptainer."""
    programs = tree / "programs"
    programs.mkdir()
    (programs / "apptainer").write_text('#!/bin/bash\necho "$@"\nwhile [[ $1 != bash ]]; do shift; done\nexec "$@"\n')
    (programs / "apptainer").chmod(0o755)
    (programs / "env.sh").write_text("export ENVIRONMENT=overlay\n", encoding="utf-8")
    for name, value in {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SCRATCH": str(tree.parent),
        "HUMMINGFACE_SLURM_ACCOUNT": "torch_pr_36_general",
        "HUMMINGFACE_IMAGE": "/share/apps/images/some.sif",
        "HUMMINGFACE_OVERLAY": f"{tree}/hummingface.ext3",
    }.items():
        monkeypatch.setenv(name, value)
    shutil.copy(ROOT / "slurm" / "profiles" / "nyu-torch.yaml", "slurm/profiles/tests.yaml")
    setup = ["--set", f"container_setup={programs}/env.sh", "--set", "modules=[]", "--set", "cpus=2"]
    show = "import os; print(*(os.environ[n] for n in ('ENVIRONMENT', 'RUNNER', 'MASTER_ADDR', 'SLURM_GPUS_ON_NODE')))"
    job = submit("python", "-c", show, options=setup)
    found = cluster.wait(job, "COMPLETED", "FAILED")
    output = prints(cluster, job)
    assert found["JobState"] == "COMPLETED", output
    assert "overlay local 127.0.0.1 1\n" in output
    assert f"exec --nv --bind {tree.parent} --overlay {tree}/hummingface.ext3:ro" in output
    assert (found["Account"], found["Features"], found["Requeue"]) == ("torch_pr_36_general", "h200|l40s", "1")


def test_time_limit_requeues(limited, cluster):
    """Slurm sends the signal, the program writes its checkpoint, and ends well after the requeue."""
    found = cluster.wait(limited, "COMPLETED", "FAILED", "TIMEOUT", seconds=150)
    output = prints(cluster, limited)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), output
    assert "SIGUSR1: yes, SIGTERM: no" in output
