"""Batch normalisation over the whole step's batch, however many processes share it out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


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
