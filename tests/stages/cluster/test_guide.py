"""docs/cluster.md: every command works, and every message that it explains exists."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from stages.cluster import submit
from stages.cluster.site import Site

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
EXPORTS = "\n".join(line for line in LINES if line.startswith("export "))
JOBS = [line for line in LINES if line.startswith("python -m stages.cluster.submit ")]

# Stand-in for apptainer: runs the command on this machine.
APPTAINER = """#!/bin/bash
echo "$@" >>"$SCRATCH/apptainer.log"
if [[ $1 == overlay ]]; then touch "${@: -1}"; exit; fi
while [[ $1 != bash ]]; do shift; done
exec "$@"
"""
UV = '#!/bin/bash\necho uv "$@" >>"$SCRATCH/apptainer.log"\n[[ $1 != venv ]] || mkdir -p "${@: -1}/bin"\n'


@pytest.fixture
def login(tmp_path, monkeypatch):
    """A login node of NYU: a clone on scratch, with the exports of the page."""
    tree = tmp_path / "scratch" / "hummingface"
    for name in ("slurm", "apptainer"):
        shutil.copytree(ROOT / name, tree / name)
    monkeypatch.chdir(tree)
    monkeypatch.setenv("SCRATCH", str(tree.parent))
    shown = subprocess.run(["bash", "-c", f"{EXPORTS}\nenv -0"], capture_output=True, text=True, check=True).stdout
    for line in shown.split("\0"):
        name, _, value = line.partition("=")
        if name.startswith("HUMMINGFACE_"):
            monkeypatch.setenv(name, value)
    return tree


@pytest.mark.parametrize("line", JOBS)
@pytest.mark.usefixtures("login")
def test_every_job_in_the_docs_has_a_valid_script(line, capsys):
    words = shlex.split(line)[3:]
    submit.main([words[0], words[1], "--dry-run", *words[2:]])
    script = capsys.readouterr().out
    assert "#SBATCH --account=torch_pr_36_general" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert shlex.join(words[words.index("--") + 1 :]) in script


@pytest.mark.slurm
@pytest.mark.xdist_group("slurm")
def test_every_job_in_the_docs_is_accepted_by_slurm(login, cluster, capsys):
    """Slurm checks each script, on a cluster with two GPUs and two CPUs per node."""
    assert JOBS
    for line in JOBS:
        words = shlex.split(line)[3:]
        small = ["--set", "cpus=1", "--set", "gres=gpu:1", "--set", "tasks=1"]
        submit.main(
            [words[0], words[1], "--dry-run", *words[2 : words.index("--")], *small, *words[words.index("--") :]]
        )
        script = capsys.readouterr().out
        done = subprocess.run(
            ["sbatch", "--test-only"], input=script, env=cluster.env, capture_output=True, text=True, check=False
        )
        assert "to start at" in done.stderr, done.stderr
    assert login


@cache
def help_of(*command: str) -> str:
    return subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_every_other_command_in_the_docs_exists(root):
    """Checked with the help of this repository's programs and of DVC; other programs are Slurm's."""
    program = str(Path(sys.executable).with_name("dvc"))
    known = {"export", "srun", "squeue", "tail"}
    for line in LINES:
        for command in re.split(r" && ", line):
            words = [word for word in shlex.split(command, comments=True) if not re.match(r"[A-Z_]+=", word)]
            if words[0] == "make":
                assert re.search(rf"^{words[1]}:", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            elif words[0] == "dvc":
                assert help_of(program, *words[1:]), command
            elif words[0] == "python":
                given = words[: words.index("--")] if "--" in words else words
                known_options = set(re.findall(r"--[\w-]+", help_of(sys.executable, *given[1:3])))
                assert {word for word in given if word.startswith("--")} <= known_options, command
            elif words[0] == "source":
                assert ".venv" in (root / ".ci" / "setup").read_text(encoding="utf-8")
            else:
                assert words[0] in known, command


def test_overlay_is_built_atomically(login, monkeypatch):
    """With stand-ins for apptainer and for the installation of gigabytes."""
    programs = login.parent / "programs"
    programs.mkdir()
    for name, text in {"apptainer": APPTAINER, "uv": UV}.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    pip = (
        f'#!/bin/bash\nwhile [[ $1 != --target ]]; do shift; done\nmkdir -p "$2/bin" && cp {programs}/uv "$2/bin/uv"\n'
    )
    (programs / "python3").write_text(pip, encoding="utf-8")
    (programs / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (login / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "setup", login / ".ci" / "setup")
    install = (login / "apptainer" / "install").read_text(encoding="utf-8")
    prefix = login.parent / "ext3"
    (login / "apptainer" / "install").write_text(install.replace("prefix=$2", f"prefix={prefix}"), encoding="utf-8")
    image, overlay = login.parent / "some.sif", login.parent / "hummingface.ext3"
    build = [str(login / "apptainer" / "build_overlay"), str(image), str(overlay)]

    refused = subprocess.run(build, capture_output=True, text=True, check=False)
    assert (refused.returncode, overlay.exists()) == (1, False)
    assert "no image" in refused.stderr
    image.touch()
    done = subprocess.run(build, capture_output=True, text=True, check=False, env={**os.environ, "WHEELS": str(login)})
    assert done.returncode == 0, done.stderr
    assert overlay.exists()
    assert f"HUMMINGFACE_OVERLAY={overlay}" in done.stdout
    log = (login.parent / "apptainer.log").read_text(encoding="utf-8")
    assert f"exec --fakeroot --overlay {overlay}.partial:rw" in log
    assert "--constraints constraints.txt --no-index --find-links" in log
    assert f"{prefix}/venv/bin" in (prefix / "env.sh").read_text(encoding="utf-8")
    again = subprocess.run(build, capture_output=True, text=True, check=False)
    assert "exists; jobs may be using it" in again.stderr


def test_every_message_in_the_docs_exists(root):
    paths = [path for name in ("stages", "hf_model") for path in (root / name).rglob("*.py")]
    code = "".join(path.read_text(encoding="utf-8") for path in paths)
    table = PAGE[PAGE.index("## Error messages") :]
    messages = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(messages) > 8
    import dvc.rwlock

    theirs = Path(dvc.rwlock.__file__).read_text(encoding="utf-8")
    for message in messages:
        words = re.sub(r"ended as \w+", "ended as {state}", message)
        assert words in code or words in theirs, message


def test_every_profile_key_in_the_docs_exists():
    keys = set(Site.__dataclass_fields__) | {"jobs"}
    assert set(re.findall(r"--set (\w+)=", PAGE)) <= keys
    for named in ("signal_seconds", "memory", "require", "gres", "constraint", "comment", "scratch", "partition"):
        assert f"`{named}" in PAGE
        assert named in keys


def test_sweep_plan_in_the_docs_is_valid(tmp_path):
    from stages.cluster.sweep import read_plan

    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "rates.yaml").write_text(text, encoding="utf-8")
    plan = read_plan(tmp_path / "rates.yaml")
    assert (plan.name, len(plan.sets)) == ("rates", 6)
    assert "data/scratch/sweeps/rates" in PAGE


def test_links_of_readme_and_docs_exist(root):
    assert "docs/cluster.md" in (root / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:slurm|stages|apptainer)/[\w./-]+)`", PAGE):
        assert (root / path).exists(), path
