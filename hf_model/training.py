"""Training with Lightning: exact resume, the running average of the weights, early stopping."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from torch import Tensor
from torch.utils.data import DataLoader

from hf_model.dataset import Key, Segments, StepSampler, collate, hash_seed
from hf_model.pretrained import Pretrained
from hf_model.tasks import FitConfig, Task


class Fit(pl.LightningModule):
    """One training: every step's randomness is a function of (seed, step), so that a resumed run continues exactly."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.model = task.model.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(task.model).requires_grad_(requires_grad=False)
        self.parts: list[Any] = []
        self.best: dict[str, float] = {}

    def configure_optimizers(self) -> Any:
        """AdamW (no decay on vectors); linear warm-up, then a cosine down to 1 %."""
        fit = self.task.fit
        plain = [p for p in self.model.parameters() if p.requires_grad and p.ndim < 2]
        decayed = [p for p in self.model.parameters() if p.requires_grad and p.ndim >= 2]
        groups = [{"params": decayed, "weight_decay": fit.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=fit.learning_rate, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_share(step, fit))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed what the network itself draws (dropout) by the step."""
        torch.manual_seed(hash_seed(self.task.fit.seed, 1, self.global_step, self.global_rank))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of one batch."""
        losses = self.task.losses(self.model, batch, self.global_step)
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()}, prog_bar=False)
        self.log("loss", losses["loss"].detach(), prog_bar=True, logger=False)
        return losses["loss"]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then move the running average: before any callback may save a checkpoint."""
        super().optimizer_step(*args, **kwargs)
        keep = min(self.task.fit.ema, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            current = self.model.state_dict()
            for name, value in self.average.state_dict().items():
                if value.dtype.is_floating_point:
                    value.lerp_(current[name].to(value.dtype), 1 - keep)
                else:
                    value.copy_(current[name])

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self.parts = []
        self.average.eval()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Look at one batch with the averaged weights."""
        self.parts.append(self.task.examine(self.average, batch))

    def on_validation_epoch_end(self) -> None:
        """Log the figures."""
        figures = self.task.summarize(self.parts)
        self.log_dict({f"valid/{name}": value for name, value in figures.items()}, prog_bar=True, sync_dist=True)
        better = figures[self.task.metric] > self.best.get(self.task.metric, -math.inf)
        if better == self.task.higher_is_better or not self.best:
            self.best = {**figures, "step": float(self.global_step)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the best figures beside the weights."""
        checkpoint["best"] = self.best

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the best figures again."""
        self.best = checkpoint["best"]


class Shards(pl.LightningDataModule):
    """The batches of one training, from any step on."""

    def __init__(self, folder: Path, task: Task, workers: int) -> None:
        super().__init__()
        self.folder, self.task, self.workers = folder, task, workers
        self.first_step = 0

    def train_dataloader(self) -> DataLoader[Any]:
        """Read the crops of the steps from the trainer's step to the end of its validation interval."""
        fit = self.task.fit
        data = Segments(self.folder, "train", self.task.columns, fit.crop_frames, fit.corpora or None)
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        sampler = StepSampler(len(data), fit.batch_size, fit.validate_every, fit.seed, rank, world)
        sampler.next_step = self.trainer.global_step if self.trainer else 0
        return self._loader(data, sampler)

    def val_dataloader(self) -> DataLoader[Any]:
        """Read whole segments of the valid split, the same ones every time."""
        fit = self.task.fit
        data = Segments(self.folder, "valid", self.task.columns, None, fit.corpora or None)
        chosen = torch.linspace(0, len(data) - 1, min(len(data), fit.valid_segments)).round().long().tolist()
        size = max(1, fit.batch_size // 2)
        batches: list[list[Key]] = [
            [(number, 0) for number in chosen[at : at + size]] for at in range(0, len(chosen), size)
        ]
        return self._loader(data, batches)

    def _loader(self, data: Segments, batches: Any) -> DataLoader[Any]:
        return DataLoader(
            data,
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4 if self.workers else None,
            multiprocessing_context="spawn" if self.workers else None,
        )


def learning_rate_share(step: int, fit: FitConfig) -> float:
    """Share of the full learning rate at a step."""
    if step < fit.warmup_steps:
        return (step + 1) / fit.warmup_steps
    progress = (step - fit.warmup_steps) / max(1, fit.steps - fit.warmup_steps)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


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
    max_steps: int | None = None,
    devices: int | str = "auto",
    nodes: int = 1,
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
        Where checkpoints live; a run that finds one there goes on from it.
    workers : int
        Processes that read batches; 0 reads in this one.
    max_steps : int, optional
        Stop here, leaving a checkpoint to resume from, as an interruption would.
    **facts
        Kept in ``config.json``.

    Returns
    -------
    dict
        The figures of the best validation, its step, and the seconds that training took.
    """
    fit, start = task.fit, time.perf_counter()
    torch.manual_seed(fit.seed)
    module = Fit(task)
    keeper = ModelCheckpoint(
        dirpath=str(checkpoints), filename="last", every_n_train_steps=checkpoint_every, enable_version_counter=False
    )
    chooser = ModelCheckpoint(
        dirpath=str(checkpoints),
        filename="best",
        monitor=f"valid/{task.metric}",
        mode="max" if task.higher_is_better else "min",
        enable_version_counter=False,
    )
    stopper = EarlyStopping(chooser.monitor or "", patience=fit.patience, mode=chooser.mode)
    on_gpu = torch.cuda.is_available()
    trainer = pl.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=devices if on_gpu else 1,
        num_nodes=nodes,
        precision="bf16-mixed" if fit.precision == "bf16" else "32-true",
        max_steps=min(fit.steps, max_steps or fit.steps),
        check_val_every_n_epoch=1,
        gradient_clip_val=fit.clip,
        callbacks=[keeper, chooser, stopper, *callbacks, *([RichProgressBar()] if progress else [])],
        logger=list(loggers) or False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        benchmark=True,
    )
    last = Path(checkpoints) / "last.ckpt"
    trainer.fit(
        module, datamodule=Shards(Path(shards), task, workers), ckpt_path=last if last.is_file() else None,
        weights_only=True,
    )
    model = _best_average(module, Path(checkpoints) / "best.ckpt")
    figures = {**module.best, "seconds": time.perf_counter() - start}
    if trainer.is_global_zero and not (max_steps and max_steps < fit.steps):
        data = Shards(Path(shards), task, workers)
        device = torch.device("cuda" if on_gpu else "cpu")
        with torch.inference_mode():
            batches = (_to_device(batch, device) for batch in data.val_dataloader())
            added, conclusions = task.conclude(model.to(device).eval(), batches)
        model.save_pretrained(folder, valid={**module.best, **added}, **conclusions, **facts)
        figures |= added
    return figures


def _best_average(module: Fit, checkpoint: Path) -> Pretrained:
    """Take the averaged weights of the best validation, or the last ones where there was none."""
    average: Pretrained = module.average
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        kept = {name.removeprefix("average."): value for name, value in state.items() if name.startswith("average.")}
        average.load_state_dict(kept)
    return average


def _to_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: value.to(device) for name, value in batch.items()}
