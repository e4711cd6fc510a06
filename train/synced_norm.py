"""Batch norm over the batches of all processes, on CPUs as well (`torch.nn.SyncBatchNorm` is for
GPUs alone)."""

from __future__ import annotations

import torch
import torch.distributed
from torch import nn

from train.criterion import at_least_float32


class _Sum(torch.autograd.Function):
    """Sum over the processes; so is its gradient."""

    @staticmethod
    def forward(ctx, value):  # type: ignore[no-untyped-def]
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        total = gradient.clone()
        torch.distributed.all_reduce(total)
        return total


def _summed(value: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _Sum.apply(value)
    return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` whose statistics are those of the whole distributed batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not torch.distributed.is_initialized():
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None
        wide = at_least_float32(x)  # Sums in half precision would overflow.
        count = wide.new_tensor([x.numel() / x.shape[1]])
        sums = _summed(torch.cat([wide.sum((0, 2, 3)), count]))
        count = sums[-1:].detach()
        mean = sums[:-1] / count
        variance = _summed((wide - mean[:, None, None]).square().sum((0, 2, 3))) / count
        with torch.no_grad():
            momentum = self.momentum or 0.0
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (wide * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


def synchronise(network: nn.Module) -> None:
    """Turn every `BatchNorm2d` of a network into a synchronised one, in place."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncedBatchNorm2d
