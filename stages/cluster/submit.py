"""Show and submit jobs: ``python -m stages.cluster.submit show|submit PROFILE -- COMMAND...``.

``show`` prints the batch script of a command; ``submit`` prints and submits it. With ``-- flock .dvc/config dvc repro``
the whole pipeline is one job, and no terminal has to stay open. (``dvc --wait-for-lock`` waits only while another DVC
process reads its files, not while it runs a stage.)
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hf_model.config import ConfigError
from stages import _run
from stages.cluster import jobs
from stages.cluster.site import JOBS, LOGS, Site, read_site

EXAMPLES = """\
examples:
  python -m stages.cluster.submit show nyu-torch -- python -m stages.train transcriber
  python -m stages.cluster.submit submit generic --set time=01:00:00 -- python -m stages.train transcriber
  python -m stages.cluster.submit submit nyu-torch --job cpu -- env RUNNER=slurm flock .dvc/config dvc repro
"""

WRAPPERS = ("python", "env", "flock")
"""Programs that run other programs; not used as job names."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    split = words.index("--") if "--" in words else len(words)
    options, command = _parser().parse_args(words[:split]), words[split + 1 :]
    if not command:
        example = "python -m stages.cluster.submit show generic -- flock .dvc/config dvc repro"
        msg = f"no command: write it after --, as in: {example}"
        raise ConfigError(msg)
    site = read_site(options.profile, options.job, dict(_change(text) for text in options.set))
    tasks = site.nodes * site.tasks
    if tasks > 1 and "stages.train" not in command:
        msg = (
            f"{options.profile} asks for {tasks} tasks, and only stages.train runs as several processes: try --job cpu"
        )
        raise ConfigError(msg)
    script = site.script(command, options.name or _name(command), Path.cwd(), options.array)
    print(script, end="", flush=True)
    if options.what == "show" or options.dry_run:
        return
    with jobs.submit_script(script, wait=options.wait) as (job, sbatch):
        print(f"job {job} submitted; output: {LOGS}; squeue -j {job} shows it, scancel {job} cancels it")
        sys.stdout.flush()
        if options.wait:
            state, code = jobs.wait_for_job(job, sbatch)
            print(f"job {job}: {state}, exit code {code}")
            sys.exit(code or state != "COMPLETED")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stages.cluster.submit",
        description="Show or submit a command as a Slurm job; a profile in slurm/profiles describes the cluster.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("show", "submit"), help="print the batch script, or print and submit it")
    parser.add_argument("profile", help="a name in slurm/profiles, or the path of a YAML file")
    parser.add_argument("--job", choices=JOBS, default="train", help="the part of the profile: a GPU, or CPUs only")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="override a key of the profile")
    parser.add_argument("--name", default="", help="the job's name")
    parser.add_argument(
        "--array", default="", metavar="0-9%%4", help="a job array; each job has its own SLURM_ARRAY_TASK_ID"
    )
    parser.add_argument("--wait", action="store_true", help="wait for the end and exit with the job's exit code")
    parser.add_argument("--dry-run", action="store_true", help="submit nothing")
    return parser


def _change(text: str) -> tuple[str, Any]:
    """Parse ``key=value``; the value is YAML unless the key holds text."""
    key, equals, value = text.partition("=")
    if not equals:
        msg = f"--set {text}: write KEY=VALUE"
        raise ConfigError(msg)
    types = {one.name: one.type for one in dataclasses.fields(Site)}
    try:
        return key, value if types.get(key) == "str" else yaml.safe_load(value)
    except yaml.YAMLError:
        msg = f"--set {text}: the value is not valid YAML"
        raise ConfigError(msg) from None


def _name(command: Sequence[str]) -> str:
    """Derive a job name from its command: train-transcriber, dvc-repro."""
    words = [word for word in command if not word.startswith(("-", ".")) and "=" not in word and word not in WRAPPERS]
    named = "-".join(Path(word).name.removeprefix("stages.") for word in words[:2])
    return re.sub(r"[^\w.]+", "-", named)[:40].strip("-") or "job"  # used in file names


if __name__ == "__main__":
    _run.main(main)
