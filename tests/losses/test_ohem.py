import math

import pytest
import torch

from equiseg.losses import CrossEntropyLoss, OhemLoss
from golden import LABELS, LOGITS, points


def test_golden_value():
    expected = (math.log(2) + math.log(4)) / 2  # of 1/2, 1/4 and 3/4, the first two are hard
    assert OhemLoss(3)(LOGITS, LABELS).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("min_kept", "kept"), [(0.01, [1 / 4]), (1 / 2, [1 / 2, 1 / 4]), (1, [1 / 2, 1 / 4, 3 / 4])]
)
def test_the_hardest_share_of_the_labelled_pixels_is_kept(min_kept, kept):
    loss = OhemLoss(3, threshold=0, min_kept=min_kept)
    expected = -sum(map(math.log, kept)) / len(kept)
    assert loss(LOGITS, LABELS).item() == pytest.approx(expected)
    many = torch.cat((LABELS, torch.full((400,), 255)))  # ignored pixels raise no share
    logits = torch.cat((LOGITS, torch.randn(400, 3)))
    assert loss(logits, many).item() == pytest.approx(expected)


def test_only_the_minimum_share_of_pixels_without_loss_is_kept():
    labels = torch.zeros(1600, dtype=torch.long)
    logits = torch.zeros(1600, 3)
    logits[10:, 0] = 200  # so sure that the loss is exactly 0
    expected = 10 * math.log(3) / 100
    assert OhemLoss(3)(logits, labels).item() == pytest.approx(expected)


def test_easy_pixels_have_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    OhemLoss(3)(logits, LABELS).backward()
    assert logits.grad.any(1).tolist() == [True, True, False, False]


def test_keeping_all_is_cross_entropy():
    expected = CrossEntropyLoss(5)(*points(5))
    torch.testing.assert_close(OhemLoss(5, min_kept=1)(*points(5)), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.1}, r"threshold must be a probability from 0 to 1, got 1\.1"),
        ({"min_kept": 0}, "min_kept must be a share above 0 and up to 1, got 0"),
        ({"min_kept": 100000}, "got 100000; divide a number of pixels by the pixels of a batch"),
    ],
    ids=str,
)
def test_arguments_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        OhemLoss(3, **options)
