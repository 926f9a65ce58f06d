"""The shards as data sets of MLflow: name, hash, counts and columns of each split."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_model.config import ConfigError
from hf_model.files import read_json

SHARDS = Path("data/stft")
FRAME_RATE = 100
"""Frames a second of the shards."""

COLUMNS = {
    "transcriber": ["voice_stft", "notes"],
    "synthesizer": ["voice_stft", "piano_stft", "notes"],
    "direct": ["voice_stft", "piano_stft", "notes"],
}
"""Columns of the shards that a model is trained on; other models use no shards."""


def dataset_inputs(kind: str, splits: Mapping[str, str]) -> list[Any]:
    """Describe the shards as MLflow data sets, one for each split: name, hash, counts, columns.

    Parameters
    ----------
    kind : str
        The model; there are no data sets for one that is not trained on shards.
    splits : mapping of str to str
        Splits of the shards, and what they are used for: {"train": "training"}.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs: list[Any] = []
    if kind not in COLUMNS:
        return inputs
    manifest = read_manifest()
    for split, context in splits.items():
        files = [entry for entry in manifest.get("files", []) if entry["split"] == split]
        if not files:
            continue
        rows = Counter[str]()
        for entry in files:
            rows[entry["corpus"]] += entry["rows"]
        digest = hashlib.sha256("".join(sorted(entry["sha256"] for entry in files)).encode()).hexdigest()
        seconds = sum(rows.values()) * manifest["segment_frames"] / FRAME_RATE
        profile = {
            "num_rows": sum(rows.values()),
            "rows": dict(rows),
            "hours": round(seconds / 3600, 3),
            "sha256": digest,
            "bytes": sum(entry["bytes"] for entry in files),
        }
        colspec = [{"type": "binary", "name": name, "required": True} for name in COLUMNS[kind]]
        schema = {"mlflow_colspec": colspec}
        dataset = Dataset(
            name=f"{' + '.join(sorted(rows))} ({split})",
            digest=digest[:12],
            source_type="local",
            source=json.dumps({"uri": (SHARDS / split).as_posix()}),
            schema=json.dumps(schema),
            profile=json.dumps(profile),
        )
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    return inputs


def read_manifest() -> dict[str, Any]:
    """Read the manifest of the shards; empty if it is missing or damaged, which the training reports."""
    try:
        return read_json(SHARDS / "manifest.json", "") if (SHARDS / "manifest.json").is_file() else {}
    except (OSError, ConfigError):
        return {}
