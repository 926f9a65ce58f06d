"""Training with Lightning: exact resume, moving average of the weights, early stopping, checkpoints."""

from __future__ import annotations

import copy
import logging
import os
import time
import warnings
from collections.abc import Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, EarlyStopping, RichProgressBar
from pytorch_lightning.plugins.environments import (  # type: ignore[attr-defined]
    LightningEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from hf_model.files import remove_leftovers
from hf_model.parallel.distributed import (
    all_gather_parts,
    all_reduce_any,
    all_reduce_mean,
    destroy_process_group,
    find_process,
    synchronize_batch_norm,
)
from hf_model.parallel.precision import fast_dtype
from hf_model.pretrained import Pretrained
from hf_model.training import preemption
from hf_model.training.checkpoints import (
    BEST,
    DirectCheckpointIO,
    add_checkpoint,
    is_intact,
    load_best,
    newest_checkpoint,
    save_best,
    saving,
)
from hf_model.training.dataset import hash_seed, stop_workers, to_complex, train_loader, valid_loader
from hf_model.training.fit_config import FitConfig, learning_rate_share
from hf_model.training.tasks import Task

IGNORED_WARNINGS = (
    "You're resuming from a checkpoint that ended before the epoch ended",  # the sampler resumes within an epoch
    ".*does not have many workers",  # rows of parquet are read fast enough
    ".*is smaller than the logging interval",  # the last interval may be shorter
    "The `srun` command is available",  # a single process is intended
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning's own use of torch
)
"""Warnings of Lightning that do not apply."""


class TrainingModule(pl.LightningModule):
    """One training: all randomness is a function of (seed, step), so that a resumed run continues exactly.

    Parameters
    ----------
    task : Task
        Model, loss and validation.
    n_valid_batches : int
        Batches of a validation, of all processes together.

    Attributes
    ----------
    model, average : Pretrained
        The trained model, and the exponential moving average of its weights, which is validated and saved.
    mean : Pretrained or None
        The mean of the validated averages, if ``fit.keep`` is "mean".
    best : dict
        Figures and step of the best validation so far; of the last one if ``fit.keep`` is "mean".
    """

    def __init__(self, task: Task, n_valid_batches: int) -> None:
        super().__init__()
        self.task, self.n_valid_batches = task, n_valid_batches
        self.model = task.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(task.model).requires_grad_(requires_grad=False)
        self.mean = copy.deepcopy(self.average) if task.fit.keep == "mean" else None
        self.n_validated = 0
        self.outputs: list[Any] = []
        self.best: dict[str, float] = {}

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

    def on_after_batch_transfer(self, batch: dict[str, Tensor], *_: Any) -> dict[str, Tensor]:
        """Convert the spectra to complex64 on the device."""
        return to_complex(batch)

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        """Compute the loss of one batch."""
        losses = self.task.losses(self.model, batch, self.global_step)
        figures = dict(zip(losses, all_reduce_mean(torch.stack(list(losses.values())).detach()), strict=True))
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
        name, sign = self.task.metric, 1 if self.task.higher_is_better else -1
        self.n_validated += 1
        if self.mean is not None:
            _update_moving_average(self.mean, self.average, 1 / self.n_validated)
        if self.mean is not None or not self.best or sign * figures[name] > sign * self.best[name]:
            self.best = {**figures, "step": float(self.global_step)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the best figures and the number of validations."""
        checkpoint["best"], checkpoint["n_validated"] = self.best, self.n_validated

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the best figures and the number of validations."""
        self.best, self.n_validated = checkpoint["best"], checkpoint["n_validated"]

    @property
    def model_to_save(self) -> Pretrained:
        """The moving average, or the mean of the validated ones if ``fit.keep`` is "mean"."""
        return self.average if self.mean is None else self.mean


def _update_moving_average(average: Pretrained, model: Pretrained, weight: float) -> None:
    """Interpolate the weights of ``average`` towards those of ``model``; integers are copied."""
    with torch.no_grad():
        current = model.state_dict()
        for name, value in average.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(current[name].to(value.dtype), weight)
            else:
                value.copy_(current[name])


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
        if (stop or late or last or step % self.every == 0) and not _interval_is_over(trainer):
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
        if _interval_is_over(trainer) and not trainer.should_stop:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        with saving(self.folder) as written:
            trainer.save_checkpoint(written, weights_only=False)
            if trainer.is_global_zero:
                add_checkpoint(written, self.folder)
        self._saved_at = time.monotonic()


def _interval_is_over(trainer: pl.Trainer) -> bool:
    return bool(trainer.fit_loop.epoch_loop.batch_progress.is_last_batch)


def train(
    task: Task,
    shards: Path | str,
    folder: Path | str,
    checkpoints: Path | str,
    *,
    loggers: Sequence[Any] = (),
    callbacks: Sequence[Callback] = (),
    workers: int = 0,
    progress: bool = True,
    checkpoint_every: int = 50,
    checkpoint_minutes: float = 5.0,
    max_steps: int | None = None,
    devices: int | str = "auto",
    **facts: Any,
) -> dict[str, float]:
    """Train a model and write the best averaged weights.

    Parameters
    ----------
    task : Task
        Model, data columns and loss.
    shards : path
        Output of the stft stage.
    folder : path
        Output: ``model.safetensors`` and ``config.json``.
    checkpoints : path
        Folder of checkpoints; training resumes from the last intact one.
    workers : int
        Processes that read batches; 0 reads in this one.
    checkpoint_every, checkpoint_minutes : int, float
        Steps or minutes between checkpoints, whichever comes first.
    devices : int or "auto"
        GPUs to train on when this is the only process; "auto" takes as many as divide the batch.
    max_steps : int, optional
        Stop here, leaving a checkpoint to resume from, as an interruption would.
    **facts
        Added to ``config.json``.

    Returns
    -------
    dict
        The figures of the best validation, its step, and the duration of the training in seconds.

    Raises
    ------
    CheckpointError
        If a checkpoint cannot be written, or the best weights are damaged.
    Interrupted
        After SIGUSR1, SIGTERM or Ctrl-C, with a checkpoint saved; the next call resumes from it.
    """
    start = time.perf_counter()
    checkpoints = Path(checkpoints)
    checkpoints.mkdir(parents=True, exist_ok=True)
    remove_leftovers(checkpoints, "*.part")
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)  # tips and advertisements
    whole_validation = valid_loader(shards, task.columns, task.fit, workers)
    module = TrainingModule(task, len(whole_validation))
    trainer = pl.Trainer(
        **_device_arguments(devices, task.fit.batch_size),
        **_schedule_arguments(task, max_steps),
        callbacks=[
            EarlyStopping(
                f"valid/{task.metric}",
                patience=task.fit.patience,
                mode="max" if task.higher_is_better else "min",
                check_on_train_epoch_end=False,
            ),
            CheckpointCallback(checkpoints, checkpoint_every, checkpoint_minutes, task.fit),
            *callbacks,
            *([RichProgressBar()] if progress else []),
        ],
        logger=list(loggers) or False,
        enable_progress_bar=progress,
        enable_model_summary=False,
    )
    # Lightning's own handler would replace ours, and waits for other processes within the handler.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    process = {"rank": trainer.global_rank, "world_size": trainer.world_size}
    training = train_loader(shards, task.columns, task.fit, workers, lambda: int(trainer.global_step), **process)
    validation = whole_validation
    if trainer.world_size > 1:
        validation = valid_loader(shards, task.columns, task.fit, workers, **process)
        synchronize_batch_norm(module.model, on_gpu=torch.cuda.is_available())
    with preemption.handle_signals(), stop_workers(training, validation, whole_validation):
        with warnings.catch_warnings():
            for message in IGNORED_WARNINGS:
                warnings.filterwarnings("ignore", message)
            trainer.fit(module, training, validation, ckpt_path=newest_checkpoint(checkpoints), weights_only=True)
        destroy_process_group()
        figures = {**module.best, "seconds": time.perf_counter() - start}
        if trainer.is_global_zero and not (max_steps and max_steps < task.fit.steps):
            with preemption.stop_immediately():
                figures |= _write_model(module, whole_validation, checkpoints, Path(folder), facts)
    return figures


def _write_model(
    module: TrainingModule, validation: DataLoader[Any], checkpoints: Path, folder: Path, facts: dict[str, Any]
) -> dict[str, float]:
    """Write the model with its best weights, and return its figures."""
    model, best = module.model_to_save, module.best
    saved = load_best(checkpoints, required=bool(best))
    if saved is not None:
        model.load_state_dict(saved[0])
        best = saved[1]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.inference_mode():
        batches = (to_complex({name: value.to(device) for name, value in batch.items()}) for batch in validation)
        added, settings = module.task.finish(model.to(device).eval(), batches)
    figures = {**best, **added}
    model.save_pretrained(folder, valid=figures, **settings, **facts)
    return figures


def _device_arguments(devices: int | str, batch_size: int) -> dict[str, Any]:
    """Build the trainer's arguments for devices and processes.

    Every process of srun or torchrun uses one device. Lightning gets it as a node of its own: nodes may then have
    different numbers of devices, and a process may see all GPUs of its node or only its own. A process that was started
    alone starts the others itself if there is more than one device.
    """
    process, gpus = find_process(), torch.cuda.device_count()
    common: dict[str, Any] = {
        "accelerator": "gpu" if gpus else "cpu",
        "benchmark": True,
        "use_distributed_sampler": False,
    }
    if process is None:
        max_count = max(n for n in range(1, max(1, gpus) + 1) if batch_size % n == 0)
        count = max_count if devices == "auto" else devices
        alone: dict[str, Any] = {**common, "devices": count, "plugins": [LightningEnvironment(), DirectCheckpointIO()]}
        return alone if count == 1 else alone | _ddp_arguments()
    os.environ |= {"RANK": str(process.rank), "WORLD_SIZE": str(process.world_size), "LOCAL_RANK": "0"}
    os.environ |= {"MASTER_ADDR": process.address, "MASTER_PORT": str(process.port)}
    device = [process.local_rank % gpus] if gpus else 1
    common |= {
        "devices": device,
        "num_nodes": process.world_size,
        "plugins": [TorchElasticEnvironment(), DirectCheckpointIO()],
    }
    return common | _ddp_arguments()


def _ddp_arguments() -> dict[str, Any]:
    """Build the trainer's arguments for DDP without broadcast of buffers, which are equal in all processes."""
    parameters = signature(DistributedDataParallel).parameters  # renamed in torch 2.13, with a warning for the old name
    name = "forward_sync_buffers" if "forward_sync_buffers" in parameters else "broadcast_buffers"
    options: dict[str, Any] = {name: False}
    return {"strategy": DDPStrategy(gradient_as_bucket_view=True, **options)}


def _schedule_arguments(task: Task, max_steps: int | None) -> dict[str, Any]:
    """Build the trainer's arguments for precision, length and validation; an epoch is a validation interval."""
    fit = task.fit
    is_mixed = fit.precision == "bf16" and (torch.cuda.is_available() or fast_dtype() == torch.bfloat16)
    return {
        "precision": "bf16-mixed" if is_mixed else "32-true",
        "max_steps": min(fit.steps, max_steps or fit.steps),
        "gradient_clip_val": fit.clip,
        "check_val_every_n_epoch": 1,
        "reload_dataloaders_every_n_epochs": 1,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": min(10, fit.validate_every),
    }
