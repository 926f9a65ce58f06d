"""The Hugging Face Hub: models brought from there and taken there; it is asked only when a name of it is given."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""``owner/name``, as the Hub writes it."""

FILES = ("config.json", "model.safetensors", "README.md")
"""What a model consists of; nothing else is brought or taken, and nothing of it is a pickle."""

INSTALL = "pip install 'hummingface[hub]'"


class HubError(OSError):
    """Why a model cannot be brought from the Hub or taken there, in one line."""


def model_folder(source: Path | str, revision: str | None = None) -> Path:
    """Find the folder of a model, bringing it from the Hub if need be.

    Parameters
    ----------
    source : path or str
        A folder, or ``owner/name`` on the Hub. A folder that exists is taken first.
    revision : str, optional
        Branch, tag or commit on the Hub; the main branch when not given.

    Returns
    -------
    Path
        The folder given, or the Hub's own cache (``HF_HOME``), where a second call finds it without a network.

    Raises
    ------
    FileNotFoundError
        If it is neither a folder nor a name of the Hub.
    HubError
        If the Hub has no such model, cannot be reached, or ``huggingface_hub`` is not installed.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    name = str(source)
    if isinstance(source, Path) or not HUB_NAME.fullmatch(name):
        msg = f"no model in {folder}: there is no such folder"
        raise FileNotFoundError(msg)
    hub = _library(f"no folder {name}, and for a model of that name on the Hugging Face Hub")
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=_patterns()))
    except (OSError, ValueError) as error:
        at = f" at revision {revision}" if revision else ""
        msg = f"no folder {name}, and no model of that name{at} on the Hugging Face Hub: {_first_line(error)}"
        raise HubError(msg) from error


def push_folder(
    folder: Path | str, name: str, *, private: bool = False, token: str | None = None, message: str | None = None
) -> str:
    """Take a model to the Hub: its settings, weights and card.

    A folder whose ``README.md`` lacks the Hub's metadata gets a card with the figures of its ``config.json``; the
    folder itself is not changed.

    Parameters
    ----------
    folder : path
        What ``save_pretrained`` wrote.
    name : str
        ``owner/name``; made if missing.
    private : bool
        For one that is made.
    token : str, optional
        What ``hf auth login`` keeps when not given.
    message : str, optional
        Of the commit.

    Returns
    -------
    str
        The address of the commit.

    Raises
    ------
    FileNotFoundError, HubError
        If there is no model in the folder, the name is none, or the Hub refuses.
    """
    source = Path(folder) / "config.json"
    if not source.is_file():
        msg = f"no model in {folder}: config.json is missing"
        raise FileNotFoundError(msg)
    if not HUB_NAME.fullmatch(name):
        msg = f"{name!r} is no name on the Hugging Face Hub, expected owner/name"
        raise HubError(msg)
    hub = _library("to take a model to the Hugging Face Hub,")
    settings = json.loads(source.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="hummingface-") as staged:
        for item in FILES:
            if (source.parent / item).is_file():
                shutil.copy(source.parent / item, staged)
        readme = Path(staged) / "README.md"
        if not (readme.is_file() and readme.read_text(encoding="utf-8").startswith("---\n")):
            readme.write_text(card(settings, name), encoding="utf-8")
        message = message or f"HummingFace {settings.get('kind', 'model')}"
        try:
            api = hub.HfApi(token=token)
            api.create_repo(name, private=private, exist_ok=True)
            return str(api.upload_folder(repo_id=name, folder_path=staged, commit_message=message).commit_url)
        except (OSError, ValueError) as error:
            msg = f"{name} cannot be written on the Hugging Face Hub: {_first_line(error)}"
            raise HubError(msg) from error


def card(settings: Mapping[str, Any], name: str) -> str:
    """Write a model card from a ``config.json``: the Hub's metadata with the validation figures, and how to use it.

    Parameters
    ----------
    settings : mapping
        The content of ``config.json``.
    name : str
        ``owner/name``.
    """
    hub = _library("to write a model card,")
    kind = str(settings.get("kind", "model"))
    figures = {key: value for key, value in settings.get("valid", {}).items() if isinstance(value, int | float)}
    results = [
        hub.EvalResult(
            task_type="audio-to-audio",
            dataset_type="validation",
            dataset_name="validation split of the training data",
            metric_type=key,
            metric_value=value,
        )
        for key, value in sorted(figures.items())
        if key not in ("step", "seconds")
    ]
    data = hub.ModelCardData(
        license=str(settings.get("licence", "other")).lower(),
        library_name="hummingface",
        tags=["music", "singing", "piano", kind],
        model_name=name.split("/")[1] if results else None,
        eval_results=results or None,
    )
    trained_on = settings.get("trained_on", "not said")
    return (
        f"---\n{data.to_yaml()}\n---\n\n# {name}\n\nA {kind} of HummingFace: singing in, the same melody on a piano "
        f"out. Trained on: {trained_on}.\n\n```bash\npip install 'hummingface[hub]'\n"
        f"hummingface convert hum.wav --model {name}\n```\n"
    )


def _library(why: str) -> Any:
    try:
        import huggingface_hub
    except ImportError:
        msg = f"{why} huggingface_hub must be installed: {INSTALL}"
        raise HubError(msg) from None
    return huggingface_hub


def _patterns() -> list[str]:
    """Give the files of a model alone in a repository, or of several in folders of it."""
    return [*FILES, *(f"*/{name}" for name in FILES)]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
