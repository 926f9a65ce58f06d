"""Parameter sweeps: ``python -m stages.cluster.sweep PLAN.yaml`` runs each parameter set in turn, or as a job array.

Each set has a work tree of the current commit, ``data/scratch/sweeps/<plan>/<number>-<hash>``, with its own
``params.yaml`` and ``mlflow.db``; DVC's cache is shared, so that common outputs are made once. With ``RUNNER=slurm``
the sets are one job array on ``HUMMINGFACE_SLURM_PROFILE``. Running the command again continues interrupted sets.
``python -m stages.tracking.merge data/scratch/sweeps/<plan>`` copies the runs into ``mlflow.db``.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hf_model.config import ConfigError
from hf_model.files import read_json, remove_leftovers, temporary_path, write_json
from stages import _run
from stages.cluster import jobs
from stages.cluster.site import LOGS, read_site

SWEEPS = Path("data/scratch/sweeps")
EXAMPLE = """\
a plan:
  targets: [train@transcriber]               # targets of `dvc repro`; this is the default
  grid:                                      # every combination of these ...
    train.transcriber.fit.learning_rate: [1.0e-3, 3.0e-3]
    train.transcriber.fit.seed: [0, 1]
  sets:                                      # ... with each of these
    - {train.transcriber.fit.ema: 0.97}
    - {train.transcriber.fit.ema: 0.99, train.transcriber.fit.steps: 500}
"""


@dataclass(frozen=True)
class Plan:
    """DVC targets, and one mapping for each run from dotted names to values of settings."""

    name: str
    targets: tuple[str, ...]
    sets: tuple[dict[str, Any], ...]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.cluster.sweep",
        description="Run the pipeline for many parameter sets, in turn or (RUNNER=slurm) as a job array.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("plan", type=Path, help="a YAML file")
    parser.add_argument("--show", action="store_true", help="only print the sets and the batch script")
    parser.add_argument(
        "--at-once", type=int, default=8, metavar="N", help="jobs that run at the same time (%(default)s)"
    )
    parser.add_argument("--task", type=int, help=argparse.SUPPRESS)  # used by the jobs of the array
    options = parser.parse_args(arguments)
    if options.task is not None:
        _run_task(options.plan.stem, options.task)
    plan, profile = read_plan(options.plan), jobs.chosen_profile()
    for number, settings in enumerate(plan.sets):
        print(f"{number}: {', '.join(f'{name}={value}' for name, value in settings.items()) or 'as in params.yaml'}")
    # $SLURM_ARRAY_TASK_ID is expanded by the shell on the node.
    words = ["sh", "-c", f'exec python -m stages.cluster.sweep {plan.name}.yaml --task "$SLURM_ARRAY_TASK_ID"']
    array = f"0-{len(plan.sets) - 1}%{options.at_once}"
    script = read_site(profile).script(words, f"sweep-{plan.name}", Path.cwd(), array) if profile else ""
    if options.show:
        print(script, end="")
        return
    folders = prepare(plan)
    if profile:
        with jobs.submit_script(script, wait=False) as (job, _):
            print(f"job array {job} on {profile}: {len(folders)} runs, {options.at_once} at once; output: {LOGS}")
    else:
        _run_in_turn(plan, folders)
    print(f"to copy the runs here: python -m stages.tracking.merge {SWEEPS / plan.name}")


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises
    ------
    ConfigError
        For an invalid plan; the message names the file.
    """
    content = _run.read_yaml(path)
    content = {"sets": content} if isinstance(content, list) else content
    known = {"targets", "grid", "sets"}
    if not isinstance(content, Mapping) or not set(content) <= known:
        raise ConfigError(f"{path} must hold a list of sets, or a mapping of {', '.join(sorted(known))}")
    grid, sets = content.get("grid") or {}, content.get("sets") or [{}]
    if not isinstance(grid, Mapping) or not all(isinstance(values, list) and values for values in grid.values()):
        raise ConfigError(f"{path}: grid must hold a list of values for each setting")
    if not isinstance(sets, list) or not all(isinstance(one, Mapping) for one in sets):
        raise ConfigError(f"{path}: sets must hold a list of mappings")
    if not re.fullmatch(r"[\w-]+", path.stem):
        raise ConfigError(f"{path}: the name of a plan must be of letters, digits, _ and -")
    combinations = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    made = [{**one, **combination} for one in sets for combination in combinations]
    return Plan(path.stem, tuple(content.get("targets") or ["train@transcriber"]), tuple(made))


