"""What all losses over class centers share; tests/contract judges those there are."""

import pytest
import torch
from torch.nn import functional as F

from equiseg.losses.center_loss import CenterLoss
from equiseg.testing import IN_FEATURES, NUM_CLASSES, LossCase, check_loss

K, C = 5, 7
PRIOR = (0.9, 0.5, 0.2, 0.1, 0.05)


class Reaching(CenterLoss):
    """A loss of one's own: each center is to reach a row."""

    def __init__(self, num_classes, in_features, **options):
        super().__init__(num_classes, in_features, **options)
        self.register_buffer("rows_KD", torch.eye(num_classes, in_features))

    def of_centers(self, centers_KD, targets_K):
        return (centers_KD - self.rows_KD.to(centers_KD.dtype)[targets_K]).square().sum(1)


def test_the_mean_over_present_classes_times_the_weight():
    features = torch.randn(6, C, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 0, 0, 2, 2, 4])  # class 4 has one point, fewer than asked for
    value = Reaching(K, C, weight=3.0, min_count=2)(features, labels)
    first = (features[:3].mean(0) - torch.eye(C)[0]).square().sum()
    second = (features[3:5].mean(0) - torch.eye(C)[2]).square().sum()
    torch.testing.assert_close(value, 3 * (first + second) / 2)


def test_a_loss_of_a_few_lines_keeps_the_contract():
    check_loss(LossCase("reaching", lambda i: Reaching(NUM_CLASSES, IN_FEATURES, ignore_index=i)))


def test_cross_entropies_know_the_prior_and_smooth():
    loss = CenterLoss(K, C, prior=PRIOR)
    logits = torch.randn(3, K, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 2, 4])
    log_shares = (logits + torch.tensor(PRIOR).log()).log_softmax(1)
    own = log_shares[torch.arange(3), targets]
    torch.testing.assert_close(loss.cross_entropies(logits, targets), -own)
    torch.testing.assert_close(
        loss.cross_entropies(logits, targets, smoothing=0.3),
        -0.7 * own - 0.3 * log_shares.mean(1),
    )
    torch.testing.assert_close(
        CenterLoss(K, C).cross_entropies(logits, targets),
        F.cross_entropy(logits, targets, reduction="none"),
    )


def test_repr_shows_the_arguments():
    assert "num_classes=5, in_features=7, weight=3.0" in repr(Reaching(K, C, weight=3.0))


def test_a_subclass_must_implement_of_centers():
    with pytest.raises(NotImplementedError):
        CenterLoss(K, C)(torch.ones(2, C), torch.tensor([0, 1]))
