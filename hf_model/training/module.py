"""One training as a LightningModule, with its learning curve, and the shards as a LightningDataModule."""

from __future__ import annotations

import copy
import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from hf_model.config import check_choice, from_mapping, to_mapping
from hf_model.parallel.distributed import all_gather_parts, all_reduce_mean
from hf_model.pretrained import Pretrained
from hf_model.training.dataset import hash_seed, stop_workers, to_complex, train_loader, valid_loader
from hf_model.training.fit_config import FitConfig, learning_rate_share
from hf_model.training.tasks import TASKS, Task

CURVE = "curve.csv"
"""The learning curve in the folder of a model."""

CURVE_STEPS = 10
"""Steps between the training losses of a learning curve."""


class TrainingModule(pl.LightningModule):
    """One training: all randomness is a function of (seed, step), so that a resumed run continues exactly.

    A checkpoint contains the name of the model and its settings, so that ``TrainingModule.load_from_checkpoint(path)``
    needs no other argument.

    Parameters
    ----------
    task : Task, optional
        Model, loss and validation; by default built from ``kind`` and ``settings``.
    n_valid_batches : int
        Batches of a validation, of all processes together.
    kind : str
        A key of :data:`hf_model.training.tasks.TASKS`.
    settings : mapping, optional
        Settings of the training, as plain values.

    Attributes
    ----------
    model, average : Pretrained
        The trained model, and the exponential moving average of its weights, which is validated and saved.
    mean : Pretrained or None
        The mean of the validated averages, if ``fit.keep`` is "mean".
    best : dict
        Figures and step of the best validation so far; of the last one if ``fit.keep`` is "mean".
    curve : list of dict
        Learning curve: one entry every few steps with the training losses, one a validation with its figures.
    """

    def __init__(
        self,
        task: Task | None = None,
        n_valid_batches: int = 1,
        kind: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        task = task or build_task(kind, settings or {})
        values = {"kind": task.model_class.kind, "settings": to_mapping(task.settings)}
        self.save_hyperparameters({**values, "n_valid_batches": n_valid_batches}, logger=False)
        self.task, self.n_valid_batches = task, n_valid_batches
        self.model = task.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(task.model).requires_grad_(requires_grad=False)
        self.mean = copy.deepcopy(self.average) if task.fit.keep == "mean" else None
        self.n_validated = 0
        self.outputs: list[Any] = []
        self.best: dict[str, float] = {}
        self.curve: list[dict[str, float]] = []

    def configure_optimizers(self) -> Any:
        """AdamW without weight decay on vectors; linear warm-up and cosine decay."""
        fit = self.task.fit
        vectors = [p for p in self.model.parameters() if p.requires_grad and p.ndim < 2]
        matrices = [p for p in self.model.parameters() if p.requires_grad and p.ndim >= 2]
        groups = [{"params": matrices, "weight_decay": fit.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=fit.learning_rate, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(learning_rate_share, fit=fit))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, *_: Any) -> None:
        """Seed the network's own random numbers (dropout) by the step; on GPUs also by the process."""
        seeds = self.task.fit.seed, 1, self.global_step
        torch.manual_seed(hash_seed(*seeds, 0))
        if self.device.type == "cuda":
            torch.cuda.manual_seed(hash_seed(*seeds, self.global_rank))

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        """Compute the loss of one batch."""
        losses = self.task.losses(self.model, batch, self.global_step)
        figures = dict(zip(losses, all_reduce_mean(torch.stack(list(losses.values())).detach()), strict=True))
        if (self.global_step + 1) % CURVE_STEPS == 0:
            self._add_to_curve("train", {name: float(value) for name, value in figures.items()}, self.global_step + 1)
        self.log_dict({f"train/{name}": value for name, value in figures.items()}, prog_bar=False)
        self.log("loss", figures["loss"], prog_bar=True, logger=False)
        return losses["loss"]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then update the moving average, before any callback may save a checkpoint."""
        super().optimizer_step(*args, **kwargs)
        decay = min(self.task.fit.ema, (1 + self.global_step) / (2 + self.global_step))
        _update_moving_average(self.average, self.model, 1 - decay)

    def on_validation_epoch_start(self) -> None:
        """Clear the outputs of the last validation."""
        self.outputs = []
        self.average.eval()

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        """Validate the averaged weights on one batch."""
        self.outputs.append(self.task.validation_step(self.average, batch))

    def on_validation_epoch_end(self) -> None:
        """Log the figures, update the mean of the averages, and record the best validation."""
        figures = self.task.summarize(all_gather_parts(self.outputs, self.n_valid_batches))
        self.log_dict({f"valid/{name}": value for name, value in figures.items()}, prog_bar=True, sync_dist=True)
        self._add_to_curve("valid", figures, self.global_step)
        name, sign = self.task.metric, 1 if self.task.higher_is_better else -1
        self.n_validated += 1
        if self.mean is not None:
            _update_moving_average(self.mean, self.average, 1 / self.n_validated)
        if self.mean is not None or not self.best or sign * figures[name] > sign * self.best[name]:
            self.best = {**figures, "step": float(self.global_step)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the best figures, the number of validations and the learning curve."""
        checkpoint |= {"best": self.best, "n_validated": self.n_validated, "curve": self.curve}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the best figures, the number of validations and the learning curve."""
        self.best, self.n_validated = checkpoint["best"], checkpoint["n_validated"]
        self.curve = checkpoint.get("curve", [])

    @property
    def model_to_save(self) -> Pretrained:
        """The moving average, or the mean of the validated ones if ``fit.keep`` is "mean"."""
        return self.average if self.mean is None else self.mean

    def _add_to_curve(self, split: str, figures: Mapping[str, float], step: int) -> None:
        """Add an entry; a repeated validation replaces the earlier one."""
        self.curve = [row for row in self.curve if row["step"] != step or f"{split}_loss" not in row]
        self.curve.append({"step": float(step), **{f"{split}_{name}": value for name, value in figures.items()}})


def build_task(kind: str, settings: Mapping[str, Any]) -> Task:
    """Build a task from plain values.

    Weights to fine-tune from (``start``) are left out where their folder is missing: a checkpoint replaces them.

    Raises
    ------
    ConfigError
        For an unknown model or setting.
    """
    check_choice("the model to train", kind, TASKS)
    settings_class, task_class = TASKS[kind]
    values = dict(settings)
    if values.get("start") and not Path(values["start"]).is_dir():
        values |= {"start": "", "start_share": 0.0}
    task: Task = task_class(from_mapping(settings_class, values))
    return task


def _update_moving_average(average: Pretrained, model: Pretrained, weight: float) -> None:
    """Interpolate the weights of ``average`` towards those of ``model``; integers are copied."""
    with torch.no_grad():
        current = model.state_dict()
        for name, value in average.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(current[name].to(value.dtype), weight)
            else:
                value.copy_(current[name])


def write_curve(path: Path, curve: Sequence[Mapping[str, float]]) -> None:
    """Write a learning curve as CSV: ``step``, and a column for each figure, empty where it was not measured."""
    names = dict.fromkeys(name for row in curve for name in row)
    columns = ["step", *sorted(name for name in names if name != "step")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in curve:
            writer.writerow({name: int(value) if name == "step" else f"{value:.6g}" for name, value in row.items()})


class ShardsDataModule(pl.LightningDataModule):
    """Batches of the train and valid splits; the examples of a step do not depend on the number of processes.

    Parameters
    ----------
    shards : path
        Output of the stft stage.
    columns : sequence of str
        Columns that the model needs: "voice_stft", "piano_stft", "notes".
    fit : FitConfig
        Batches, crops, corpora, validation.
    workers : int
        Processes that read batches; 0 reads in this one.

    Attributes
    ----------
    whole_validation : DataLoader
        All validation batches; :meth:`val_dataloader` gives the part of this process.
    """

    def __init__(self, shards: Path | str, columns: Sequence[str], fit: FitConfig, workers: int = 0) -> None:
        super().__init__()
        self.shards, self.columns, self.fit, self.workers = shards, columns, fit, workers
        self.whole_validation = valid_loader(shards, columns, fit, workers)
        self._loaders: dict[str, DataLoader[Any]] = {}

    def train_dataloader(self) -> DataLoader[Any]:
        """Load the steps from the trainer's next one to the end of its validation interval."""
        if "train" not in self._loaders:
            self._loaders["train"] = self._train()
        return self._loaders["train"]

    def val_dataloader(self) -> DataLoader[Any]:
        """Load this process's part of the validation."""
        if self._world()["world_size"] == 1:
            return self.whole_validation
        if "valid" not in self._loaders:
            self._loaders["valid"] = valid_loader(self.shards, self.columns, self.fit, self.workers, **self._world())
        return self._loaders["valid"]

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Convert the spectra to complex64 on the device."""
        return to_complex(batch)

    def close(self) -> None:
        """Stop the processes that read batches."""
        with stop_workers(self.whole_validation, *self._loaders.values()):
            self._loaders = {}

    def _train(self) -> DataLoader[Any]:
        def next_step() -> int:
            return int(self.trainer.global_step) if self.trainer else 0

        return train_loader(self.shards, self.columns, self.fit, self.workers, next_step, **self._world())

    def _world(self) -> dict[str, int]:
        if self.trainer is None:
            return {"rank": 0, "world_size": 1}
        return {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}
