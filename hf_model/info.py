"""What is installed: versions, and the weights that ship with their licences. Imports nothing heavy."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hf_model import __version__

SHIPPED = Path(__file__).parent / "weights"

LIBRARIES = ("torch", "numpy", "soundfile", "av", "soxr", "pretty_midi")


def installed() -> dict[str, Any]:
    """Describe this installation in plain values.

    Returns
    -------
    dict
        ``version``, ``python``, ``libraries`` (name to version), ``folder`` and ``weights``: for each model its
        ``name``, ``folder``, ``bytes``, ``licence`` and ``trained_on`` as its ``config.json`` tells them.
    """
    return {
        "version": __version__,
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "folder": str(Path(__file__).parent),
        "weights": [_weights(folder) for folder in sorted(SHIPPED.glob("*")) if folder.is_dir()],
    }


def as_text(description: dict[str, Any]) -> str:
    """Write what :func:`installed` gave for people."""
    lines = [
        f"HummingFace {description['version']} (MIT licence), Python {description['python']}",
        f"in {description['folder']}",
        "",
        "Libraries: " + ", ".join(f"{name} {number}" for name, number in description["libraries"].items()),
        "",
        "Weights:" if description["weights"] else "Weights: none are installed",
    ]
    for item in description["weights"]:
        size = f"{item['bytes'] / 1e6:.1f} MB"
        lines.append(f"  {item['name']:<12} {size:>8}  licence: {item['licence']}; from: {item['trained_on']}")
        lines.append(f"  {'':<12} {'':>8}  {item['folder']}")
    return "\n".join(lines)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _weights(folder: Path) -> dict[str, Any]:
    config = folder / "config.json"
    settings = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    return {
        "name": folder.name,
        "folder": str(folder),
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "licence": settings.get("licence", "see its model card"),
        "trained_on": settings.get("trained_on", "see its model card"),
    }
