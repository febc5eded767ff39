import math

import pytest
import torch

from equiseg.losses import CrossEntropyLoss, LogitAdjustedLoss, adjusted_logits
from golden import LABELS, LOGITS, points

PRIOR = (0.5, 0.3, 0.1, 0.06, 0.04)


def test_golden_value():
    # (4, 2, 1) times the probabilities gives the true classes 8/11, 1/9 and 1/2.
    expected = (math.log(11 / 8) + math.log(9) + math.log(2)) / 3
    assert LogitAdjustedLoss(3, prior=(4, 2, 1))(LOGITS, LABELS).item() == pytest.approx(expected)


def test_counts_and_shares_give_the_same_loss():
    counts = torch.tensor([4e9, 1e7, 3e5, 10, 1])
    by_share = LogitAdjustedLoss(5, prior=counts / counts.sum())(*points(5))
    torch.testing.assert_close(LogitAdjustedLoss(5, prior=counts)(*points(5)), by_share)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_the_post_hoc_adjustment_undoes_the_loss(tau):
    logits, labels = points(5)
    adjusted = adjusted_logits(logits, prior=PRIOR, tau=tau)
    loss = LogitAdjustedLoss(5, prior=PRIOR, tau=tau)
    torch.testing.assert_close(loss(adjusted, labels), CrossEntropyLoss(5)(logits, labels))


def test_the_post_hoc_adjustment_turns_posteriors_into_likelihoods():
    likelihoods_PK = torch.tensor([[0.2, 0.3], [0.6, 0.5]])  # of two observations, in each class
    posteriors_PK = likelihoods_PK * torch.tensor([0.9, 0.1])
    assert posteriors_PK.argmax(1).tolist() == [0, 0]
    assert adjusted_logits(posteriors_PK.log(), prior=(0.9, 0.1)).argmax(1).tolist() == [1, 0]


def test_the_post_hoc_adjustment_of_maps_in_half_precision():
    maps = torch.randn(2, 5, 3, 4)
    adjusted = adjusted_logits(maps, prior=PRIOR)
    points_PK = maps.movedim(1, -1).reshape(-1, 5)
    torch.testing.assert_close(
        adjusted.movedim(1, -1).reshape(-1, 5), adjusted_logits(points_PK, prior=PRIOR)
    )
    half = adjusted_logits(maps.half(), prior=PRIOR)
    torch.testing.assert_close(half, adjusted.half(), atol=5e-3, rtol=2e-3)


@pytest.mark.parametrize(
    ("prior", "tau", "message"),
    [
        (PRIOR, -1, "tau must be a finite number >= 0, got -1"),
        (PRIOR[:4], 1, r"prior must hold one number per class, shape \(5,\), got \(4,\)"),
        ((0, 1, 1, 1, 1), 1, r"prior must be positive and finite, got 0\.0 for class 0; .*prior"),
    ],
)
def test_arguments_that_cannot_work_are_refused(prior, tau, message):
    with pytest.raises(ValueError, match=message):
        LogitAdjustedLoss(5, prior=prior, tau=tau)
    with pytest.raises(ValueError, match=message):
        adjusted_logits(points(5)[0], prior=prior, tau=tau)
