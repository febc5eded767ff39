"""The judge itself: each way to break the contract is caught by the check that is there for it."""

from dataclasses import replace
from unittest import SkipTest

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from equiseg.losses.pixel_loss import PixelLoss, mean_of_known
from equiseg.testing import LOSS_CHECKS, NUM_CLASSES, LossCase, check_loss
from reference.slow_cross_entropy import cross_entropy


class Right(PixelLoss):
    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        return mean_of_known(F.cross_entropy(logits_BKP, targets_BP, reduction="none"), known_BP)


class ReferenceMissed(Right):
    breaks = "reference"

    def of_pixels(self, *pixels):
        return 1.001 * super().of_pixels(*pixels)


class GradientsCut(Right):
    breaks = "gradients"

    def of_pixels(self, logits_BKP, *labels):
        return super().of_pixels(2 * logits_BKP - logits_BKP.detach(), *labels)


class ParameterCut(Right):
    breaks = "gradients"

    def __init__(self, num_classes, ignore_index):
        super().__init__(num_classes, ignore_index=ignore_index)
        self.scale = nn.Parameter(torch.ones(()))

    def of_pixels(self, logits_BKP, *labels):
        return super().of_pixels((2 * self.scale - self.scale.detach()) * logits_BKP, *labels)


class HalfPrecisionKept(Right):
    breaks = "half_precision"

    def forward(self, logits, labels, **options):
        return super().forward(logits, labels, **options).to(logits.dtype)


class FlatVolumeWeighed(Right):
    breaks = "flat_volume"

    def forward(self, logits, labels, **options):
        return super().forward(logits, labels, **options) * (1 + (labels.ndim == 4))


class PointsWeighed(Right):
    breaks = "points"

    def forward(self, logits, labels, **options):
        return super().forward(logits, labels, **options) * (1 + (labels.ndim == 1))


class IgnoredCounted(Right):
    breaks = "ignored"

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        return (
            super().of_pixels(logits_BKP, targets_BP, known_BP) + 1e-3 * logits_BKP.square().mean()
        )


class IgnoredDivided(Right):
    breaks = "ignored"

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        losses_BP = F.cross_entropy(logits_BKP, targets_BP, reduction="none")
        return torch.where(known_BP, losses_BP, 0).mean()


class IgnoredMultiplied(Right):
    breaks = "ignored"

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        losses_BP = F.cross_entropy(logits_BKP, targets_BP, reduction="none")
        return (losses_BP * known_BP).sum() / known_BP.sum().clamp(min=1)


class OneClassDivided(Right):
    breaks = "one_class"

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        classes = torch.arange(self.num_classes)
        own_BPK = (targets_BP.unsqueeze(2) == classes) & known_BP.unsqueeze(2)
        present = own_BPK.any(1).any(0).sum()
        return super().of_pixels(logits_BKP, targets_BP, known_BP) / (present - 1)


class LargeOverflowing(Right):
    breaks = "large_inputs"

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        losses_BP = (logits_BKP.exp().sum(1)).log() - logits_BKP.gather(
            1, targets_BP.unsqueeze(1)
        ).squeeze(1)
        return mean_of_known(losses_BP, known_BP)


class NothingValidDivided(Right):
    breaks = "nothing_valid"

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        losses_BP = F.cross_entropy(logits_BKP, targets_BP, reduction="none")
        return torch.where(known_BP, losses_BP, 0).sum() / known_BP.sum()


class NothingValidCut(Right):
    breaks = "nothing_valid"

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        value = super().of_pixels(logits_BKP, targets_BP, known_BP)
        return value if known_BP.any() else torch.zeros(())


class RenamingNoticed(Right):
    breaks = "renaming"

    def of_pixels(self, logits_BKP, *labels):
        return super().of_pixels(logits_BKP + torch.arange(self.num_classes).unsqueeze(1), *labels)


class CompileDependsOnValues(Right):
    breaks = "compile"

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        if not known_BP.any():
            return 0 * logits_BKP.sum()
        return super().of_pixels(logits_BKP, targets_BP, known_BP)


class TrainingPoisoned(Right):
    breaks = "training"

    def __init__(self, num_classes, ignore_index):
        super().__init__(num_classes, ignore_index=ignore_index)
        self.register_buffer("level", torch.zeros(()))

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        if self.training:
            self.level += targets_BP[known_BP].float().mean()
        return super().of_pixels(logits_BKP, targets_BP, known_BP) + 0 * self.level


class TrainingDrawnTwice(Right):
    breaks = "training"

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        noise = torch.rand((), generator=self.generator) if self.training else 0
        return super().of_pixels(logits_BKP * (1 + noise), targets_BP, known_BP)

    generator = torch.Generator()  # shared: its state is nobody's


class StateDictIncomplete(Right):
    breaks = "state_dict"

    def __init__(self, num_classes, ignore_index):
        super().__init__(num_classes, ignore_index=ignore_index)
        self.scale = 1 + torch.rand(())

    def of_pixels(self, logits_BKP, *labels):
        return super().of_pixels(self.scale * logits_BKP, *labels)


