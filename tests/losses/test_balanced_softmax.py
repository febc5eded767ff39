import math

import pytest
import torch

from equiseg.imbalance import class_prior
from equiseg.losses import BalancedSoftmaxLoss, LogitAdjustedLoss
from golden import LABELS, LOGITS, points


def test_golden_value():
    expected = (math.log(11 / 8) + math.log(9) + math.log(2)) / 3
    assert BalancedSoftmaxLoss(3, prior=(4, 2, 1))(LOGITS, LABELS).item() == pytest.approx(expected)


def test_is_logit_adjustment_by_the_pixel_prior():
    counts = [4000, 300, 20, 5, 1]
    adjusted = LogitAdjustedLoss(5, prior=class_prior(counts), tau=1)
    torch.testing.assert_close(
        BalancedSoftmaxLoss(5, prior=counts)(*points(5)), adjusted(*points(5))
    )
