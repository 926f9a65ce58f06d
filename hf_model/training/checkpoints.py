"""Checkpoint files of a training: the last two, written atomically, and the best weights."""

from __future__ import annotations

import os
import platform
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"

DIRECTORY = 0x10
"""Attribute of a directory in a zip archive: torch would read a tensor with it as uninitialized memory."""


class CheckpointError(RuntimeError):
    """A checkpoint is missing or damaged; the message names the file and the remedy."""


def temporary_path(path: Path) -> Path:
    """Return a name in the folder of ``path`` to write to before renaming, unique to this process and node."""
    return path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}.part")


def add_checkpoint(written: Path, folder: Path) -> None:
    """Rename the file ``written`` to the last checkpoint of a folder, and the last one to the previous one.

    A process killed at any moment leaves an intact checkpoint behind.
    """
    _fsync(written)
    last = folder / LAST
    if last.is_file():
        last.replace(folder / PREVIOUS)
    written.replace(last)


def newest_checkpoint(folder: Path | str) -> Path | None:
    """Find the checkpoint to resume from: the last one, or the previous one if the last one is damaged; else None.

    A damaged checkpoint is removed, with a warning.
    """
    for name in (LAST, PREVIOUS):
        path = Path(folder) / name
        if not path.is_file():
            continue
        if is_intact(path):
            return path
        warnings.warn(f"{path}: damaged and removed; training resumes from the previous checkpoint", stacklevel=2)
        path.unlink(missing_ok=True)
    return None


def is_intact(path: Path) -> bool:
    """Check that a checkpoint can be read to the end: its directory, the checksum of every part, and its structure."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() or any(part.external_attr & DIRECTORY for part in archive.infolist()):
                return False
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # noqa: BLE001 - zipfile, zlib, pickle and torch raise many classes for damaged bytes
        return False
    return True


def save_best(folder: Path, weights: Mapping[str, Tensor], figures: Mapping[str, float]) -> None:
    """Write weights and their figures as the best so far, replacing earlier ones."""
    written = temporary_path(folder / BEST)
    torch.save({"weights": dict(weights), "figures": dict(figures)}, written)
    _fsync(written)
    written.replace(folder / BEST)


def load_best(folder: Path | str, *, required: bool = False) -> tuple[dict[str, Tensor], dict[str, float]] | None:
    """Read the weights and figures of :func:`save_best`, on the CPU; None if there are none and none are required.

    Raises
    ------
    CheckpointError
        If the file is damaged, or missing although required.
    """
    path = Path(folder) / BEST
    if not (required or path.is_file()):
        return None
    if not is_intact(path):
        msg = (
            f"{path}: {'damaged' if path.is_file() else 'missing'}; delete {LAST} in this folder and run the training "
            "again to repeat its last steps and use the weights of the last validation, or delete the folder to train "
            "from the beginning"
        )
        raise CheckpointError(msg)
    content = torch.load(path, map_location="cpu", weights_only=True)
    return content["weights"], content["figures"]


def _fsync(path: Path) -> None:
    """Wait until a file is on the disk: after a power failure its new name could otherwise point to an empty file."""
    with path.open("rb+") as file:
        os.fsync(file)
