"""check_ranks: several ranks together see what one process sees."""

from __future__ import annotations

from unittest import SkipTest
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor, nn

from equiseg.losses.pixel_loss import PixelLoss
from equiseg.testing.loss_case import NUM_CLASSES, LossCase, require_close, state_of


def check_ranks(case: LossCase) -> None:
    """N ranks take the step that one process takes on the whole batch.

    A class on one rank is present on all, so a loss over class centers has one value on all ranks,
    however the pixels are split, also where a rank has none. A mean over pixels
    (:class:`PixelLoss`) is of this rank's, as torch's own: of one over features, where all have
    equally many, their mean is that of the whole. Gradients are those of the mean over ranks, as
    DDP and FSDP take it. The state afterwards is the same on all; of a loss over logits only this
    is judged, for what it computes may depend on which pixels are a rank's.

    To be called on every rank of an initialised process group.

    Raises:
        AssertionError: If the loss breaks the contract; on all ranks, as far as they see it.
        RuntimeError: If there is no process group.
        unittest.SkipTest: If it does not apply.
    """
    if not dist.is_initialized():
        raise RuntimeError(
            "check_ranks needs a process group; call torch.distributed.init_process_group on "
            "every rank first, for example under torchrun"
        )
    case.skip_if_spared("ranks")
    if case.in_features is None and not case.loss().state_dict():
        raise SkipTest("a loss over logits without state is of its own rank's pixels")
    rank, world = dist.get_rank(), dist.get_world_size()
    for evenly in (True, False):
        inputs, labels = _batch(case.in_features, world, evenly)
        alone, together = (case.loss().double().train() for _ in range(2))
        with patch.object(dist, "is_initialized", return_value=False):
            expected = _step(alone, inputs, labels)
        value, gradient, learned = _step(
            together, inputs.chunk(world)[rank], labels.chunk(world)[rank]
        )
        over_pixels = isinstance(together, PixelLoss)
        step = (
            _mean_over_ranks(value) if over_pixels else value,
            gradient / world,
            [_mean_over_ranks(of) for of in learned],
        )
        # All communication lies behind: a rank may fail without the others waiting for it.
        split = "split evenly" if evenly else "none of which are on rank 0"
        if case.in_features and (evenly or not over_pixels):
            share = (expected[0], expected[1].chunk(world)[rank], expected[2])
            asked = f"value and gradients of {world} ranks must be those of one process, labels"
            require_close(step, share, f"{asked} {split}", rtol=1e-9, atol=1e-11)
        asked = f"the state must be that of one process on the whole batch, labels {split}"
        require_close(state_of(together), state_of(alone), asked, rtol=1e-9, atol=1e-11)


def _batch(in_features: int | None, world: int, evenly: bool) -> tuple[Tensor, Tensor]:
    """Class 3 lives on the last rank alone, class 4 nowhere; rank 0 may have nothing valid."""
    generator = torch.Generator().manual_seed(0)
    shape = (2 * world, in_features or NUM_CLASSES, 3, 4)
    inputs = torch.randn(shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, NUM_CLASSES - 2, (2 * world, 6, 8), generator=generator)
    labels[:, 0] = 255
    labels[-1, 1:3] = 3
    if not evenly:
        labels[:2] = 255
    return inputs, labels


def _step(loss: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The loss, its gradient in the inputs, and in what it learns."""
    inputs = inputs.detach().requires_grad_()
    value = loss(inputs, labels)
    gradient, *learned = torch.autograd.grad(value, [inputs, *loss.parameters()])
    return value.detach(), gradient, learned


def _mean_over_ranks(tensor: Tensor) -> Tensor:
    total = tensor.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
