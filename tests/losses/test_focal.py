import math

import pytest
import torch

from equiseg.losses import CrossEntropyLoss, FocalLoss
from golden import LABELS, LOGITS, points


def test_golden_value():
    expected = (math.log(2) / 4 + math.log(4) * 9 / 16 + math.log(4 / 3) / 16) / 3
    assert FocalLoss(3)(LOGITS, LABELS).item() == pytest.approx(expected)


def test_without_gamma_it_is_cross_entropy():
    torch.testing.assert_close(FocalLoss(5, gamma=0)(*points(5)), CrossEntropyLoss(5)(*points(5)))


def test_alpha_scales_the_loss_of_its_class():
    logits, labels = LOGITS, LABELS.clamp(min=2)  # class 2 alone
    alone = FocalLoss(3)(logits, labels)
    torch.testing.assert_close(FocalLoss(3, class_weight=(1, 1, 4))(logits, labels), 4 * alone)


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
def test_a_certain_pixel_has_a_gradient_of_zero(gamma):
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    FocalLoss(3, gamma=gamma)(logits, torch.tensor([0])).backward()
    assert not logits.grad.any()  # NaN would be any


def test_a_gamma_that_cannot_work_is_refused():
    with pytest.raises(ValueError, match="gamma must be a finite number >= 0, got -1"):
        FocalLoss(3, gamma=-1)
