"""Numbers that were fitted to songs: one JSON file for each musical rule in ``hf_model/weights/music``."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from hf_model.weights import WEIGHTS

FOLDER = WEIGHTS / "music"


@cache
def load_fitted(name: str) -> dict[str, Any]:
    """Read the numbers of one rule ("key", "meter", "repetition_voting", "tempo"), once per process."""
    values: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return values


def save_fitted(name: str, values: dict[str, Any], folder: Path = FOLDER) -> None:
    """Write the numbers of one rule, with each list of numbers on one line."""
    text = re.sub(r"\[[^][{}]*\]", lambda found: json.dumps(json.loads(found[0])), json.dumps(values, indent=2))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
