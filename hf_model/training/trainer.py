"""Training with Lightning: exact resume, the running average of the weights, early stopping."""

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

from hf_model.parallel.distributed import (
    agreed,
    find_place,
    gathered,
    leave_the_others,
    over_processes,
    share_statistics,
)
from hf_model.pretrained import Pretrained
from hf_model.training import preemption
from hf_model.training.checkpoints import LAST, add_checkpoint, load_best, newest_checkpoint, save_best, unfinished
from hf_model.training.dataset import hash_seed, train_loader, valid_loader, widen
from hf_model.training.fit_config import FitConfig, learning_rate_share
from hf_model.training.tasks import Task
from hf_model.transcriber.fused import fast_dtype

NOT_HERE = (
    "You're resuming from a checkpoint that ended before the epoch ended",  # these batches follow from the step
    ".*does not have many workers",  # rows of parquet are read fast enough
    ".*is smaller than the logging interval",  # the last interval may be a short one
    "The `srun` command is available",  # whoever starts one process wants one
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning's own use of torch
)
"""Warnings of Lightning that have no cause here."""


class Fit(pl.LightningModule):
    """One training: every step's randomness is a function of (seed, step), so that a resumed run continues exactly.

    Parameters
    ----------
    task : Task
        What is trained.
    n_valid_batches : int
        Batches of a validation, of all processes together.

    Attributes
    ----------
    model, average : Pretrained
        What is trained, and the running average of its weights, which is validated and kept.
    mean : Pretrained or None
        The mean of the averages that were validated, where that is what is kept.
    best : dict
        Figures and step of the best validation so far; of the last one where the mean is kept.
    """

    def __init__(self, task: Task, n_valid_batches: int) -> None:
        super().__init__()
        self.task, self.n_valid_batches = task, n_valid_batches
        self.model = task.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(task.model).requires_grad_(requires_grad=False)
        self.mean = copy.deepcopy(self.average) if task.fit.keep == "mean" else None
        self.n_validated = 0
        self.parts: list[Any] = []
        self.best: dict[str, float] = {}

    def configure_optimizers(self) -> Any:
        """AdamW (no decay on vectors); linear warm-up, then a cosine down."""
        fit = self.task.fit
        plain = [p for p in self.model.parameters() if p.requires_grad and p.ndim < 2]
        decayed = [p for p in self.model.parameters() if p.requires_grad and p.ndim >= 2]
        groups = [{"params": decayed, "weight_decay": fit.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=fit.learning_rate, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(learning_rate_share, fit=fit))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, *_: Any) -> None:
        """Seed what the network itself draws by the step: on GPUs (dropout) each process draws its own."""
        seeds = self.task.fit.seed, 1, self.global_step
        torch.manual_seed(hash_seed(*seeds, 0))
        if self.device.type == "cuda":
            torch.cuda.manual_seed(hash_seed(*seeds, self.global_rank))

    def on_after_batch_transfer(self, batch: dict[str, Tensor], *_: Any) -> dict[str, Tensor]:
        """Widen the spectra on the device."""
        return widen(batch)

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        """Compute the loss of one batch."""
        losses = self.task.losses(self.model, batch, self.global_step)
        figures = dict(zip(losses, over_processes(torch.stack(list(losses.values())).detach()), strict=True))
        self.log_dict({f"train/{name}": value for name, value in figures.items()}, prog_bar=False)
        self.log("loss", figures["loss"], prog_bar=True, logger=False)
        return losses["loss"]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then move the running average: before any callback may save a checkpoint."""
        super().optimizer_step(*args, **kwargs)
        keep = min(self.task.fit.ema, (1 + self.global_step) / (2 + self.global_step))
        _draw_near(self.average, self.model, 1 - keep)

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self.parts = []
        self.average.eval()

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        """Look at one batch with the averaged weights."""
        self.parts.append(self.task.examine(self.average, batch))

    def on_validation_epoch_end(self) -> None:
        """Log the figures, and note whether they are the best; where the mean is kept, it takes the average in."""
        figures = self.task.summarize(gathered(self.parts, self.n_valid_batches))
        self.log_dict({f"valid/{name}": value for name, value in figures.items()}, prog_bar=True, sync_dist=True)
        name, sign = self.task.metric, 1 if self.task.higher_is_better else -1
        self.n_validated += 1
        if self.mean is not None:
            _draw_near(self.mean, self.average, 1 / self.n_validated)
        if self.mean is not None or not self.best or sign * figures[name] > sign * self.best[name]:
            self.best = {**figures, "step": float(self.global_step)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the best figures beside the weights, and how many validations there were."""
        checkpoint["best"], checkpoint["n_validated"] = self.best, self.n_validated

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the best figures again, and the count."""
        self.best, self.n_validated = checkpoint["best"], checkpoint["n_validated"]

    @property
    def kept(self) -> Pretrained:
        """The weights that are to be kept of what there is now."""
        return self.average if self.mean is None else self.mean


def _draw_near(model: Pretrained, other: Pretrained, share: float) -> None:
    """Move a model's weights by a share of the way towards another's; counts are copied."""
    with torch.no_grad():
        current = other.state_dict()
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(current[name].to(value.dtype), share)
            else:
                value.copy_(current[name])


class Keeper(Checkpoint):
    """Keeps the best averaged weights, and checkpoints; stops the training when a signal asked for it.

    A checkpoint is kept every so many steps or minutes, after every validation, and before an interval's last step: one
    kept between that step and its validation would leave the validation out.

    Parameters
    ----------
    folder : Path
        Where they are kept.
    every : int
        Steps.
    minutes : float
        Whichever comes first.
    fit : FitConfig
        Says when validations come.
    """

    def __init__(self, folder: Path, every: int, minutes: float, fit: FitConfig) -> None:
        self.folder, self.every, self.seconds, self.fit = folder, every, 60 * minutes, fit
        self._kept_at = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop before the first step if the signal came before: the checkpoint that there is still holds."""
        self._kept_at = time.monotonic()
        (stop,) = agreed(trainer.strategy.root_device, preemption.heard() != 0)
        if stop:
            raise preemption.Interrupted(preemption.heard())

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Keep a checkpoint when it is due or the last occasion, and stop when any process was asked to."""
        step, late = trainer.global_step, time.monotonic() - self._kept_at >= self.seconds
        stop, late = agreed(trainer.strategy.root_device, preemption.heard() != 0, late)
        last = (step + 1) % self.fit.validate_every == 0 or step + 1 == self.fit.steps
        if (stop or late or last or step % self.every == 0) and not _interval_is_over(trainer):
            self._keep(trainer)
        if stop:
            raise preemption.Interrupted(preemption.heard())

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, _: Any, __: Any, number: int, *___: Any
    ) -> None:
        """Stop in a validation: the training goes on from the step before it."""
        assert isinstance(pl_module, Fit)
        if trainer.world_size > 1 and number >= pl_module.n_valid_batches // trainer.world_size:
            return  # not every process has so many batches, and a question must be put to all
        (stop,) = agreed(trainer.strategy.root_device, preemption.heard() != 0)
        if stop:
            raise preemption.Interrupted(preemption.heard())

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the averaged weights if they are the best, or the mean so far."""
        assert isinstance(pl_module, Fit)
        if trainer.is_global_zero and pl_module.best["step"] == trainer.global_step:
            save_best(self.folder, pl_module.kept.state_dict(), pl_module.best)

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Keep a checkpoint after an interval's validation, but not of a run that stops early: it would go on."""
        if _interval_is_over(trainer) and not trainer.should_stop:
            self._keep(trainer)

    def _keep(self, trainer: pl.Trainer) -> None:
        fresh = unfinished(self.folder / LAST)
        trainer.save_checkpoint(fresh, weights_only=False)
        if trainer.is_global_zero:
            add_checkpoint(fresh, self.folder)
        self._kept_at = time.monotonic()


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
        What the stft stage wrote.
    folder : path
        Gets ``model.safetensors`` and ``config.json``.
    checkpoints : path
        Where checkpoints live; a run that finds one there goes on from it, or from the one before if it is damaged.
    workers : int
        Processes that read batches; 0 reads in this one.
    checkpoint_every, checkpoint_minutes : int, float
        A checkpoint is kept after so many steps or minutes, whichever comes first.
    devices : int or "auto"
        GPUs to train on, where nobody started a process for each; "auto" takes as many as divide the batch.
    max_steps : int, optional
        Stop here, leaving a checkpoint to resume from, as an interruption would.
    **facts
        Kept in ``config.json``.

    Returns
    -------
    dict
        The figures of the best validation, its step, and the seconds that training took.

    Raises
    ------
    Interrupted
        After SIGUSR1, SIGTERM or Ctrl-C, with a checkpoint kept; the next call goes on from it.
    """
    start = time.perf_counter()
    checkpoints = Path(checkpoints)
    checkpoints.mkdir(parents=True, exist_ok=True)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)  # it advertises
    whole_validation = valid_loader(shards, task.columns, task.fit, workers)
    module = Fit(task, len(whole_validation))
    trainer = pl.Trainer(
        **_place(devices, task.fit.batch_size),
        **_schedule(task, max_steps),
        callbacks=[
            EarlyStopping(
                f"valid/{task.metric}",
                patience=task.fit.patience,
                mode="max" if task.higher_is_better else "min",
                check_on_train_epoch_end=False,
            ),
            Keeper(checkpoints, checkpoint_every, checkpoint_minutes, task.fit),
            *callbacks,
            *([RichProgressBar()] if progress else []),
        ],
        logger=list(loggers) or False,
        enable_progress_bar=progress,
        enable_model_summary=False,
    )
    # Lightning's own handler would take the place of ours, and waits for other processes while it handles.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    place = {"rank": trainer.global_rank, "world_size": trainer.world_size}
    examples = train_loader(shards, task.columns, task.fit, workers, lambda: int(trainer.global_step), **place)
    validation = whole_validation
    if trainer.world_size > 1:
        validation = valid_loader(shards, task.columns, task.fit, workers, **place)
        share_statistics(module.model, on_gpu=torch.cuda.is_available())
    with preemption.listening():
        with warnings.catch_warnings():
            for message in NOT_HERE:
                warnings.filterwarnings("ignore", message)
            trainer.fit(module, examples, validation, ckpt_path=newest_checkpoint(checkpoints), weights_only=True)
        leave_the_others()
        figures = {**module.best, "seconds": time.perf_counter() - start}
        if trainer.is_global_zero and not (max_steps and max_steps < task.fit.steps):
            with preemption.at_once():
                figures |= _finish(module, whole_validation, checkpoints, Path(folder), facts)
    return figures


def _finish(
    module: Fit, validation: DataLoader[Any], checkpoints: Path, folder: Path, facts: dict[str, Any]
) -> dict[str, float]:
    """Write the model with the weights that were kept, and return its figures."""
    model, best = module.kept, module.best
    kept = load_best(checkpoints)
    if kept is not None:
        model.load_state_dict(kept[0])
        best = kept[1]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.inference_mode():
        batches = (widen({name: value.to(device) for name, value in batch.items()}) for batch in validation)
        added, conclusions = module.task.conclude(model.to(device).eval(), batches)
    figures = {**best, **added}
    model.save_pretrained(folder, valid=figures, **conclusions, **facts)
    return figures


def _place(devices: int | str, batch_size: int) -> dict[str, Any]:
    """Where to train: arguments of the trainer.

    Every process of srun or torchrun drives one device; to Lightning it is a node of its own, so that nodes need not be
    alike, and a process may see all GPUs of its node or its own alone. A process that nobody started together with
    others starts some itself when there is more than one device.
    """
    place, gpus = find_place(), torch.cuda.device_count()
    common: dict[str, Any] = {
        "accelerator": "gpu" if gpus else "cpu",
        "benchmark": True,
        "use_distributed_sampler": False,
    }
    if place is None:
        most = max(n for n in range(1, max(1, gpus) + 1) if batch_size % n == 0)
        count = most if devices == "auto" else devices
        return {**common, "devices": count, "plugins": [LightningEnvironment()]} | _strategy(count != 1)
    os.environ |= {"RANK": str(place.rank), "WORLD_SIZE": str(place.world_size), "LOCAL_RANK": "0"}
    os.environ |= {"MASTER_ADDR": place.address, "MASTER_PORT": str(place.port)}
    device = [place.local_rank % gpus] if gpus else 1
    common |= {"devices": device, "num_nodes": place.world_size, "plugins": [TorchElasticEnvironment()]}
    return common | _strategy(together=True)


def _strategy(together: bool) -> dict[str, Any]:
    """How processes train together: no step needs to broadcast buffers, as all of them count the same."""
    if not together:
        return {}
    known = signature(DistributedDataParallel).parameters  # torch 2.13 has a new name for it, and warns of the old one
    options: dict[str, Any] = {
        "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False
    }
    return {"strategy": DDPStrategy(gradient_as_bucket_view=True, **options)}


def _schedule(task: Task, max_steps: int | None) -> dict[str, Any]:
    """How long and how exactly to train: arguments of the trainer, to which an interval of validation is an epoch."""
    fit = task.fit
    halves = fit.precision == "bf16" and (torch.cuda.is_available() or fast_dtype() == torch.bfloat16)
    return {
        "precision": "bf16-mixed" if halves else "32-true",
        "max_steps": min(fit.steps, max_steps or fit.steps),
        "gradient_clip_val": fit.clip,
        "check_val_every_n_epoch": 1,
        "reload_dataloaders_every_n_epochs": 1,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": min(10, fit.validate_every),
    }
