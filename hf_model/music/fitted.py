"""Numbers that were fitted to songs: one JSON file for each musical rule in ``hf_model/weights/music``."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hf_model.files import write_json
from hf_model.weights import CONFIG, DIGESTS, WEIGHTS, damaged, read_config, read_model_file

FOLDER = WEIGHTS / "music"


@cache
def load_fitted(name: str) -> dict[str, Any]:
    """Read the numbers of one rule ("key", "meter", "repetition_voting", "tempo"), once per process.

    Raises
    ------
    FileNotFoundError
        If there are none.
    WeightsError
        If the file is damaged.
    """
    content = read_model_file(FOLDER, f"{name}.json")
    try:
        values: dict[str, Any] = json.loads(content)
    except ValueError as error:
        raise damaged(FOLDER / f"{name}.json", error) from error
    return values


def logistic(weights: Sequence[float], features: Sequence[float]) -> float:
    """Compute a probability by logistic regression; the first of the weights is the constant."""
    logit = weights[0] + sum(weight * feature for weight, feature in zip(weights[1:], features, strict=True))
    return 1.0 / (1.0 + math.exp(-logit))


def save_fitted(name: str, values: dict[str, Any], folder: Path = FOLDER) -> None:
    """Write the numbers of one rule, with each list of numbers on one line, and their digest to ``config.json``."""
    text = re.sub(r"\[[^][{}]*\]", lambda found: json.dumps(json.loads(found[0])), json.dumps(values, indent=2))
    folder.mkdir(parents=True, exist_ok=True)
    content = (text + "\n").encode()
    (folder / f"{name}.json").write_bytes(content)
    settings: dict[str, Any] = read_config(folder) if (folder / CONFIG).is_file() else {"kind": "music"}
    settings.setdefault(DIGESTS, {})[f"{name}.json"] = hashlib.sha256(content).hexdigest()
    write_json(folder / CONFIG, settings, digest=True)