def prepare(plan: Plan) -> list[Path]:
    """Create the work tree of each set, unless it exists.

    Raises
    ------
    ConfigError
        For an unknown setting or an impossible value, before any tree is made; for uncommitted changes.
    """
    changed = _git("status", "--porcelain", "--untracked-files=no")
    if changed:
        raise ConfigError(f"{changed.split()[-1]} has changes: a sweep runs what is committed, so commit them first")
    for folder in (SWEEPS, SWEEPS / plan.name):
        remove_leftovers(folder)
    texts = [_params(settings) for settings in plan.sets]
    cache = subprocess.run(
        [sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True, check=True
    ).stdout.strip()
    folders = []
    for number, text in enumerate(texts):
        key = hashlib.sha256(f"{_git('rev-parse', 'HEAD')} {text}".encode()).hexdigest()[:8]
        folder = SWEEPS / plan.name / f"{number:03d}-{key}"
        if not (folder / ".dvc" / "config.local").is_file():
            _git("worktree", "prune")
            _git("worktree", "add", "--detach", "--force", str(folder), "HEAD")
            (folder / "params.yaml").write_text(text, encoding="utf-8")
            local = f"[cache]\n    dir = {cache}\n"
            (folder / ".dvc" / "config.local").write_text(local, encoding="utf-8")  # last: marks the tree as complete
        folders.append(folder)
    names = [folder.name for folder in folders]
    content = {"targets": list(plan.targets), "folders": names, "sets": list(plan.sets)}
    write_json(SWEEPS / plan.name / "sets.json", content, digest=True)
    return folders


def _params(settings: Mapping[str, Any]) -> str:
    """Merge a set into the profile of params.yaml, and check its settings."""
    content = _run.read_yaml(_run.PARAMS)
    top: dict[str, Any] = content.setdefault("profiles", {}).setdefault(content.get("profile", "default"), {})
    for name, value in settings.items():
        part, *inner, last = [top, *name.split(".")]
        for key in inner:
            if not isinstance(part.get(key), dict):
                part[key] = {}
            part = part[key]
        part[last] = value
    text = str(yaml.safe_dump(content, sort_keys=False))
    path = temporary_path(SWEEPS / "params.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_text(text, encoding="utf-8")
        for section in {_section(name) for name in settings}:
            _run.settings(section, _settings_class(section), path)
    finally:
        path.unlink()
    return text


def _section(name: str) -> str:
    first, *rest = name.split(".")
    return f"train.{rest[0]}" if first == "train" and rest else first


def _settings_class(section: str) -> type:
    """Return the settings class of a section."""
    from hf_model.alignment.align import AlignSettings
    from hf_model.corpora.catalogue import DownloadSettings
    from hf_model.corpora.own import register_own
    from hf_model.evaluation.evaluate import EvaluateSettings
    from hf_model.evaluation.render_test_set import RenderSettings
    from hf_model.shards.plan import StftSettings
    from hf_model.training.tasks import TASKS

    register_own()
    classes: dict[str, type] = {"download": DownloadSettings, "align": AlignSettings, "stft": StftSettings}
    classes |= {"render": RenderSettings, "evaluate": EvaluateSettings}
    classes |= {f"train.{kind}": settings for kind, (settings, _) in TASKS.items()}
    if section not in classes:
        raise ConfigError(f"no section {section} in params.yaml; known: {', '.join(classes)}")
    return classes[section]


def _run_task(name: str, task: int) -> None:
    """Replace this process by the run of one set: signals go to DVC, and its exit code is the job's."""
    known = read_json(SWEEPS / name / "sets.json", "run the sweep command again")
    folder = SWEEPS / name / known["folders"][task]
    print(f"{folder}: {known['sets'][task]}", flush=True)
    os.chdir(folder)
    os.execve(sys.executable, _command(known["targets"]), _environment(folder))


def _command(targets: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "dvc", "repro", *targets]


def _environment(folder: Path) -> dict[str, str]:
    sweep = f"{folder.parent.name}/{folder.name}"
    return {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "HUMMINGFACE_SWEEP": sweep}


def _run_in_turn(plan: Plan, folders: Sequence[Path]) -> None:
    failed = []
    for number, folder in enumerate(folders):
        print(f"--- {number + 1} of {len(folders)}: {folder}", flush=True)
        done = subprocess.run(_command(plan.targets), cwd=folder, env=_environment(folder), check=False)
        failed += [str(number)] if done.returncode else []
    if failed:
        raise ConfigError(f"{len(failed)} of {len(folders)} sets failed: {', '.join(failed)}; the others are done")


def _git(*words: str) -> str:
    try:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()
    except subprocess.CalledProcessError as error:
        raise ConfigError(f"git {words[0]}: {' '.join(error.stderr.split())}") from None


if __name__ == "__main__":
    _run.main(main)
