"""What tells one run from another: its name and its tags."""

from __future__ import annotations

import getpass
import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hf_model.config import ConfigError, mask_passwords
from stages import _run
from stages.tracking.datasets import read_manifest

SHORT_NAMES = {"learning_rate": "lr", "batch_size": "batch", "made_phrases": "phrases"}
"""Settings that have a shorter name in the names of runs."""

MAX_CHANGES = 3
"""Changed settings that the name of a run lists."""

GROUP_VARIABLE = "HUMMINGFACE_GROUP"
"""Environment variable: runs with the same value are nested below one parent run of that name."""


def run_name(kind: str, training: Mapping[str, Any]) -> str:
    """Name a run by its model, profile, learning rate and changed settings: ``transcriber · clean · lr 1e-3``.

    Parameters
    ----------
    kind : str
        The model.
    training : mapping
        All settings of the training, including defaults.
    """
    words = [kind, profile_name()]
    if "learning_rate" in training.get("fit", {}):
        words.append(f"lr {short_number(training['fit']['learning_rate'])}")
    changes = {name: value for name, value in changed_settings(kind).items() if not name.endswith("fit.learning_rate")}
    for name, value in list(changes.items())[:MAX_CHANGES]:
        last = name.rpartition(".")[2]
        words.append(f"{SHORT_NAMES.get(last, last)} {short_number(value)}")
    if len(changes) > MAX_CHANGES:
        words.append(f"and {len(changes) - MAX_CHANGES} more")
    return " · ".join(words)


def short_number(value: Any) -> str:
    """Write a setting briefly: 1e-3 for 0.001, 0.97 as it is."""
    if not isinstance(value, float):
        return str(value)
    if value and not 0.01 <= abs(value) < 10_000:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.4g}"


def profile_name(params: Path = _run.PARAMS) -> str:
    """Return the profile chosen in params.yaml."""
    try:
        return str(_run.read_yaml(params).get("profile", "default"))
    except (OSError, ConfigError, AttributeError):
        return "default"


def changed_settings(kind: str) -> dict[str, Any]:
    """Compare the settings that determine a training with those of the last commit, under the same profile.

    ``dvc exp run -S`` and sweeps change params.yaml without a commit.

    Returns
    -------
    dict
        Dotted names and the new values; empty without git.
    """
    committed = _git("show", f"HEAD:./{_run.PARAMS.as_posix()}")
    if committed is None or not _run.PARAMS.is_file():
        return {}
    changes: dict[str, Any] = {}
    try:
        before, after, profile = yaml.safe_load(committed), _run.read_yaml(_run.PARAMS), profile_name()
        own = ("instruments",) if kind == "instruments" else ("align", "stft", f"train.{kind}")
        for section in ("download", *own):
            now = flatten({section: _run.merged_section(after, section)}, ".")
            then = flatten({section: _run.merged_section(before, section, profile)}, ".")
            changes |= {name: value for name, value in now.items() if then.get(name) != value}
    except (ConfigError, yaml.YAMLError, AttributeError, TypeError):
        return {}
    return changes


def run_tags(kind: str, source: str) -> dict[str, str]:
    """Return the tags of a run.

    ``model``, ``profile``; ``data.sha256`` of the shards; ``dvc.lock`` (its SHA-256), ``dvc.exp`` and ``dvc.baseline``
    of a ``dvc exp run``; ``sweep``; ``git.dirty``; and MLflow's own tags for the source and the user.

    Parameters
    ----------
    kind : str
        The model.
    source : str
        The program, relative to the repository's root.
    """
    tags = {"model": kind, "profile": profile_name(), **code_tags()}
    tags |= {"mlflow.source.name": source, "mlflow.source.type": "LOCAL", "mlflow.user": _user()}
    for name, variable in (("sweep", "HUMMINGFACE_SWEEP"), ("group", GROUP_VARIABLE)):
        if os.environ.get(variable):
            tags[name] = os.environ[variable]
    digest = read_manifest().get("content_sha256")
    return tags | ({"data.sha256": str(digest)} if digest else {})


def code_tags() -> dict[str, str]:
    """Return tags for the version of the code and of the pipeline."""
    lock = Path("dvc.lock")
    tags = {"dvc.lock": hashlib.sha256(lock.read_bytes()).hexdigest()} if lock.is_file() else {}
    for name, variable in (("dvc.exp", "DVC_EXP_NAME"), ("dvc.baseline", "DVC_EXP_BASELINE_REV")):
        if os.environ.get(variable):
            tags[name] = os.environ[variable]
    for name, words in (
        ("mlflow.source.git.commit", ("rev-parse", "HEAD")),
        ("mlflow.source.git.branch", ("rev-parse", "--abbrev-ref", "HEAD")),
        ("mlflow.source.git.repoURL", ("remote", "get-url", "origin")),
    ):
        found = _git(*words)
        if found:
            tags[name] = mask_passwords(found)
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return tags if changed is None else tags | {"git.dirty": str(bool(changed)).lower()}


def code_date() -> tuple[str, str]:
    """Return the commit and its date (2026-11-28); empty strings without git."""
    words = (_git("log", "-1", "--format=%H %cs") or "").split()
    return (words[0], words[1]) if len(words) == 2 else ("", "")


def flatten(tree: Mapping[str, Any], separator: str = "/", prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings; keys are joined by the separator."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, separator, f"{prefix}{name}{separator}")
        else:
            leaves[f"{prefix}{name}"] = value
    return leaves


def _git(*words: str) -> str | None:
    """Return what git prints; None without git, outside a repository, or for an unknown object."""
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
