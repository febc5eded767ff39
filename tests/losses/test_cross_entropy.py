"""Tests specific to cross entropy; tests/contract holds the common checks."""

import math

import pytest
import torch
from torch.nn import functional as F

from equiseg.losses import CrossEntropyLoss
from golden import LABELS, LOGITS, points
from maps import LargestTensor


def test_golden_value():
    expected = (math.log(2) + math.log(4) + math.log(4 / 3)) / 3
    assert CrossEntropyLoss(3)(LOGITS, LABELS).item() == pytest.approx(expected)
    assert expected == pytest.approx(0.789, abs=5e-5)


def test_it_equals_the_loss_of_torch():
    logits, labels = points(5)
    expected = F.cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(CrossEntropyLoss(5)(logits, labels), expected)


def test_the_logits_of_points_are_never_formed():
    voxels = torch.randn(6, 150, requires_grad=True)
    labels = torch.arange(4000) % 150
    with LargestTensor() as largest:
        CrossEntropyLoss(150)(voxels, labels, inverse=torch.arange(4000) % 6).backward()
    assert largest.numel == 4000


def test_logits_with_other_channels_are_refused():
    with pytest.raises(ValueError, match="num_classes=5 channels, got 4"):
        CrossEntropyLoss(5)(*points(4))
