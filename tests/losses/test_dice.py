"""Tests specific to the Dice loss; tests/contract holds the common checks."""

import pytest
import torch
from torch.nn import functional as F

from equiseg.losses.dice import DiceLoss
from equiseg.losses.tversky import TverskyLoss
from golden import LABELS, LOGITS


def test_for_a_hard_prediction_it_is_one_minus_the_mean_f1_score():
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 255])
    predicted = torch.tensor([0, 0, 1, 1, 3, 2, 3])
    f1 = torch.tensor([4 / 5, 2 / 4, 2 / 2])  # of class 3, absent, none
    value = DiceLoss(4)(1000.0 * F.one_hot(predicted, 4), labels)
    torch.testing.assert_close(value, 1 - f1.mean())


def test_it_is_the_tversky_loss_with_equal_weights():
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 3
    torch.testing.assert_close(
        DiceLoss(4)(logits, labels), TverskyLoss(4, alpha=0.5, beta=0.5)(logits, labels)
    )


def test_images_are_one_region():
    """A class that fills one image of a batch is present in it, whatever the others hold."""
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1]).view(2, 1, 1).expand(2, 4, 4)
    side_by_side = DiceLoss(3)(torch.cat([*logits.split(1)], 3), torch.cat([*labels.split(1)], 2))
    torch.testing.assert_close(DiceLoss(3)(logits, labels), side_by_side)


def test_golden_value():
    by_hand = ((1 - 1 / 1.875) + (1 - 2 / 3.25)) / 2
    assert DiceLoss(3)(LOGITS, LABELS).item() == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.4256, abs=5e-5)
