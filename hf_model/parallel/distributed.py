"""Distributed training: rank and world size from Slurm (``srun``) or ``torchrun``, and collective operations."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from hf_model.config import ConfigError

T = TypeVar("T")

FIRST_PORT, N_PORTS = 15000, 20000
"""Range of rendezvous ports of Slurm jobs, chosen by job number so that two jobs on a node do not collide."""


@dataclass(frozen=True)
class ProcessInfo:
    """Rank of a process in a distributed training.

    Attributes
    ----------
    rank, world_size : int
        Number of this process, and number of processes.
    local_rank : int
        Number of this process on its node: the index of its GPU if it sees several.
    address, port : str, int
        Rendezvous: node and port of the process with rank 0.
    """

    rank: int
    world_size: int
    local_rank: int
    address: str
    port: int


def find_process(environment: Mapping[str, str] = os.environ) -> ProcessInfo | None:
    """Read the rank of this process from the variables of torchrun or srun; None for a single process.

    Raises
    ------
    ConfigError
        If the name of the first node of a Slurm job cannot be resolved and MASTER_ADDR is not set.
    """
    if "RANK" in environment:
        numbers = [int(environment.get(name, "1")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")]
        rendezvous = environment.get("MASTER_ADDR", "127.0.0.1"), int(environment.get("MASTER_PORT", str(FIRST_PORT)))
    elif "SLURM_STEP_NUM_TASKS" in environment:  # set by srun only: a batch script is one process
        numbers = [int(environment[name]) for name in ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")]
        rendezvous = ("", 0) if numbers[1] == 1 else (_slurm_address(environment), _slurm_port(environment))
    else:
        return None
    rank, world_size, local_rank = numbers
    return ProcessInfo(rank, world_size, local_rank, *rendezvous) if world_size > 1 else None


def _slurm_address(environment: Mapping[str, str]) -> str:
    """Address of the first process: MASTER_ADDR, this node, the first node's name, or the node that ran srun."""
    master = environment.get("MASTER_ADDR", "")
    if master or environment.get("SLURM_STEP_NUM_NODES") == "1":
        return master or "127.0.0.1"
    node = first_node(environment.get("SLURM_STEP_NODELIST", ""))
    launched = environment.get("SLURM_LAUNCH_NODE_IPADDR", "")
    try:
        socket.getaddrinfo(node, None)
    except OSError:
        if not launched:
            msg = f"the first node of this job, {node!r}, cannot be resolved: set MASTER_ADDR to its address"
            raise ConfigError(msg) from None
        return launched  # in a batch job, srun runs on the first node
    return node


def first_node(nodes: str) -> str:
    """First node of a Slurm node list: ``gpu-003`` of ``gpu-[003,005-007],cpu1``."""
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", re.split(r",(?![^\[]*\])", nodes)[0])


def _slurm_port(environment: Mapping[str, str]) -> int:
    job, step = int(environment.get("SLURM_JOB_ID", "0")), int(environment.get("SLURM_STEP_ID", "0"))
    return int(environment.get("MASTER_PORT", "0")) or FIRST_PORT + (job + 997 * step) % N_PORTS


def rows_of_rank(total: int, rank: int, world_size: int) -> range:
    """Rows of a batch of ``total`` examples that belong to ``rank``: contiguous, and equally many for each rank."""
    each = total // world_size
    return range(rank * each, (rank + 1) * each)


def local_rows(total: int) -> slice:
    """Rows of a batch of ``total`` examples that belong to this process; all for a single process."""
    rows = rows_of_rank(total, distributed.get_rank() if _is_distributed() else 0, n_processes())
    return slice(rows.start, rows.stop)


def n_processes() -> int:
    """Count the processes of the training."""
    return distributed.get_world_size() if _is_distributed() else 1


def previous_in_batch(values: Tensor) -> Tensor:
    """Roll the values (example, ...) of a batch by one, across processes: each example gets its predecessor's value."""
    rolled = values.roll(1, 0)
    if _is_distributed():
        lasts = [torch.empty_like(values[-1]) for _ in range(n_processes())]
        distributed.all_gather(lasts, values[-1].contiguous())
        rolled[0] = lasts[distributed.get_rank() - 1]
    return rolled


def all_reduce_any(device: torch.device, *flags: bool) -> list[bool]:
    """Logical or of each flag over all processes."""
    if not _is_distributed():
        return list(flags)
    reduced = torch.tensor(flags, dtype=torch.int32, device=device)
    distributed.all_reduce(reduced, distributed.ReduceOp.MAX)
    return [bool(flag) for flag in reduced.tolist()]


def all_reduce_mean(value: Tensor) -> Tensor:
    """Mean over all processes, without gradient; unchanged where gradients are disabled, as in validation.

    Losses divide by the mean total instead of their own, so that the gradient averaged over processes is that of the
    whole batch.
    """
    if not (_is_distributed() and torch.is_grad_enabled()):
        return value
    mean = value.detach().clone()
    distributed.all_reduce(mean)
    return mean / n_processes()


def all_gather_parts(parts: Sequence[T], n_parts: int) -> list[T]:
    """Merge the parts of all processes, each of which has every ``world_size``-th of ``n_parts``."""
    if not _is_distributed() or len(parts) == n_parts:
        return list(parts)
    gathered: list[Any] = [None] * n_processes()
    distributed.all_gather_object(gathered, list(parts))
    return [gathered[number % len(gathered)][number // len(gathered)] for number in range(n_parts)]


def destroy_process_group() -> None:
    """End the process group of the training, if there is one."""
    if _is_distributed():
        distributed.destroy_process_group()


def _is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()


class _Sum(torch.autograd.Function):
    """Sum over processes, with the gradients summed likewise."""

    @staticmethod
    def forward(_: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class SynchronizedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalization over all processes, which must have equally many examples.

    For CPUs, because :class:`torch.nn.SyncBatchNorm` needs GPUs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (batch, channel, ...); the gradient includes the synchronized statistics."""
        if not self.training:
            return super().forward(x)
        axes = [0, *range(2, x.ndim)]
        per_channel = [1, -1, *[1] * (x.ndim - 2)]
        values = x.float()
        moments = torch.stack([values.mean(axes), values.square().mean(axes)])
        mean, square = _Sum.apply(moments) / distributed.get_world_size()  # type: ignore[no-untyped-call]
        variance = square - mean.square()
        self._update_running_statistics(
            mean.detach(), variance.detach(), x.numel() // x.shape[1] * distributed.get_world_size()
        )
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalized = values * scale.view(per_channel) + (self.bias - mean * scale).view(per_channel)
        return torch.as_tensor(normalized, dtype=x.dtype)

    def _update_running_statistics(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics with the unbiased variance, as :class:`torch.nn.BatchNorm2d` does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)

    def _check_input_dim(self, _: Tensor) -> None:
        """Accept (batch, channel, ...) of any number of axes."""


def synchronize_batch_norm(model: nn.Module, *, on_gpu: bool) -> None:
    """Replace the batch normalization layers of a model by synchronized ones, in place, with the same state dict."""
    if on_gpu:
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                layer = SynchronizedBatchNorm(child.num_features, child.eps, child.momentum)
                for part, value in _parts(child).items():
                    setattr(layer, part, value)
                setattr(parent, name, layer)


def _parts(norm: Any) -> dict[str, Any]:
    """Parameters and buffers of a batch normalization layer."""
    return {
        name: getattr(norm, name) for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
