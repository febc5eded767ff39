"""Batch normalisation over all ranks on any device: torch's SyncBatchNorm refuses CPUs."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from equiseg.ranks import total_over_ranks


class RankBatchNorm(_BatchNorm):
    """Batch normalisation over the batch of all ranks while training.

    N ranks with a part of the batch each have the statistics and gradients of one process with the
    whole batch, up to rounding. Two all-reduces of C values forward, two backward. In evaluation,
    and outside of ``torch.distributed``, it is torch's batch normalisation.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"input must be (B, C, *spatial), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, *spatial) of this rank, normalised by the mean and variance of all ranks."""
        self._check_input_dim(input)
        ranks = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        if not self.training or ranks == 1:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return self._over_ranks(input)

    def _over_ranks(self, input: Tensor) -> Tensor:
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        dims = [0, *range(2, values.ndim)]
        counted = values.new_tensor([values.numel() / values.shape[1]])
        packed = total_over_ranks(torch.cat((values.sum(dims), counted)), dist.group.WORLD)
        count = packed[-1].detach()
        if count < 2:
            raise ValueError(f"Expected more than 1 value per channel over all ranks, got {count}")
        shape = (1, -1, *[1] * (values.ndim - 2))
        mean_C = packed[:-1] / count
        centered = values - mean_C.view(shape)
        var_C = total_over_ranks(centered.square().sum(dims), dist.group.WORLD) / count
        self._follow(mean_C.detach(), var_C.detach() * (count / (count - 1)))
        normal = centered * (var_C + self.eps).rsqrt().view(shape)
        if self.affine:
            weight, bias = self.weight.to(normal.dtype), self.bias.to(normal.dtype)
            normal = normal * weight.view(shape) + bias.view(shape)
        return normal.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean_C: Tensor, var_C: Tensor) -> None:
        """Move the running statistics as torch does."""
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:
            momentum = 1 / float(self.num_batches_tracked)  # type: ignore[arg-type]
        self.running_mean.lerp_(mean_C.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(var_C.to(self.running_var.dtype), momentum)


def over_ranks(module: nn.Module) -> nn.Module:
    """Replace every batch normalisation in a network by one over all ranks.

    Args:
        module: The network; its parameters and buffers are kept, and so is its state dict.

    Returns:
        The network, or its replacement if it is itself a batch normalisation.
    """
    return _replaced(module, {})


def _replaced(module: nn.Module, done: dict[nn.Module, nn.Module]) -> nn.Module:
    if module in done:  # one module under two names stays one
        return done[module]
    done[module] = module
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
        new = RankBatchNorm(
            module.num_features,
            module.eps,
            module.momentum,
            module.affine,
            module.track_running_stats,
        )
        new._parameters, new._buffers = module._parameters, module._buffers
        new.training = module.training
        done[module] = new
        return new
    for name, child in list(module.named_children()):
        setattr(module, name, _replaced(child, done))
    return module
