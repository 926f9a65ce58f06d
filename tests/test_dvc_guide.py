"""The commands of docs/experiments.md run, on a small pipeline with the real params.yaml."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.filterwarnings("ignore")  # DVC's own

PAGE = ROOT / "docs" / "experiments.md"

# Stand-ins for the stages: the "score" follows from the settings.
PROGRAM = """
import json, sys, yaml
from pathlib import Path
fit = yaml.safe_load(Path("params.yaml").read_text())["train"]["transcriber"]["fit"]
log = Path("../stages.log")
log.write_text((log.read_text() if log.exists() else "") + sys.argv[1] + "\\n")
if sys.argv[1] == "stft":
    Path("data/stft").mkdir(parents=True)
    Path("data/stft/shard").write_text("shard")
elif sys.argv[1] == "train":
    Path("data/model/transcriber").mkdir(parents=True)
    curve = "step,train_loss,valid_loss\\n10,{},\\n20,,{}\\n".format(fit["steps"], fit["learning_rate"])
    Path("data/model/transcriber/curve.csv").write_text(curve)
else:
    Path("reports").mkdir(exist_ok=True)
    score = {"made": {"conpoff": round(fit["steps"] / 2000, 3)}}
    Path("reports/summary.json").write_text(json.dumps(score))
    Path("reports/errors.csv").write_text("corpus,kind,errors,per_100_notes\\nmade,missed,3,{}\\n".format(fit["steps"]))
"""
PIPELINE = """
stages:
  stft: {cmd: python stage.py stft, params: [stft], outs: [data/stft]}
  train:
    foreach: [transcriber]
    do:
      cmd: python stage.py train
      deps: [data/stft]
      params: ["train.${item}", "profiles.${profile}.train.${item}"]
      outs: ["data/model/${item}"]
  evaluate:
    cmd: python stage.py evaluate
    deps: [data/model/transcriber]
    metrics: [{reports/summary.json: {cache: false}}]
    plots: [{reports/errors.csv: {cache: false}}]
plots:
  - validation:
      x: step
      y: {data/model/transcriber/curve.csv: [train_loss, valid_loss]}
  - reports/errors.csv: {template: bar_horizontal, x: per_100_notes, y: kind}
"""


def block(title: str) -> list[str]:
    """The commands of a section's first block, without comments."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    lines = re.search(r"```bash\n(.*?)```", section, re.DOTALL)[1].splitlines()
    return [" ".join(shlex.split(line, comments=True)) and line for line in lines if shlex.split(line, comments=True)]


def run(folder: Path, line: str, capfd) -> str:
    """Run a command: DVC in this process, which is faster, others in their own; returns what it prints."""
    words = shlex.split(line, comments=True)
    if words[0] == "dvc":
        from dvc.cli import main

        capfd.readouterr()
        code = main(words[1:])
        printed = capfd.readouterr()
        assert code == 0, (line, printed)
        return printed.out
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with the pipeline, reproduced and committed."""
    pytest.importorskip("dvc.cli")
    folder = tmp_path / "hummingface"
    for name, text in {
        "params.yaml": (ROOT / "params.yaml").read_text(encoding="utf-8"),
        "dvc.yaml": PIPELINE,
        "stage.py": PROGRAM,
        ".gitignore": "/data\n/dvc_plots\n",
        ".dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    for name, value in {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
                        "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": "/dev/null",
                        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"), "DVC_NO_ANALYTICS": "1",
                        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    subprocess.run(["git", "init", "-q"], check=True)
    return folder


@pytest.mark.slow
def test_experiments_are_compared_as_documented(repository, capfd):
    for line in ("dvc repro", "git add -A", "git commit -qm all"):
        run(repository, line, capfd)
    shown = {line: run(repository, line, capfd) for line in block("Run and compare")}
    table = next(text for line, text in shown.items() if line.startswith("dvc exp show"))
    assert {"slow", "long"} <= set(re.findall(r"\w+", table))
    difference = next(text for line, text in shown.items() if line.startswith("dvc exp diff"))
    assert "made.conpoff" in difference
    page = (repository / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    assert "valid_loss" in page
    assert "per_100_notes" in page
    changed = run(repository, "git diff --stat params.yaml", capfd)
    assert "2 +-" in changed, "one line of the parameters"


@pytest.mark.slow
def test_second_clone_runs_no_stage(repository, tmp_path, monkeypatch, capfd):
    for line in ("dvc repro", "git add -A", "git commit -qm all"):
        run(repository, line, capfd)
    lines = block("Share data and results")
    clone = next(index for index, line in enumerate(lines) if line.startswith("git clone"))
    for line in lines[: clone + 1]:
        run(repository, line, capfd)
    assert any((tmp_path / "hummingface-data").rglob("*"))
    monkeypatch.chdir(tmp_path / "second")
    before = (tmp_path / "stages.log").read_text(encoding="utf-8")
    for line in lines[clone + 1 :]:
        if not line.startswith("cd "):
            printed = run(tmp_path / "second", line, capfd)
    assert "Data and pipelines are up to date" in printed
    assert (tmp_path / "second" / "data" / "stft" / "shard").read_text(encoding="utf-8") == "shard"
    assert (tmp_path / "stages.log").read_text(encoding="utf-8") == before, "no stage ran"
    assert json.loads((tmp_path / "second" / "reports" / "summary.json").read_text(encoding="utf-8"))
