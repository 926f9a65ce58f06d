"""The file that holds a model of the analysis: JSON that names its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_model.config import ConfigError
from hf_model.files import read_json

MODEL_FILE = "config.json"

REMEDY = "run `python -m stages.analysis` again, or install the package again"


def read_model_file(folder: Path | str, kind: str) -> dict[str, Any]:
    """Read the values of a model.

    Parameters
    ----------
    folder : path
        Holds ``MODEL_FILE``.
    kind : str
        "genre" or "popularity".

    Raises
    ------
    ConfigError
        If there is none, it is not valid JSON, or it is of another kind.
    """
    path = Path(folder) / MODEL_FILE
    if not path.is_file():
        msg = f"{folder}: no {MODEL_FILE}; `python -m stages.analysis` makes the folder of a {kind} model"
        raise ConfigError(msg)
    values = read_json(path, REMEDY)
    if values.get("kind") != kind:
        msg = f"{path}: kind is {values.get('kind')!r}, a {kind} model is needed"
        raise ConfigError(msg)
    return values


def damaged(folder: Path | str, reason: object) -> ConfigError:
    """Make the error for values that are missing, or that do not fit together."""
    return ConfigError(f"{Path(folder) / MODEL_FILE}: damaged ({reason}); {REMEDY}")
