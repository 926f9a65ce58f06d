"""Checkpoints of a training: when they are written, the last two as atomic files, and the best weights."""

from __future__ import annotations

import io
import time
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from hf_model.files import flush_file, temporary_path
from hf_model.parallel.distributed import all_reduce_any
from hf_model.training import preemption
from hf_model.training.fit_config import FitConfig
from hf_model.training.module import TrainingModule

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"

DIRECTORY = 0x10
"""Attribute of a directory in a zip archive: torch would read a tensor with it as uninitialized memory."""


class CheckpointError(RuntimeError):
    """A checkpoint is missing or damaged, or cannot be written; the message names it and the remedy."""


class DirectCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to its path and nowhere else: Lightning's own goes through the system's temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write a checkpoint; OSError if that fails."""
        _save(checkpoint, Path(path))


class CheckpointCallback(Checkpoint):
    """Saves checkpoints and the best averaged weights; stops the training after a signal.

    A checkpoint is saved every so many steps or minutes, after every validation, and before the last step of a
    validation interval: a run resumed between that step and its validation would skip the validation.

    Parameters
    ----------
    folder : Path
    every : int
        Steps between checkpoints.
    minutes : float
        Minutes between checkpoints, whichever comes first.
    fit : FitConfig
        Determines the steps of validations.
    """

    def __init__(self, folder: Path, every: int, minutes: float, fit: FitConfig) -> None:
        self.folder, self.every, self.seconds, self.fit = folder, every, 60 * minutes, fit
        self._saved_at = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop before the first step after an earlier signal: the last checkpoint is still valid.

        If the best weights are damaged or missing, those of the next validation replace them, with a warning.
        """
        assert isinstance(pl_module, TrainingModule)
        preemption.install_handlers()  # Lightning has replaced them: its own wait for other processes
        self._saved_at = time.monotonic()
        if pl_module.best and not is_intact(self.folder / BEST):
            pl_module.best = {}
            if trainer.is_global_zero:
                message = "damaged or missing; the weights of the next validation replace it"
                warnings.warn(f"{self.folder / BEST}: {message}", stacklevel=2)
        (stop,) = all_reduce_any(trainer.strategy.root_device, preemption.received_signal() != 0)
        if stop:
            raise preemption.Interrupted(preemption.received_signal())

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Save a checkpoint when it is due, and stop when any process received a signal."""
        step, late = trainer.global_step, time.monotonic() - self._saved_at >= self.seconds
        stop, late = all_reduce_any(trainer.strategy.root_device, preemption.received_signal() != 0, late)
        last = (step + 1) % self.fit.validate_every == 0 or step + 1 == self.fit.steps
        if (stop or late or last or step % self.every == 0) and not trainer.is_last_batch:
            self._save(trainer)
        if stop:
            raise preemption.Interrupted(preemption.received_signal())

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, _: Any, __: Any, number: int, *___: Any
    ) -> None:
        """Stop within a validation: the run resumes from the step before it."""
        assert isinstance(pl_module, TrainingModule)
        if trainer.world_size > 1 and number >= pl_module.n_valid_batches // trainer.world_size:
            return  # some processes have fewer batches, and all must take part in a reduction
        (stop,) = all_reduce_any(trainer.strategy.root_device, preemption.received_signal() != 0)
        if stop:
            raise preemption.Interrupted(preemption.received_signal())

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the averaged weights if they are the best, or the mean so far."""
        assert isinstance(pl_module, TrainingModule)
        if trainer.is_global_zero and pl_module.best["step"] == trainer.global_step:
            save_best(self.folder, pl_module.model_to_save.state_dict(), pl_module.best)

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Save a checkpoint after a validation, unless the run stops early: the resumed run would continue."""
        if trainer.is_last_batch and not trainer.should_stop:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        with saving(self.folder) as written:
            trainer.save_checkpoint(written, weights_only=False)
            if trainer.is_global_zero:
                add_checkpoint(written, self.folder)
        self._saved_at = time.monotonic()


@contextmanager
def saving(folder: Path, name: str = LAST) -> Iterator[Path]:
    """Give a temporary path in the folder for a checkpoint; whatever happens, nothing is left there.

    Raises
    ------
    CheckpointError
        If it cannot be written, for example because the disk is full: the folder, and what was kept in it.
    """
    written = temporary_path(folder / name)
    try:
        yield written
    except OSError as error:
        msg = f"{folder}: {name} cannot be written ({error.strerror or error}); {_kept(folder)}"
        raise CheckpointError(msg) from error
    finally:
        written.unlink(missing_ok=True)


def _kept(folder: Path) -> str:
    """Say where the next run of a training begins."""
    path = next((folder / name for name in (LAST, PREVIOUS) if is_intact(folder / name)), None)
    if path is None:
        return "there is no earlier checkpoint: free some space and run the same command again, from the beginning"
    step = torch.load(path, map_location="cpu", weights_only=True, mmap=True).get("global_step", "?")
    return f"{path.name} of step {step} was kept: free some space, and the same command continues from it"


def add_checkpoint(written: Path, folder: Path) -> None:
    """Rename the file ``written`` to the last checkpoint of a folder, and the last one to the previous one.

    A process killed at any moment leaves an intact checkpoint behind; so does a power failure, because the content is
    on the disk before it gets its name.
    """
    flush_file(written)
    last = folder / LAST
    if last.is_file():
        last.replace(folder / PREVIOUS)
    written.replace(last)
    flush_file(folder)


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
    with saving(folder, BEST) as written:
        _save({"weights": dict(weights), "figures": dict(figures)}, written)
        flush_file(written)
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


def _save(content: Mapping[str, Any], path: Path) -> None:
    """Encode in memory first: torch reports a full disk as an error of its own, without the reason."""
    encoded = io.BytesIO()
    torch.save(content, encoded)
    path.write_bytes(encoded.getbuffer())
