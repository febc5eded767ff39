"""Tests specific to the published branch; tests/contract holds the common checks."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from equiseg.losses import CenterCollapseLoss, PublishedCenterCollapseLoss
from equiseg.testing.loss_case import state_of
from reference.slow_center_collapse import published

K, C = 5, 7
PRIOR = (0.9, 0.5, 0.2, 0.1, 0.05)


def maps(seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, C, 3, 4, generator=generator)
    labels = torch.randint(0, K, (2, 7, 10), generator=generator)
    return features, torch.where(labels == K - 1, 255, labels)


def test_the_constructor_of_the_headline_loss_builds_it():
    loss = CenterCollapseLoss.published(K, C, prior=PRIOR, weight=0.8, ignore_index=9)
    assert type(loss) is PublishedCenterCollapseLoss
    assert isinstance(loss, CenterCollapseLoss)
    assert loss.ignore_index == 9
    direct = PublishedCenterCollapseLoss(K, C, prior=PRIOR, weight=0.8)
    torch.testing.assert_close(state_of(loss), state_of(direct), atol=0, rtol=0)


def test_the_statistics_are_saved_and_older_checkpoints_are_read():
    loss = PublishedCenterCollapseLoss(K, C, prior=PRIOR, weight=0.8)
    assert sorted(loss.state_dict()) == ["reduction.running_mean", "reduction.running_var"]
    assert sorted(state_of(loss)) == [
        "frame_KD",
        "log_prior_K",
        "projection.bias",
        "projection.weight",
        "reduction.running_mean",
        "reduction.running_var",
        "reduction.weight",
    ]
    other = PublishedCenterCollapseLoss(K, C, prior=PRIOR[::-1], weight=0.8, seed=1)
    other.load_state_dict(state_of(loss))
    torch.testing.assert_close(state_of(other), state_of(loss), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduce": 0}, "reduce must be a whole number >= 1, got 0"),
        ({"dim": 1}, "dim must be a whole number >= 2, got 1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1\.0"),
        ({"weight": -1}, "weight must be a finite number >= 0, got -1"),
    ],
    ids=str,
)
def test_arguments_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PublishedCenterCollapseLoss(K, C, **{"prior": PRIOR, "weight": 0.8} | options)


def test_the_published_branch_in_training_with_its_dropout():
    loss = PublishedCenterCollapseLoss(K, C, prior=PRIOR, weight=0.8)
    features, labels = maps()
    torch.manual_seed(0)
    kept = F.dropout(torch.ones(K, 512), 0.1)  # the mask the loss draws from the same seed
    torch.manual_seed(0)
    value = loss(features, labels).item()
    expected = published(
        state_of(loss),
        features,
        labels,
        prior=PRIOR,
        weight=0.8,
        training=True,
        kept=kept.double().numpy(),
    )
    assert value == pytest.approx(expected, rel=1e-5)


def test_the_published_branch_in_evaluation_after_training_steps():
    loss = PublishedCenterCollapseLoss(K, C, prior=PRIOR, weight=0.8)
    for seed in (1, 2, 3):
        loss(*maps(seed))
    features, labels = maps()
    before = {name: tensor.clone() for name, tensor in state_of(loss).items()}
    value = loss.eval()(features, labels).item()
    expected = published(before, features, labels, prior=PRIOR, weight=0.8, training=False)
    assert value == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(state_of(loss), before, atol=0, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_published_running_statistics_are_those_of_batch_norm(dtype):
    loss = PublishedCenterCollapseLoss(K, C, prior=PRIOR, weight=0.8)
    norm = nn.BatchNorm2d(128)
    for seed in (1, 2, 3):
        features, labels = maps(seed)
        loss(features.to(dtype), labels)
        norm(torch.einsum("dc,bchw->bdhw", loss.reduction.weight, features))
    torch.testing.assert_close(loss.reduction.running_mean, norm.running_mean)
    torch.testing.assert_close(loss.reduction.running_var, norm.running_var)


@pytest.mark.parametrize("points", [0, 1])
def test_published_statistics_survive_a_batch_too_small_for_them(points):
    loss = PublishedCenterCollapseLoss(K, C, prior=PRIOR, weight=0.8)
    value = loss(torch.ones(points, C), torch.zeros(points, dtype=torch.int64))
    assert value.isfinite()
    assert not loss.reduction.running_mean.any()
    assert (loss.reduction.running_var == 1).all()


def test_the_published_branch_compiles_in_training():
    torch.compiler.reset()
    eager, traced = (PublishedCenterCollapseLoss(K, C, prior=PRIOR, weight=0.8) for _ in range(2))
    eager.dropout.p = traced.dropout.p = 0.0  # the mask would differ
    features, labels = maps()
    value = torch.compile(traced, fullgraph=True, backend="aot_eager")(features, labels)
    torch.testing.assert_close(value, eager(features, labels))
    torch.testing.assert_close(traced.state_dict(), eager.state_dict())


def test_the_published_branch_learns_nothing():
    assert not list(PublishedCenterCollapseLoss(K, C, prior=PRIOR, weight=0.8).parameters())
