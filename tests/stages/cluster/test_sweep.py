"""Sweeps: one work tree for each set, run in turn or as a job array, and the merging of the runs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from hf_model.config import ConfigError
from stages.cluster import sweep
from stages.tracking import merge

ROOT = Path(__file__).resolve().parents[3]
# Stand-in for a training: reads its settings like a stage, tracks one run, writes a file.
TRAIN = """
from pathlib import Path
from hf_model.config import to_mapping
from hf_model.training.fit_config import FitConfig
from stages import _run
fit = _run.settings("train.direct.fit", FitConfig)
if fit.steps == 7:
    raise SystemExit("seven")
if fit.steps == 8:
    from stages.tracking import runs
    tracker = runs.start_run("direct", "k", {"fit": to_mapping(fit)}, resumed=False)
    for step in range(1, 4):
        tracker.log_metrics({"loss": fit.learning_rate / step}, step)
    tracker.finish()
Path("model").mkdir()
Path("model/rate").write_text(str(fit.learning_rate))
"""
DVC = """
stages:
  common: {cmd: echo once >> ${log} && echo shared > common, deps: [.gitignore], outs: [common]}
  train:
    foreach: [direct]
    do:
      cmd: python train.py
      deps: [common]
      params: ["train.${item}", "profiles.${profile}.train.${item}"]
      outs: [model]
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A repository with a pipeline of two small stages."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name, text in {
        "params.yaml": yaml.safe_dump(params),
        "dvc.yaml": DVC.replace("${log}", str(tmp_path / "log")),
        "train.py": TRAIN,
        ".gitignore": "/data\n/model\n/common\n*.db\n/mlartifacts\n",
        ".dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    }.items():
        (tmp_path / "repo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "repo" / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "repo")
    for name, value in {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
                        "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": "/dev/null", "PYTHONPATH": str(ROOT),
                        "DVC_SITE_CACHE_DIR": str(tmp_path / "site")}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RUNNER", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run(["git", *words], check=True)
    return tmp_path / "repo"


def plan(tree: Path, content, name="rates") -> str:
    (tree / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return f"{name}.yaml"


RATES = {
    "targets": ["train@direct"],
    "grid": {"train.direct.fit.learning_rate": [0.25, 0.5]},
    "sets": [{"train.direct.fit.steps": 8}],
}


@pytest.mark.slow
def test_local_sweep_runs_in_turn_and_reports_failures(tree, capfd):
    """Two sets, one of which fails; the common stage is made once."""
    sets = [{"train.direct.fit.learning_rate": 0.25}, {"train.direct.fit.steps": 7}]
    words = [plan(tree, {"targets": ["train@direct"], "sets": sets})]
    with pytest.raises(ConfigError, match="1 of 2 sets failed: 1; the others are done"):
        sweep.main(words)
    folders = sorted(path for path in (tree / "data/scratch/sweeps/rates").iterdir() if path.is_dir())
    assert [path.name[:4] for path in folders] == ["000-", "001-"]
    assert (folders[0] / "model" / "rate").read_text() == "0.25"
    assert (tree.parent / "log").read_text() == "once\n", "the other set used the shared cache"
    assert not (tree / "mlflow.db").exists()
    assert "seven" in capfd.readouterr().err


@pytest.mark.slurm
@pytest.mark.xdist_group("slurm")
def test_cluster_sweep_is_a_job_array(tree, cluster, monkeypatch, capsys):
    for name, value in {**cluster.env, "PYTHONPATH": str(ROOT), "RUNNER": "slurm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HUMMINGFACE_SLURM_PROFILE", str(tree.parent / "tests.yaml"))
    (tree.parent / "tests.yaml").write_text(yaml.safe_dump({"time": "00:10:00", "cpus": 1}), encoding="utf-8")
    words = [plan(tree, RATES)]
    sweep.main([*words, "--show"])
    assert "#SBATCH --array=0-1%8" in capsys.readouterr().out.splitlines()
    assert not (tree / "data/scratch/sweeps/rates").exists()
    sweep.main(words)
    output = capsys.readouterr().out
    job = output.split("job array ")[1].split()[0]
    for task in (0, 1):
        found = cluster.wait(f"{job}_{task}", "COMPLETED", "FAILED", seconds=120)
        assert found["JobState"] == "COMPLETED", cluster.tail(found)
    merge.main(["data/scratch/sweeps/rates"])
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{tree / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name("hummingface").experiment_id])
    runs = [run for run in found if "sweep" in run.data.tags]
    assert [run.info.run_name for run in found if run not in runs] == ["rates"], "the parent of both"
    assert sorted(run.data.params["train/fit/learning_rate"] for run in runs) == ["0.25", "0.5"]
    assert {run.data.tags["sweep"].split("-")[0] for run in runs} == {"rates/000", "rates/001"}
    for run in runs:
        points = client.get_metric_history(run.info.run_id, "loss")
        rate = float(run.data.params["train/fit/learning_rate"])
        assert [(point.step, point.value) for point in points] == [(step, rate / step) for step in (1, 2, 3)]


def test_set_overrides_the_profile(tree):
    content = yaml.safe_load((tree / "params.yaml").read_text(encoding="utf-8"))
    content["profile"] = "full"
    (tree / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    made = yaml.safe_load(sweep._params({"train.transcriber.fit.steps": 5, "align.seed": 3}))
    assert made["profiles"]["full"]["train"]["transcriber"]["fit"]["steps"] == 5
    assert made["profiles"]["full"]["train"]["transcriber"]["fit"]["batch_size"] == 96
    assert made["profiles"]["full"]["align"]["seed"] == 3
    del made["profiles"]["full"]["align"]["seed"], made["profiles"]["full"]["train"]["transcriber"]["fit"]["steps"]
    del content["profiles"]["full"]["train"]["transcriber"]["fit"]["steps"]
    assert made == content
    assert not list((tree / "data/scratch/sweeps").glob(".*"))


def test_grid_is_combined_with_sets(tree):
    content = {"grid": {"a.b": [1, 2], "c": ["x"]}, "sets": [{"d": 0}, {"d": 1, "e": 2}]}
    found = sweep.read_plan(tree / plan(tree, content, "all"))
    assert found.targets == ("train@transcriber",)
    assert list(found.sets) == [
        {"d": 0, "a.b": 1, "c": "x"},
        {"d": 0, "a.b": 2, "c": "x"},
        {"d": 1, "e": 2, "a.b": 1, "c": "x"},
        {"d": 1, "e": 2, "a.b": 2, "c": "x"},
    ]
    assert sweep.read_plan(tree / plan(tree, [{"d": 1}], "list")).sets == ({"d": 1},)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text", "must hold a list of sets, or a mapping of grid, sets, targets"),
        ({"grids": {}}, "must hold a list of sets"),
        ({"grid": {"a": 1}}, "grid must hold a list of values"),
        ({"sets": [1]}, "sets must hold a list of mappings"),
        ([{"train.direct.fit.stepz": 1}], "unknown setting train.direct.fit.stepz"),
        ([{"orchestra.size": 1}], "no section orchestra"),
        ([{"train.direct.fit.steps": -1}], "steps"),
    ],
)
def test_invalid_plan_is_refused_first(tree, content, message):
    with pytest.raises(ConfigError, match=message):
        sweep.main([plan(tree, content)])
    assert not list((tree / "data/scratch/sweeps").glob("rates*"))


def test_uncommitted_changes_are_refused(tree):
    (tree / "train.py").write_text("changed", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"train\.py has changes: a sweep runs what is committed"):
        sweep.main([plan(tree, RATES)])


def test_array_task_runs_its_set(tree, monkeypatch):
    folder = tree / "data/scratch/sweeps/rates"
    (folder / "001-b").mkdir(parents=True)
    listed = {"targets": ["train@direct"], "folders": ["000-a", "001-b"], "sets": [{}, {"x": 1}]}
    (folder / "sets.json").write_text(json.dumps(listed), encoding="utf-8")
    called = []
    monkeypatch.setattr(os, "execve", lambda *words: called.append((Path.cwd(), *words)) or stop())
    with pytest.raises(SystemExit):
        sweep.main(["rates.yaml", "--task", "1"])
    ((place, _, words, environment),) = called
    assert place == folder / "001-b"
    assert words[1:] == ["-m", "dvc", "repro", "train@direct"]
    assert environment["MLFLOW_TRACKING_URI"] == "sqlite:///mlflow.db"
    assert environment["HUMMINGFACE_SWEEP"] == "rates/001-b"


def stop() -> None:
    raise SystemExit
