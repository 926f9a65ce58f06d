"""Where a training runs: which process this is, of how many, on which device; and how they act as one.

Slurm (``srun``) and ``torchrun`` both start the same command many times and say in the environment who is who.
"""

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
"""Where the processes of a Slurm job meet: a port by the job's number, so that two jobs on a node do not collide."""


@dataclass(frozen=True)
class Place:
    """One process among those that train together.

    Attributes
    ----------
    rank, world_size : int
        Number of this process, and of all.
    local_rank : int
        Its number on this node: that of its GPU where it sees more than one.
    address, port : str, int
        Where the first process is found.
    """

    rank: int
    world_size: int
    local_rank: int
    address: str
    port: int


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Read this process' place from what torchrun or srun say; None when it is alone.

    Raises
    ------
    ConfigError
        If the first node of a Slurm job has no address that this one knows; MASTER_ADDR gives it.
    """
    if "RANK" in environment:
        numbers = [int(environment.get(name, "1")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")]
        meeting = environment.get("MASTER_ADDR", "127.0.0.1"), int(environment.get("MASTER_PORT", str(FIRST_PORT)))
    elif "SLURM_STEP_NUM_TASKS" in environment:  # only srun sets it: a batch script itself is one process
        numbers = [int(environment[name]) for name in ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")]
        meeting = ("", 0) if numbers[1] == 1 else (_slurm_address(environment), _slurm_port(environment))
    else:
        return None
    rank, world_size, local_rank = numbers
    return Place(rank, world_size, local_rank, *meeting) if world_size > 1 else None


def _slurm_address(environment: Mapping[str, str]) -> str:
    """Find the node of the first process: named by the site, this one, by its name, or where srun was started."""
    named = environment.get("MASTER_ADDR", "")
    if named or environment.get("SLURM_STEP_NUM_NODES") == "1":
        return named or "127.0.0.1"
    node = first_node(environment.get("SLURM_STEP_NODELIST", ""))
    launched = environment.get("SLURM_LAUNCH_NODE_IPADDR", "")
    try:
        socket.getaddrinfo(node, None)
    except OSError:
        if not launched:
            msg = f"the first node of this job, {node!r}, has no address here: set MASTER_ADDR to one"
            raise ConfigError(msg) from None
        return launched  # in a batch job srun runs on the first node
    return node


def first_node(nodes: str) -> str:
    """Name the first of a Slurm list of nodes: ``gpu-[003,005-007],cpu1`` begins with ``gpu-003``."""
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", re.split(r",(?![^\[]*\])", nodes)[0])


def _slurm_port(environment: Mapping[str, str]) -> int:
    job, step = int(environment.get("SLURM_JOB_ID", "0")), int(environment.get("SLURM_STEP_ID", "0"))
    return int(environment.get("MASTER_PORT", "0")) or FIRST_PORT + (job + 997 * step) % N_PORTS


def share_of(total: int, rank: int, world_size: int) -> range:
    """Rows of a step's batch of ``total`` that one of the processes looks at: neighbours, and as many for each."""
    each = total // world_size
    return range(rank * each, (rank + 1) * each)


def my_share(total: int) -> slice:
    """Rows of a step's batch of ``total`` that this process looks at; all when it is alone."""
    rows = share_of(total, distributed.get_rank() if _together() else 0, n_processes())
    return slice(rows.start, rows.stop)


def n_processes() -> int:
    """Count the processes that train together."""
    return distributed.get_world_size() if _together() else 1


def before(values: Tensor) -> Tensor:
    """Give each example of a step's batch the value of the one before it, and the first that of the last."""
    rolled = values.roll(1, 0)
    if _together():
        lasts = [torch.empty_like(values[-1]) for _ in range(n_processes())]
        distributed.all_gather(lasts, values[-1].contiguous())
        rolled[0] = lasts[distributed.get_rank() - 1]
    return rolled


def agreed(device: torch.device, *votes: bool) -> list[bool]:
    """Turn each question's answer into what any of the processes that train together answers."""
    if not _together():
        return list(votes)
    ballot = torch.tensor(votes, dtype=torch.int32, device=device)
    distributed.all_reduce(ballot, distributed.ReduceOp.MAX)
    return [bool(vote) for vote in ballot.tolist()]


def over_processes(value: Tensor) -> Tensor:
    """Average over the processes that train together; what a process looks at alone (without gradients) stays.

    Losses divide by this instead of by their own totals, so that a step's gradient, averaged over processes, is that of
    one process with the whole batch.
    """
    if not (_together() and torch.is_grad_enabled()):
        return value
    mean = value.detach().clone()
    distributed.all_reduce(mean)
    return mean / n_processes()


def gathered(parts: Sequence[T], n_parts: int) -> list[T]:
    """Join what the processes found of ``n_parts`` parts, of which each took every ``world_size``-th."""
    if not _together() or len(parts) == n_parts:
        return list(parts)
    found: list[Any] = [None] * n_processes()
    distributed.all_gather_object(found, list(parts))
    return [found[number % len(found)][number // len(found)] for number in range(n_parts)]


def leave_the_others() -> None:
    """End the training together: what follows, each process does alone."""
    if _together():
        distributed.destroy_process_group()


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()


class _Sum(torch.autograd.Function):
    """Sum over processes; what each gets is wanted by all of them, so their gradients are added as well."""

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


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation whose statistics are those of all processes, which must see equally many examples.

    For CPUs: torch's own, :class:`torch.nn.SyncBatchNorm`, needs GPUs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (batch, channel, ...); the gradient flows through the shared statistics as well."""
        if not self.training:
            return super().forward(x)
        axes = [0, *range(2, x.ndim)]
        per_channel = [1, -1, *[1] * (x.ndim - 2)]
        values = x.float()
        moments = torch.stack([values.mean(axes), values.square().mean(axes)])
        mean, square = _Sum.apply(moments) / distributed.get_world_size()  # type: ignore[no-untyped-call]
        variance = square - mean.square()
        self._remember(mean.detach(), variance.detach(), x.numel() // x.shape[1] * distributed.get_world_size())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        moved = values * scale.view(per_channel) + (self.bias - mean * scale).view(per_channel)
        return torch.as_tensor(moved, dtype=x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics as :class:`torch.nn.BatchNorm2d` does: with the unbiased variance."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)

    def _check_input_dim(self, _: Tensor) -> None:
        """Take (batch, channel, ...) with any axes."""


def share_statistics(model: nn.Module, *, on_gpu: bool) -> None:
    """Let every batch normalisation of a model count the batches of all processes; weights and names stay."""
    if on_gpu:
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
                for part, value in _parts(child).items():
                    setattr(shared, part, value)
                setattr(parent, name, shared)


def _parts(norm: Any) -> dict[str, Any]:
    """Weights and running statistics, shared with the layer that they come from."""
    return {
        name: getattr(norm, name) for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
