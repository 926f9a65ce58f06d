"""Training with Lightning: exact resume, early stopping, checkpoints, devices."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Sequence
from contextlib import closing
from inspect import signature
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, RichProgressBar
from pytorch_lightning.plugins.environments import (  # type: ignore[attr-defined]
    LightningEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from hf_model.files import remove_leftovers
from hf_model.parallel.distributed import destroy_process_group, find_process, synchronize_batch_norm
from hf_model.training import preemption
from hf_model.training.checkpoints import CheckpointCallback, DirectCheckpointIO, load_best, newest_checkpoint
from hf_model.training.dataset import to_complex
from hf_model.training.module import CURVE, ShardsDataModule, TrainingModule, write_curve
from hf_model.training.tasks import Task

IGNORED_WARNINGS = (
    "You're resuming from a checkpoint that ended before the epoch ended",  # the sampler resumes within an epoch
    ".*does not have many workers",  # rows of parquet are read fast enough
    ".*is smaller than the logging interval",  # the last interval may be shorter
    "The `srun` command is available",  # a single process is intended
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning's own use of torch
)
"""Warnings of Lightning that do not apply."""


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
        Output: ``model.safetensors``, ``config.json``, what inference needs, and ``curve.csv``, the learning curve.
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
    data = ShardsDataModule(shards, task.columns, task.fit, workers)
    module = TrainingModule(task, len(data.whole_validation))
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
    if trainer.world_size > 1:
        synchronize_batch_norm(module.model, on_gpu=torch.cuda.is_available())
    with preemption.handle_signals(), closing(data):
        with warnings.catch_warnings():
            for message in IGNORED_WARNINGS:
                warnings.filterwarnings("ignore", message)
            trainer.fit(module, datamodule=data, ckpt_path=newest_checkpoint(checkpoints), weights_only=True)
        destroy_process_group()
        figures = {**module.best, "seconds": time.perf_counter() - start}
        if trainer.is_global_zero and not (max_steps and max_steps < task.fit.steps):
            with preemption.stop_immediately():
                figures |= _write_model(module, data.whole_validation, checkpoints, Path(folder), facts)
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
    write_curve(folder / CURVE, module.curve)
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
    has_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    is_mixed = fit.precision == "bf16" and (torch.cuda.is_available() or has_bfloat16)
    return {
        "precision": "bf16-mixed" if is_mixed else "32-true",
        "max_steps": min(fit.steps, max_steps or fit.steps),
        "gradient_clip_val": fit.clip,
        "check_val_every_n_epoch": 1,
        "reload_dataloaders_every_n_epochs": 1,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": min(10, fit.validate_every),
    }