class StateDictCopied(Right):
    breaks = "state_dict"

    def __init__(self, num_classes, ignore_index):
        super().__init__(num_classes, ignore_index=ignore_index)
        self.register_buffer("power", torch.randint(1, 100, ()))
        self.power_once = self.power.item()  # what is loaded does not reach it

    def of_pixels(self, *pixels):
        return super().of_pixels(*pixels) ** self.power_once


class ModuleDtypeMixed(Right):
    breaks = "module_dtype"

    def __init__(self, num_classes, ignore_index):
        super().__init__(num_classes, ignore_index=ignore_index)
        self.register_buffer("same_KK", torch.eye(num_classes))

    def of_pixels(self, logits_BKP, *labels):
        return super().of_pixels(torch.einsum("bkp,kj->bjp", logits_BKP, self.same_KK), *labels)


class LabelsOutOfRangeForgiven(Right):
    breaks = "labels_out_of_range"

    def forward(self, logits, labels, **options):
        known = (labels >= 0) & (labels < self.num_classes)
        return super().forward(logits, torch.where(known, labels, self.ignore_index), **options)


class WrongInputsForgiven(Right):
    breaks = "wrong_inputs"

    def forward(self, logits, labels, **options):
        return super().forward(logits, labels.long(), **options)


class VoxelsCountedOnce(Right):
    breaks = "voxels"

    def forward(self, logits, labels, *, inverse=None):
        value = super().forward(logits, labels, inverse=inverse)
        return value if inverse is None else value * len(logits) / len(labels)


class InverseForgiven(Right):
    breaks = "inverse"

    def forward(self, logits, labels, *, inverse=None):
        inverse = inverse if inverse is None else inverse.clamp(min=0)
        return super().forward(logits, labels, inverse=inverse)


class RightAndCounting(PixelLoss):
    """Its state is a whole number and a mask, beside what it learns."""

    def __init__(self, num_classes, ignore_index):
        super().__init__(num_classes, ignore_index=ignore_index)
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.register_buffer("seen_K", torch.zeros(num_classes, dtype=torch.bool))
        self.bias_K = nn.Parameter(torch.zeros(num_classes))

    def of_pixels(self, logits_BKP, targets_BP, known_BP):
        if self.training:
            self.num_batches_tracked += 1
            self.seen_K |= torch.zeros_like(self.seen_K).index_put((targets_BP,), known_BP, True)
        logits_BKP = logits_BKP + self.bias_K.to(logits_BKP.dtype).unsqueeze(1)
        return mean_of_known(F.cross_entropy(logits_BKP, targets_BP, reduction="none"), known_BP)


def case_of(loss):
    return LossCase(
        loss.__name__,
        lambda ignore: loss(NUM_CLASSES, ignore_index=ignore),
        lambda _, *batch: cross_entropy(*batch),
    )


@pytest.mark.parametrize("loss", Right.__subclasses__(), ids=lambda loss: loss.__name__)
def test_a_broken_loss_is_caught_by_its_check(loss):
    verdicts = []
    for check in LOSS_CHECKS:
        if check.name == loss.breaks:
            try:
                check(case_of(loss))
            except AssertionError as error:
                verdicts.append(str(error))
    assert verdicts
    assert all(verdict.startswith(f"{loss.__name__}, {loss.breaks}") for verdict in verdicts)


def test_every_check_has_a_loss_that_it_catches():
    assert {loss.breaks for loss in Right.__subclasses__()} == {check.name for check in LOSS_CHECKS}


@pytest.mark.parametrize("loss", [Right, RightAndCounting])
def test_a_correct_loss_passes_every_check(loss):
    check_loss(case_of(loss))


def test_the_cross_entropy_of_torch_does_not_pass():
    case = LossCase("torch", lambda ignore: nn.CrossEntropyLoss(ignore_index=ignore))
    with pytest.raises(AssertionError, match="torch, gradients-larger labels: The gradient"):
        check_loss(case)


class BareAssert(nn.Module):
    """Outside of what the judge goes through: it breaks no rule of its own."""

    def forward(self, logits, labels):
        raise AssertionError  # what an assert without a message raises


def test_a_failing_assert_in_a_loss_is_reported_with_its_line():
    case = LossCase("asserting", lambda ignore: BareAssert())
    with pytest.raises(AssertionError, match=r"asserting, .*\nan assert failed") as caught:
        LOSS_CHECKS[2](case)
    assert caught.value.__cause__.__traceback__ is not None


def test_checks_that_do_not_apply_are_skipped_with_a_reason():
    reference, gradients = LOSS_CHECKS[0], LOSS_CHECKS[2]
    case = replace(case_of(Right), reference=None, spared={"gradients": "it has none"})
    with pytest.raises(SkipTest, match="no reference is given"):
        reference(case)
    with pytest.raises(SkipTest, match="it has none"):
        gradients(case)
