"""Ranks: the place of this process, and sums over a process group with gradient."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

# A count is sent as two floats, high * 2^12 + low: each stays a whole number below 2^24, where
# float32 is exact, on up to 2^12 ranks and up to 2^36 labels of a class.
_LOW_BITS = 12


_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")


class Launch(NamedTuple):
    """The place of this process among the processes that torchrun started.

    Attributes:
        rank: Number of this process, from 0.
        ranks: Number of processes on all machines.
        local_rank: Number of this process on its machine.
        local_ranks: Number of processes on this machine.
    """

    rank: int
    ranks: int
    local_rank: int
    local_ranks: int

    @classmethod
    def of_environment(cls) -> Launch:
        """As torchrun says it; a process that was started alone is number 0 of 1."""
        numbers = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 1))
        return cls(*(int(os.environ.get(name, alone)) for name, alone in numbers))

    @property
    def first(self) -> bool:
        """Whether this process prints and writes for all."""
        return self.rank == 0

    @staticmethod
    def environment_alone() -> dict[str, str]:
        """The environment for a process that runs alone."""
        return {k: v for k, v in os.environ.items() if k not in _VARIABLES}


def sum_over_ranks(sums_KD: Tensor, counts_K: Tensor, group: Any) -> tuple[Tensor, Tensor]:
    """Class sums and counts over all ranks, in one all-reduce of (K, D + 2) values.

    The all-reduce sends 4 K (D + 2) bytes in float32, and backward 4 K D more for the gradient:
    155 kB and 154 kB for 150 classes of 256 dimensions. The counts stay exact.

    Every rank has the same loss, so the gradients of the N copies add up to N times the gradient
    of one process; DDP and FSDP then divide by N, because they average over ranks.

    Args:
        sums_KD: (K, D) float32 or float64, of this rank.
        counts_K: (K,) int64, of this rank.
        group: The process group.

    Returns:
        (K, D) sums, differentiable, and (K,) int64 counts of the group.
    """
    totals: tuple[Tensor, Tensor] = _SumOverRanks.apply(sums_KD, counts_K, group)  # type: ignore[no-untyped-call]
    return totals


def total_over_ranks(values: Tensor, group: Any) -> Tensor:
    """The sum of a tensor over all ranks, with the gradient of the sum of the ranks' losses.

    Args:
        values: Floating point, of one shape on all ranks.
        group: The process group.
    """
    total: Tensor = _TotalOverRanks.apply(values, group)  # type: ignore[no-untyped-call]
    return total


def summing_group(sync: bool | dist.ProcessGroup) -> Any:
    """The process group to sum over, or None where sums stay on this rank.

    Args:
        sync: True for all ranks, a process group for its ranks, False for this rank alone.

    Returns:
        None without ``sync`` or outside ``torch.distributed``.
    """
    if sync is False or not (dist.is_available() and dist.is_initialized()):
        return None
    return dist.group.WORLD if sync is True else sync


class _SumOverRanks(torch.autograd.Function):
    """All-reduce whose backward is an all-reduce too."""

    @staticmethod
    def forward(ctx: Any, sums_KD: Tensor, counts_K: Tensor, group: Any) -> tuple[Tensor, Tensor]:
        ctx.group = group
        halves_K2 = torch.stack((counts_K >> _LOW_BITS, counts_K % (1 << _LOW_BITS)), 1)
        packed = torch.cat((sums_KD, halves_K2.to(sums_KD.dtype)), 1)
        dist.all_reduce(packed, group=group)
        high_K, low_K = packed[:, -2:].long().unbind(1)
        total_K = (high_K << _LOW_BITS) + low_K
        ctx.mark_non_differentiable(total_K)
        return packed[:, :-2].contiguous(), total_K

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        return total_over_ranks(gradients[0], ctx.group), None, None


class _TotalOverRanks(torch.autograd.Function):
    """All-reduce of one tensor, a separate function so that second derivatives exist."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = values.contiguous().clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        return total_over_ranks(gradients[0], ctx.group), None
