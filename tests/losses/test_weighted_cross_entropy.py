import math

import pytest
import torch
from torch.nn import functional as F

from equiseg.losses import WeightedCrossEntropyLoss
from golden import LABELS, LOGITS, points


def test_golden_value():
    expected = (1 * math.log(2) + 2 * math.log(4) + 2 * math.log(4 / 3)) / (1 + 2 + 2)
    assert WeightedCrossEntropyLoss(3, class_weight=(1, 1, 2))(
        LOGITS, LABELS
    ).item() == pytest.approx(expected)


def test_is_torchs_weighted_mean():
    weight = torch.tensor([0.1, 0.7, 2.0, 3.0, 5.0])
    logits, labels = points(5)
    expected = F.cross_entropy(logits, labels, weight, ignore_index=255)
    torch.testing.assert_close(
        WeightedCrossEntropyLoss(5, class_weight=weight)(logits, labels), expected
    )
    torch.testing.assert_close(
        WeightedCrossEntropyLoss(5, class_weight=9 * weight)(logits, labels), expected
    )


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ((1, 1), r"weight must hold one number per class, shape \(3,\), got \(2,\)"),
        ((1, 0, 1), r"weight must be positive and finite, got 0\.0 for class 1"),
        ((1, 1, math.inf), "weight must be positive and finite, got inf for class 2"),
    ],
)
def test_weights_that_cannot_work_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        WeightedCrossEntropyLoss(3, class_weight=weight)
