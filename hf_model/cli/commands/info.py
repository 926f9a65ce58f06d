"""`hummingface info`: installed versions, and the weights with their licences. Heavy imports are avoided."""

from __future__ import annotations

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import hf_model
from hf_model import __version__
from hf_model.config import ConfigError
from hf_model.weights import WEIGHTS, read_config

LIBRARIES = ("torch", "numpy", "soundfile", "av", "soxr", "pretty_midi")


def installed() -> dict[str, Any]:
    """Describe this installation.

    Returns
    -------
    dict
        ``version``, ``python``, ``libraries`` (name to version), ``folder`` and ``weights``: for each model its
        ``name``, ``folder``, ``bytes``, ``licence`` and ``trained_on`` from its ``config.json`` (empty if missing
        there), the path of its model ``card``, and the ``problem`` if ``config.json`` is damaged, or empty.
    """
    return {
        "version": __version__,
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "folder": str(Path(hf_model.__file__).parent),
        "weights": [_weights(path.parent) for path in sorted(WEIGHTS.glob("*/config.json"))],
    }


def as_text(description: dict[str, Any]) -> str:
    """Format the result of :func:`installed` as text."""
    lines = [
        f"HummingFace {description['version']} (MIT licence), Python {description['python']}",
        f"in {description['folder']}",
        "",
        "Libraries: " + ", ".join(f"{name} {number}" for name, number in description["libraries"].items()),
        "",
        "Weights:" if description["weights"] else "Weights: none are installed",
    ]
    for item in description["weights"]:
        lines.append(f"  {item['name']} ({item['bytes'] / 1e6:.1f} MB) in {item['folder']}")
        lines += [f"    {word}: {item[word]}" for word in ("licence", "trained_on", "card", "problem") if item[word]]
    return "\n".join(lines).replace("trained_on:", "trained on:")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _weights(folder: Path) -> dict[str, Any]:
    card = folder / "README.md"
    problem = ""
    try:
        settings = read_config(folder)
    except (OSError, ConfigError) as error:
        settings, problem = {}, str(error)
    return {
        "name": folder.name,
        "folder": str(folder),
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "licence": _find(settings, "licence"),
        "trained_on": _find(settings, "trained_on"),
        "card": str(card) if card.is_file() else "",
        "problem": problem,
    }


def _find(settings: Any, key: str) -> str:
    """Find a text in nested settings: some weights hold the description of the data in a nested field."""
    if not isinstance(settings, dict):
        return ""
    own = settings.get(key, "")
    if own:
        return ", ".join(map(str, own)) if isinstance(own, list) else str(own)
    return next(filter(None, (_find(item, key) for item in settings.values())), "")


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    description = installed()
    print(json.dumps(description, indent=2) if options.json else as_text(description))
    return 0
