"""RUNNER=slurm: a stage submits itself, waits through requeues, and reports the end of its job."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hf_model.config import ConfigError
from stages.cluster import jobs, submit
from stages.cluster.site import LOGS

ROOT = Path(__file__).resolve().parents[3]
# A stage without torch: writes `made`, after waiting or a failure if its arguments ask for it.
STUB = """
import os, pathlib, sys, time
print("working as", os.environ["RUNNER"], "on", os.environ["SLURMD_NODENAME"], *sys.argv[1:], flush=True)
folder = pathlib.Path()
while "wait" in sys.argv and not (folder / "go").exists():
    time.sleep(0.1)
if "again" in sys.argv and "SLURM_RESTART_COUNT" not in os.environ:
    sys.exit(75)
if "fail" in sys.argv:
    print("\\n".join(f"line {number}" for number in range(30)), flush=True)
    sys.exit("out of luck")
(folder / "made").write_text("by a job")
"""
STAGE = """
import signal, sys
from pathlib import Path
from stages import _run
from stages.cluster import jobs
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
jobs.POLL = 0.3
_run.main(lambda: print("ran as a job:", jobs.run_as_job("cpu", ["stub", *sys.argv[1:]], Path("made"))))
"""
PROFILE = "time: '00:10:00'\ncpus: 1\nsignal_seconds: 60\njobs: {cpu: {memory: 100M}}\n"


@pytest.fixture
def plain(tmp_path, monkeypatch):
    """A work tree with a profile and a small stage."""
    (tmp_path / "slurm" / "profiles").mkdir(parents=True)
    (tmp_path / "slurm" / "profiles" / "tests.yaml").write_text(PROFILE, encoding="utf-8")
    (tmp_path / "stub.py").write_text(STUB, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, "POLL", 0.3)
    monkeypatch.setenv("RUNNER", "slurm")
    monkeypatch.setenv("HUMMINGFACE_SLURM_PROFILE", "tests")
    return tmp_path


@pytest.fixture
def tree(plain, cluster, monkeypatch):
    """The same on a cluster."""
    for name, value in {**cluster.env, "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RUNNER", "slurm")
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    yield plain
    cluster.cancel_all(plain)


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stage(*words: str) -> subprocess.Popen:
    """Start the stage in its own process, like DVC."""
    return subprocess.Popen(
        [sys.executable, "-c", STAGE, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def note(name: str = "stub-wait") -> str:
    path = LOGS / f"{name}.job"
    until(path.is_file)
    until(lambda: path.read_text(encoding="utf-8"))
    return path.read_text(encoding="utf-8")


def running_jobs(cluster) -> list[str]:
    return cluster.call("squeue", "--noheader", "--format=%i").split()


# -------------------------------------------------------------------------------------------------------- on a cluster


@pytest.mark.slurm
@pytest.mark.xdist_group("slurm")
class TestOnACluster:
    def test_stage_runs_as_a_job_through_a_requeue(self, tree, cluster, capsys):
        assert jobs.run_as_job("cpu", ["stub", "again"], Path("made")) is True
        assert (tree / "made").read_text(encoding="utf-8") == "by a job"
        output = capsys.readouterr().out
        number = re.search(r"stub-again: job (\d+) on tests; output: (\S+)", output)
        assert cluster.job(number[1])["Restarts"] == "1", "the wait continues after a requeue"
        assert Path(number[2]).read_text(encoding="utf-8").count("working as local on n") == 2
        assert not (LOGS / "stub-again.job").exists()

    def test_failed_job_fails_the_stage_and_prints_its_log(self, tree, capsys):
        with pytest.raises(
            jobs.SlurmError, match=r"job \d+ \(stub-fail\) ended as FAILED with exit code 1; full output"
        ):
            jobs.run_as_job("cpu", ["stub", "fail"], Path("made"))
        shown = capsys.readouterr().err
        assert "  | out of luck" in shown
        assert "  | line 29" in shown
        assert "line 0\n" not in shown
        assert not (tree / "made").exists()

    def test_ctrl_c_cancels_the_job(self, tree, cluster):
        running = stage("wait")
        number = note()
        cluster.wait(number, "RUNNING")
        running.send_signal(signal.SIGINT)
        output = running.communicate(timeout=60)[0]
        assert running.returncode == 130
        assert f"job {number} is cancelled; a training continues from its checkpoint next time" in output
        assert cluster.wait(number, "CANCELLED")
        assert not (tree / "made").exists()

    @pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGTERM])
    def test_job_survives_a_closed_terminal(self, signum, tree, cluster):
        running = stage("wait")
        number = note()
        cluster.wait(number, "RUNNING")
        running.send_signal(signum)
        output = running.communicate(timeout=60)[0]
        assert running.returncode == 128 + signum
        assert f"job {number} continues; the same command waits for it again" in output
        again = stage("wait")
        assert "has not ended; waiting for it" in again.stdout.readline()
        assert running_jobs(cluster) == [number], "not submitted twice"
        (tree / "go").touch()
        output = again.communicate(timeout=60)[0]
        assert (again.returncode, (tree / "made").exists()) == (0, True), output

    def test_job_file_of_another_job_is_ignored(self, tree, cluster):
        LOGS.mkdir(parents=True)
        other = cluster.call("sbatch", "--parsable", "--output=/dev/null", "--wrap", "sleep 60")
        for text in (other, "no number", "999999"):
            (LOGS / "stub.job").write_text(text, encoding="utf-8")
            assert jobs._find_unfinished_job(LOGS / "stub.job", "stub") == ""
        assert tree

    def test_refusal_of_slurm_is_quoted(self, tree):
        (tree / "slurm" / "profiles" / "tests.yaml").write_text("partition: nowhere\n", encoding="utf-8")
        with pytest.raises(jobs.SlurmError, match=r"sbatch refused: .*[Ii]nvalid partition name"):
            jobs.run_as_job("cpu", ["stub"], Path("made"))

    def test_missing_output_is_reported(self, tree, monkeypatch):
        monkeypatch.setattr(jobs, "OUTPUT_TIMEOUT", 0.1)
        assert tree
        with pytest.raises(jobs.SlurmError, match=r"job \d+ ended well, but elsewhere is not here: is this folder on"):
            jobs.run_as_job("cpu", ["stub"], Path("elsewhere"))

    def test_submit_wait_exits_with_the_worst_code(self, tree, capsys):
        program = "import os; raise SystemExit(int(os.environ['SLURM_ARRAY_TASK_ID']))"
        with pytest.raises(SystemExit) as left:
            submit.main(["submit", "tests", "--array", "0-2", "--wait", "--", "python", "-c", program])
        assert left.value.code == 2
        output = capsys.readouterr().out
        assert "#SBATCH --array=0-2" in output
        assert re.search(r"^job \d+: FAILED, exit code 2$", output, re.MULTILINE)
        assert tree

    def test_a_job_may_submit_a_job(self, tree):
        """The variables of the outer job do not reach the inner one, as with `env RUNNER=slurm dvc repro` in a job."""
        program = ["env", "RUNNER=slurm", "HUMMINGFACE_SLURM_POLL=0.3", "python", "-c", STAGE]
        with pytest.raises(SystemExit) as left:
            submit.main(["submit", "tests", "--job", "cpu", "--set", "cpus=2", "--wait", "--", *program])
        (outer,) = (path for path in LOGS.glob("*.out") if not path.name.startswith("stub"))
        assert (left.value.code, (tree / "made").exists()) == (0, True), outer.read_text(encoding="utf-8")


# --------------------------------------------------------------------------------------------------- without a cluster


@pytest.mark.usefixtures("plain")
class TestWithout:
    @pytest.mark.parametrize("runner", ["", "local"])
    def test_local_by_default(self, runner, monkeypatch):
        monkeypatch.setenv("RUNNER", runner)
        assert jobs.run_as_job("cpu", ["stub"], Path("made")) is False

    def test_unknown_runner(self, monkeypatch):
        monkeypatch.setenv("RUNNER", "slrum")
        with pytest.raises(ConfigError, match="RUNNER is 'slrum', allowed is one of local, slurm"):
            jobs.run_as_job("cpu", ["stub"], Path("made"))

    def test_runner_without_a_profile(self, monkeypatch):
        monkeypatch.delenv("HUMMINGFACE_SLURM_PROFILE")
        with pytest.raises(jobs.SlurmError, match="RUNNER=slurm needs HUMMINGFACE_SLURM_PROFILE"):
            jobs.run_as_job("cpu", ["stub"], Path("made"))

    def test_machine_without_slurm(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(jobs.SlurmError, match="sbatch not found: this machine is no login node"):
            jobs.run_as_job("cpu", ["stub"], Path("made"))

    def test_job_without_a_record(self, monkeypatch):
        monkeypatch.setattr(jobs, "show_job", lambda _: [])
        with pytest.raises(jobs.SlurmError, match="job 7: the cluster has no record of it"):
            jobs.wait_for_job("7")
        done = subprocess.Popen(["false"])
        assert jobs.wait_for_job("7", done) == ("FAILED", 1)

    def test_fields_of_a_job_may_hold_spaces(self, monkeypatch, tmp_path):
        line = "JobId=1 JobName=a b Comment=x=1;y=2 StdOut=/a b/c Restarts=0"
        (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho '{line}'\n", encoding="utf-8")
        (tmp_path / "scontrol").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        assert jobs.show_job("1") == [
            {"JobId": "1", "JobName": "a b", "Comment": "x=1;y=2", "StdOut": "/a b/c", "Restarts": "0"}
        ]

    def test_show_prints_and_submits_nothing(self, capsys, monkeypatch):
        monkeypatch.setenv("PATH", "")
        for words in (["show", "tests"], ["submit", "tests", "--dry-run"]):
            submit.main([*words, "--set", "time=0-1", "--name", "x", "--", "flock", ".dvc/config", "dvc", "repro"])
            shown = capsys.readouterr().out
            assert shown.startswith("#!/bin/bash\n")
            assert "#SBATCH --time=0-1\n" in shown
            assert "#SBATCH --job-name=x\n" in shown
            assert "hummingface flock .dvc/config dvc repro &\n" in shown

    @pytest.mark.parametrize(
        ("words", "name"),
        [
            ("python -m stages.train direct", "train-direct"),
            ("flock .dvc/config dvc repro", "dvc-repro"),
            ("env RUNNER=slurm dvc repro", "dvc-repro"),
            ("/usr/bin/true", "true"),
            ("python -c print('a b')", "print-a-b"),
        ],
    )
    def test_job_is_named_after_its_command(self, words, name, capsys):
        submit.main(["show", "tests", "--", *words.split()])
        assert f"#SBATCH --job-name={name}\n" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["show", "tests"], "no command: write it after --"),
            (["show", "tests", "--set", "cpus", "--", "x"], "--set cpus: write KEY=VALUE"),
            (["show", "tests", "--set", "cpus=[", "--", "x"], "the value is not valid YAML"),
            (["show", "tests", "--set", "cups=1", "--", "x"], r"unknown setting tests\.cups"),
            (
                ["show", "tests", "--set", "tasks=2", "--", "dvc", "repro"],
                "tests asks for 2 tasks, and only stages.train",
            ),
            (["show", "tests", "--name", "../x", "--", "x"], r"the name of the job is '\.\./x', allowed are letters"),
            (["show", "nowhere", "--", "x"], "no profile slurm/profiles/nowhere.yaml; known: tests"),
        ],
    )
    def test_wrong_arguments_are_one_line(self, words, message):
        with pytest.raises(ConfigError, match=message):
            submit.main(words)

    def test_several_tasks_only_for_training(self, capsys):
        submit.main(["show", "tests", "--set", "tasks=2", "--", "python", "-m", "stages.train", "direct"])
        assert "--ntasks-per-node=2" in capsys.readouterr().out

    def test_help_has_examples(self, capsys):
        with pytest.raises(SystemExit):
            submit.main(["--help"])
        assert "python -m stages.cluster.submit submit generic --set time=01:00:00 --" in capsys.readouterr().out
