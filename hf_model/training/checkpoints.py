"""A training's checkpoints on disk: the last two, whole at every moment, and the best weights."""

from __future__ import annotations

import os
import platform
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"


def unfinished(path: Path) -> Path:
    """Name a file to write before it becomes ``path``: no other process, also of another node, writes to it."""
    return path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}.part")


def add_checkpoint(fresh: Path, folder: Path) -> None:
    """Make the file ``fresh`` the last checkpoint of a folder, and the last one the one before.

    Killed at any moment, this leaves a whole checkpoint behind.
    """
    _settle(fresh)
    last = folder / LAST
    if last.is_file():
        last.replace(folder / PREVIOUS)
    fresh.replace(last)


def newest_checkpoint(folder: Path | str) -> Path | None:
    """Find the checkpoint to go on from: the last one, or the one before when the last one is damaged.

    A damaged one is removed, with a warning.

    Returns
    -------
    Path or None
        None when there is none.
    """
    for name in (LAST, PREVIOUS):
        path = Path(folder) / name
        if not path.is_file():
            continue
        if is_whole(path):
            return path
        warnings.warn(f"{path}: damaged, and removed; training goes on from the checkpoint before", stacklevel=2)
        path.unlink(missing_ok=True)
    return None


def is_whole(path: Path) -> bool:
    """Tell whether a checkpoint can be read to the end: its directory, and the checksum of every part."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, EOFError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile):
        return False


def save_best(folder: Path, weights: Mapping[str, Tensor], figures: Mapping[str, float]) -> None:
    """Keep weights and their figures as the best so far, in place of those before."""
    fresh = unfinished(folder / BEST)
    torch.save({"weights": dict(weights), "figures": dict(figures)}, fresh)
    _settle(fresh)
    fresh.replace(folder / BEST)


def _settle(path: Path) -> None:
    """Wait until a file is on the disk: a node that fails might else leave its new name on nothing."""
    with path.open("rb+") as file:
        os.fsync(file)


def load_best(folder: Path | str) -> tuple[dict[str, Tensor], dict[str, float]] | None:
    """Read what :func:`save_best` kept, on the CPU; None when there is nothing."""
    path = Path(folder) / BEST
    if not path.is_file():
        return None
    content = torch.load(path, map_location="cpu", weights_only=True)
    return content["weights"], content["figures"]
