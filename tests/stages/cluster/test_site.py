"""Profiles of clusters: validation, and batch scripts that follow the rules published by the site."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hf_model.config import ConfigError
from hf_model.training.preemption import RUN_AGAIN
from stages.cluster.site import PROFILES, Site, limit_in_seconds, read_site

ROOT = Path(__file__).resolve().parents[3]
TRAIN = ["python", "-m", "stages.train", "transcriber"]


@pytest.fixture
def nyu(tmp_path, monkeypatch):
    """The environment and work tree of a user at NYU."""
    scratch = tmp_path / "scratch" / "ab123"
    tree = scratch / "hummingface"
    shutil.copytree(ROOT / "slurm", tree / "slurm")
    monkeypatch.chdir(tree)
    monkeypatch.setenv("SCRATCH", str(scratch))
    monkeypatch.setenv("HUMMINGFACE_SLURM_ACCOUNT", "torch_pr_36_general")
    monkeypatch.setenv("HUMMINGFACE_IMAGE", "/share/apps/images/cuda-13.3.1-ubuntu-26.04.sif")
    monkeypatch.setenv("HUMMINGFACE_OVERLAY", f"{scratch}/hummingface.ext3")
    return tree


@pytest.fixture
def script(nyu):
    return read_site("nyu-torch").script(TRAIN, "train-transcriber", nyu)


def options(script: str) -> dict[str, str]:
    """Parse the options of sbatch."""
    lines = [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")]
    words = [word for line in lines for word in shlex.split(line)]
    return {name.removeprefix("--"): value for name, _, value in (word.partition("=") for word in words)}


def step(script: str) -> list[str]:
    """Parse the srun command."""
    (line,) = [line for line in script.splitlines() if line.startswith("srun ")]
    return shlex.split(line.removesuffix(" &"))


# --------------------------------------------------------------------- NYU's published rules: each in the script


def test_nyu_account_is_set(script):
    assert options(script)["account"] == "torch_pr_36_general"


@pytest.mark.usefixtures("nyu")
def test_nyu_account_is_mandatory(monkeypatch):
    monkeypatch.delenv("HUMMINGFACE_SLURM_ACCOUNT")
    with pytest.raises(ConfigError, match=r"account needs the environment variable HUMMINGFACE_SLURM_ACCOUNT"):
        read_site("nyu-torch")
    monkeypatch.setenv("HUMMINGFACE_SLURM_ACCOUNT", "pr_36_general")  # the format of Greene
    with pytest.raises(ConfigError, match=r"nyu-torch\.account is 'pr_36_general', allowed here is torch_pr_"):
        read_site("nyu-torch")


def test_nyu_partition_is_refused(script):
    assert "partition" not in options(script)
    with pytest.raises(ConfigError, match="partition is 'h200_public', allowed here is nothing: leave it out"):
        read_site("nyu-torch", changes={"partition": "h200_public"})


def test_nyu_gpu_and_constraint(script):
    assert options(script)["gres"] == "gpu:1"
    assert options(script)["constraint"] == "h200|l40s"
    assert '#SBATCH --constraint="h200|l40s"' in script
    with pytest.raises(ConfigError, match="constraint is 'v100'"):
        read_site("nyu-torch", changes={"constraint": "v100"})


def test_nyu_jobs_are_preemptible_and_requeued(script):
    assert options(script)["comment"] == "preemption=yes;requeue=true"
    assert "requeue" in options(script)
    with pytest.raises(ConfigError, match="comment is"):
        read_site("nyu-torch", changes={"comment": "preemption=yes"})


def test_nyu_one_task_per_gpu(nyu):
    script = read_site("nyu-torch", changes={"gres": "gpu:4", "tasks": 4, "nodes": 2}).script(TRAIN, "t", nyu)
    assert (options(script)["nodes"], options(script)["ntasks-per-node"], options(script)["gres"]) == (
        "2",
        "4",
        "gpu:4",
    )
    assert "ntasks" not in options(script)


def test_nyu_container_has_gpu_and_read_only_overlay(script, nyu):
    words = step(script)
    assert words[words.index("apptainer") + 1] == "exec"
    assert "--nv" in words
    assert words[words.index("--overlay") + 1] == f"{nyu.parent}/hummingface.ext3:ro"
    assert "/share/apps/images/cuda-13.3.1-ubuntu-26.04.sif" in words
    for suffix in (":rw", ":ro"):
        with pytest.raises(ConfigError, match="always mounted :ro"):
            read_site("nyu-torch", changes={"overlay": f"/scratch/x.ext3{suffix}"})


def test_nyu_environment_is_sourced_from_the_overlay(script, monkeypatch):
    assert "source /ext3/env.sh && exec" in step(script)[-6]
    monkeypatch.setenv("HUMMINGFACE_OVERLAY", "")
    with pytest.raises(ConfigError, match="overlay needs the environment variable HUMMINGFACE_OVERLAY"):
        read_site("nyu-torch")


def test_nyu_modules_are_purged_first(script):
    lines = script.splitlines()
    assert lines.index("module purge") < next(i for i, line in enumerate(lines) if line.startswith("srun "))


def test_nyu_work_tree_must_be_on_scratch(nyu, tmp_path):
    home = tmp_path / "home" / "ab123" / "hummingface"
    with pytest.raises(ConfigError, match=r"keeps data in .*scratch/ab123: clone the repository there"):
        read_site("nyu-torch").script(TRAIN, "t", home)
    script = read_site("nyu-torch").script(TRAIN, "t", nyu)
    assert options(script)["chdir"] == str(nyu)
    assert options(script)["output"].startswith(f"{nyu}/data/scratch/slurm/")


def test_nyu_cpu_jobs_request_no_gpu(nyu):
    script = read_site("nyu-torch", "cpu").script(["dvc", "repro"], "dvc", nyu)
    assert not {"gres", "constraint"} & set(options(script))
    assert "apptainer" not in step(script), "jobs cannot be submitted from a container"


def test_nyu_time_limit_is_under_48_hours(script):
    assert limit_in_seconds(options(script)["time"]) < 48 * 3600


# ----------------------------------------------------------------------------------------- what every cluster needs


def test_script_receives_and_forwards_the_signal(script):
    assert options(script)["signal"] == "B:USR1@180"
    assert "trap 'warned=yes' USR1" in script
    assert 'scancel --quiet --signal=USR1 "$job"' in script
    assert script.index("trap 'warned") < script.index("module purge"), "handled from the start"


def test_program_ignores_the_signal_at_first_and_is_exec(script):
    assert (
        step(script)[-7:]
        == ["bash", "-c", 'trap "" USR1; source /ext3/env.sh && exec "$@"', "hummingface", *TRAIN][-7:]
    )


def test_output_is_appended_after_a_requeue(script):
    assert options(script)["open-mode"] == "append"


def test_master_address_is_exported(script):
    assert "export MASTER_ADDR MASTER_PORT" in script
    assert "NodeAddr" in script, "host names of nodes may not resolve"


def test_step_has_the_cpus_of_its_job(script):
    assert f"--cpus-per-task={options(script)['cpus-per-task']}" in step(script)


def test_requeue_can_be_disabled(tmp_path):
    script = Site(requeue=False).script(TRAIN, "t", tmp_path)
    assert "no-requeue" in options(script)
    assert "scontrol requeue" not in script
    assert "submit the same command again" in script


def test_array_jobs_have_separate_output_files(tmp_path):
    script = Site().script(TRAIN, "sweep", tmp_path, array="0-9%4")
    assert options(script)["array"] == "0-9%4"
    assert options(script)["output"].endswith("/%x-%A_%a.out")


def test_percent_sign_in_a_folder_is_escaped(tmp_path):
    script = Site().script(TRAIN, "t", tmp_path / "100%j")
    assert "/100%%j/data" in options(script)["output"]
    assert options(script)["chdir"].endswith("/100%j")


def test_all_template_fields_are_filled(script):
    assert not re.findall(r"@\w+@", script)
    assert f"== {RUN_AGAIN} " in script


@pytest.mark.parametrize("profile", ["generic", "nyu-torch"])
@pytest.mark.parametrize("job", ["train", "cpu"])
def test_every_profile_gives_valid_bash(profile, job, nyu):
    site = read_site(profile, job, {"modules": ["load a b"], "environment": {"TMPDIR": "/tmp/it's $HOME"}})
    script = site.script(["echo", "it's", "$(rm -rf x)", "a b"], "t", nyu)
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert "module load a b" in script
    assert step(script)[-4:] == ["echo", "it's", "$(rm -rf x)", "a b"]


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), min_size=1))
def test_any_printable_text_is_quoted_for_sbatch(text):
    if text.strip() == text:
        line = next(
            line for line in Site(comment=text).script(["x"], "t", Path("/x")).splitlines() if "--comment" in line
        )
        assert shlex.split(line.removeprefix("#SBATCH "), comments=True) == [f"--comment={text}"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=4))
def test_any_command_is_quoted_for_bash(command):
    script = Site().script(["printf", "%s\\0", *command], "t", Path("/x"))
    (start,) = [i for i, line in enumerate(script.splitlines()) if line.startswith("srun ")]
    body = script[script.index("\nsrun ") : script.index(" &\nstep=$!")]
    assert start
    assert shlex.split(body)[-len(command) :] == command


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"acount": "x"}, r"unknown setting mine\.acount; known: account"),
        ({"nodes": 0}, "nodes is 0, allowed is 1 to"),
        ({"cpus": "8"}, "cpus is '8', expected int"),
        ({"time": 14400}, "time is 14400, expected str"),
        ({"time": "soon"}, "time is 'soon', allowed is minutes, HH:MM:SS"),
        ({"time": "2", "signal_seconds": 120}, "signal_seconds is 120, allowed is 4 to 119"),
        ({"comment": 'a"\n#SBATCH --uid=0'}, "a quote, a backslash or a control character"),
        ({"account": "a\nb"}, "a control character"),
        ({"environment": {"A B": "x"}}, "environment.A B is not a valid variable name"),
        ({"environment": {"A": "x\ny"}}, "a control character"),
        ({"options": ["rm -rf"]}, "options has 'rm -rf', allowed is --name or --name=value"),
        ({"overlay": "/o.ext3"}, "but there is no container"),
        ({"require": {"acount": "x"}}, "a key of require is 'acount', allowed is one of account"),
        ({"scratch": "$NO_SUCH_VARIABLE"}, "mine.yaml: scratch needs the environment variable NO_SUCH_VARIABLE"),
        ({"comment": "5 $"}, r"write \$\$ for a dollar sign"),
        ({"jobs": {"gpu": {}}}, "jobs is 'gpu', allowed is one of train, cpu"),
        ({"jobs": ["train"]}, "must hold a mapping, and so must its jobs"),
    ],
)
def test_profile_errors_are_one_line(changes, message, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"time": "01:00:00", **changes}), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        read_site(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("nyu")
def test_unknown_profile_lists_the_known():
    with pytest.raises(ConfigError, match=r"no profile slurm/profiles/greene\.yaml; known: generic, nyu-torch"):
        read_site("greene")


def test_invalid_yaml_profile(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_site(str(path))


def test_job_kind_and_changes_override_the_profile(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    monkeypatch.setenv("ME", "ada")
    text = "account: $$5-$ME\ncpus: 2\njobs: {train: {cpus: 3, gres: 'gpu:1'}, cpu: {cpus: 5}}\n"
    path.write_text(text, encoding="utf-8")
    assert read_site(str(path)) == Site(account="$5-ada", cpus=3, gres="gpu:1")
    assert read_site(str(path), "cpu").cpus == 5
    assert read_site(str(path), "cpu", {"cpus": 6}).cpus == 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 5400), ("10:30", 630), ("01:00:00", 3600), ("1-0", 86400), ("2-12", 216000), ("1-1:1:1", 90061)],
)
def test_time_limits_are_parsed_like_sbatch(text, expected):
    assert limit_in_seconds(text) == expected


def test_profiles_contain_no_personal_data():
    for path in (ROOT / PROFILES).glob("*.yaml"):
        assert not re.findall(r"torch_pr_\d|/scratch/\w|@nyu", path.read_text(encoding="utf-8"))
