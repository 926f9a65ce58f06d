"""The ``manifest.json`` of a folder of shards: its files, with their sizes and digests, and what a reader needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_model.audio.grid import StftConfig
from hf_model.config import ConfigError, from_mapping
from hf_model.files import file_sha256, read_json

SCHEMA_VERSION = 2
SPLITS = ("train", "valid", "test")
MANIFEST = "manifest.json"
REBUILD = "rebuild it: dvc repro --force stft"

_TYPES = {
    "voice_stft": dict,
    "piano_stft": dict,
    "piano": bool,
    "segment_frames": int,
    "rows_per_group": int,
    "files": list,
}
_FILE_TYPES = {"path": str, "split": str, "corpus": str, "rows": int, "bytes": int, "sha256": str}


class ShardError(ValueError):
    """A shard, or a folder of shards, that cannot be used; the message names it and how to rebuild it."""

    def __init__(self, message: str) -> None:
        # torch wraps the message of an exception in a loading process in its traceback
        super().__init__(message.rpartition(f"{type(self).__name__}: ")[2].strip())


def read_shard_manifest(folder: Path | str) -> dict[str, Any]:
    """Read the ``manifest.json`` of a folder of shards.

    Raises
    ------
    ShardError
        If it is missing, damaged, or of another schema version.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = read_json(path, REBUILD)
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or error}); {REBUILD}"
        raise ShardError(msg) from error
    except ConfigError as error:
        raise ShardError(str(error)) from error
    if manifest.get("schema_version") != SCHEMA_VERSION:
        found = manifest.get("schema_version")
        msg = f"{path}: schema_version is {found}, this version reads {SCHEMA_VERSION}; {REBUILD}"
        raise ShardError(msg)
    _check_types(path, manifest, _TYPES, "")
    for number, entry in enumerate(manifest["files"]):
        _check_types(path, entry, _FILE_TYPES, f"files[{number}].")
    return manifest


def stft_config(folder: Path | str, manifest: Mapping[str, Any], name: str) -> StftConfig:
    """Return the settings of the voice's or the piano's STFT.

    Raises
    ------
    ShardError
        If they are impossible.
    """
    try:
        return from_mapping(StftConfig, manifest[name], name)
    except ConfigError as error:
        msg = f"{Path(folder) / MANIFEST}: {error}; {REBUILD}"
        raise ShardError(msg) from error


def check_sizes(folder: Path | str, files: list[dict[str, Any]]) -> None:
    """Check that every file is there and as large as it was written.

    Raises
    ------
    ShardError
        For the first one that is not.
    """
    for entry in files:
        path = Path(folder) / entry["path"]
        size = path.stat().st_size if path.is_file() else None
        if size != entry["bytes"]:
            found = "is missing" if size is None else f"has {size} bytes instead of {entry['bytes']}"
            msg = f"{path}: {found}; {REBUILD}"
            raise ShardError(msg)


def check_digests(folder: Path | str, files: list[dict[str, Any]]) -> None:
    """Compare every file with its SHA-256.

    Raises
    ------
    ShardError
        For the first one that differs.
    """
    for entry in files:
        path = Path(folder) / entry["path"]
        if file_sha256(path) != entry["sha256"]:
            msg = f"{path}: its sha256 differs from {MANIFEST}; {REBUILD}"
            raise ShardError(msg)


def _check_types(path: Path, content: Any, types: Mapping[str, type], where: str) -> None:
    if not isinstance(content, Mapping):
        msg = f"{path}: {where.rstrip('.') or 'the file'} is {type(content).__name__}, expected a mapping; {REBUILD}"
        raise ShardError(msg)
    for name, kind in types.items():
        value = content.get(name)
        is_right = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
        if not is_right or (isinstance(value, int) and value < 0):
            found = "missing" if name not in content else repr(value)[:60]
            msg = f"{path}: {where}{name} is {found}, expected {kind.__name__}; {REBUILD}"
            raise ShardError(msg)
