"""A work folder in which the stages run with a profile, as they do in the repository's root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from stages import _run

ROOT = Path(__file__).resolve().parents[2]


def write_params(folder: Path, profile: str, model: str = "", changes: Mapping[str, Any] | None = None) -> None:
    """Write the settings of the repository with another profile.

    Parameters
    ----------
    folder : Path
        Created if missing.
    profile : str
    model : str
        The model whose training is changed: "transcriber", ...
    changes : mapping, optional
        Laid over its settings in the profile.
    """
    content = _run.read_yaml(ROOT / _run.PARAMS)
    content["profile"] = profile
    if changes:
        training = content["profiles"][profile]["train"]
        training[model] = _run.merge_settings(training[model] or {}, changes)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / _run.PARAMS).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def run_stages(folder: Path, commands: Sequence[Sequence[str]], mirror: str) -> None:
    """Run commands (module, then arguments) in a work folder, with a mirror of the corpora.

    Raises
    ------
    SystemExit
        If one fails; it has said why.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HUMMINGFACE_MIRROR": mirror}
    for command in commands:
        done = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, check=False)
        if done.returncode:
            raise SystemExit(f"{folder}: python -m {' '.join(command)} ended with exit code {done.returncode}")
