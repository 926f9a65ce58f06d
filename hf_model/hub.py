"""The Hugging Face Hub: download and upload of models, only for names of the form ``owner/name``."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_model.config import ConfigError
from hf_model.files import read_json

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""``owner/name``."""

FILES = ("config.json", "model.safetensors", "model.onnx", "context.onnx", "README.md")
"""Files of a model; no others are downloaded or uploaded, and none is a pickle."""

INSTALL = "pip install 'hummingface[hub]'"


class HubError(OSError):
    """Why a model cannot be downloaded or uploaded, in one line."""


def model_folder(source: Path | str, revision: str | None = None) -> Path:
    """Find the folder of a model, after downloading it from the Hub if necessary.

    Parameters
    ----------
    source : path or str
        A folder, or ``owner/name`` on the Hub; an existing folder takes precedence.
    revision : str, optional
        Branch, tag or commit on the Hub; the main branch by default.

    Returns
    -------
    Path
        The given folder, or one in the cache of the Hub (``HF_HOME``), which later calls use without a network.

    Raises
    ------
    FileNotFoundError
        If it is neither a folder nor of the form ``owner/name``.
    HubError
        If the Hub has no such model or cannot be reached, or ``huggingface_hub`` is not installed.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    name = str(source)
    if isinstance(source, Path) or not HUB_NAME.fullmatch(name):
        msg = f"no model in {folder}: there is no such folder"
        raise FileNotFoundError(msg)
    hub = _import_library(f"no folder {name}; to download it from the Hugging Face Hub,")
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=_patterns()))
    except (OSError, ValueError) as error:
        at = f" at revision {revision}" if revision else ""
        msg = f"no folder {name}, and no such model{at} on the Hugging Face Hub: {_first_line(error)}"
        raise HubError(msg) from error


def push_folder(
    folder: Path | str,
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    commit_message: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
) -> str:
    """Upload a model to the Hub: its settings, weights and model card.

    Without a ``README.md`` with metadata, a card with the metrics of ``config.json`` is uploaded; the folder is not
    changed.

    Parameters
    ----------
    folder : path
        Written by ``save_pretrained``.
    repo_id : str
        ``owner/name``; created if missing.
    private : bool
        Visibility of a new repository.
    token : str, optional
        By default that of ``hf auth login``.
    commit_message : str, optional
    revision : str, optional
        Branch to commit to, created if missing; the main branch by default.
    create_pr : bool
        Open a pull request with the commit instead: for a repository of somebody else.

    Returns
    -------
    str
        URL of the commit, or of the pull request.

    Raises
    ------
    FileNotFoundError
        If the folder has no model.
    ConfigError
        If its ``config.json`` is damaged.
    HubError
        If the name is invalid, or the upload fails.
    """
    source = Path(folder) / "config.json"
    if not source.is_file():
        msg = f"no model in {folder}: config.json is missing"
        raise FileNotFoundError(msg)
    if not HUB_NAME.fullmatch(repo_id):
        msg = f"{repo_id!r} is not a name on the Hugging Face Hub, expected owner/name"
        raise HubError(msg)
    hub = _import_library("to upload a model to the Hugging Face Hub,")
    settings = read_json(source, "copy, download or train the model again")
    with tempfile.TemporaryDirectory(prefix="hummingface-") as staging:
        for item in FILES:
            if (source.parent / item).is_file():
                shutil.copy(source.parent / item, staging)
        readme = Path(staging) / "README.md"
        if not (readme.is_file() and readme.read_text(encoding="utf-8").startswith("---\n")):
            readme.write_text(write_card(settings, repo_id), encoding="utf-8")
        try:
            api = hub.HfApi(token=token)
            if not create_pr:
                api.create_repo(repo_id, private=private, exist_ok=True)
            if revision is not None:
                api.create_branch(repo_id, branch=revision, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=staging,
                commit_message=commit_message or f"HummingFace {settings.get('kind', 'model')}",
                revision=revision,
                create_pr=create_pr,
            )
            return str(commit.pr_url if create_pr else commit.commit_url)
        except (OSError, ValueError) as error:
            msg = f"{repo_id} cannot be uploaded to the Hugging Face Hub: {_first_line(error)}"
            raise HubError(msg) from error


def write_card(settings: Mapping[str, Any], name: str) -> str:
    """Write a model card from a ``config.json``: metadata with validation metrics, and how to use the model.

    Parameters
    ----------
    settings : mapping
        The content of ``config.json``.
    name : str
        ``owner/name``.

    Raises
    ------
    ConfigError
        If the settings are not a mapping.
    HubError
        If ``huggingface_hub`` is not installed.
    """
    if not isinstance(settings, Mapping):
        msg = f"the settings of {name} must be a mapping, got {type(settings).__name__}"
        raise ConfigError(msg)
    hub = _import_library("to write a model card,")
    kind = str(settings.get("kind", "model"))
    valid = settings.get("valid")
    figures = valid if isinstance(valid, Mapping) else {}
    metrics = {key: value for key, value in figures.items() if isinstance(value, int | float)}
    results = [
        hub.EvalResult(
            task_type="audio-to-audio",
            dataset_type="validation",
            dataset_name="validation split of the training data",
            metric_type=key,
            metric_value=value,
        )
        for key, value in sorted(metrics.items())
        if key not in ("step", "seconds")
    ]
    data = hub.ModelCardData(
        license=str(settings.get("licence", "other")).lower(),
        library_name="hummingface",
        tags=["music", "singing", "piano", kind],
        model_name=name.split("/")[1] if results else None,
        eval_results=results or None,
    )
    trained_on = settings.get("trained_on", "unknown")
    return (
        f"---\n{data.to_yaml()}\n---\n\n# {name}\n\nA {kind} of HummingFace: singing in, the same melody on a piano "
        f"out. Trained on: {trained_on}.\n\n```bash\npip install 'hummingface[hub]'\n"
        f"hummingface convert hum.wav --model {name}\n```\n"
    )


def _import_library(purpose: str) -> Any:
    try:
        import huggingface_hub
    except ImportError:
        msg = f"{purpose} huggingface_hub must be installed: {INSTALL}"
        raise HubError(msg) from None
    return huggingface_hub


def _patterns() -> list[str]:
    """Patterns of the files of a model in the root of a repository, or of several in its folders."""
    return [*FILES, *(f"*/{name}" for name in FILES)]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
