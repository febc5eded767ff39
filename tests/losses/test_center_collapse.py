"""Tests specific to the center collapse loss; tests/contract holds the common checks."""

import math
from unittest.mock import Mock

import pytest
import torch
from torch.nn import functional as F

from equiseg.centers.label_sides import label_side
from equiseg.losses import CenterCollapseLoss, center_collapse, center_loss
from equiseg.losses.fixed_buffers import fixed_buffers_of
from equiseg.testing.loss_case import state_of
from maps import SIZES, LargestTensor, NoWait, accelerator, every_kind_and_preparation
from reference.slow_center_collapse import center_collapse as slow_center_collapse

K, C = 5, 7
PRIOR = (0.9, 0.5, 0.2, 0.1, 0.05)


def maps(seed=0, *, feature_size=(3, 4), label_size=(7, 10)):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, C, *feature_size, generator=generator)
    labels = torch.randint(0, K, (2, *label_size), generator=generator)
    return features, torch.where(labels == K - 1, 255, labels)


def value_and_gradients(call, loss, features, labels, **side):
    """The loss, and its gradient in the features and in what the loss learns."""
    features = features.detach().requires_grad_()
    value = call(features, labels, **side)
    return value.detach(), torch.autograd.grad(value, [features, *loss.parameters()])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight": 0.2, "scale": 20.0},
        {"projection": "frozen"},
        {"projection": ("learnable", 9), "prior": PRIOR},
    ],
    ids=str,
)
def test_equals_the_slow_derivation(options):
    loss = CenterCollapseLoss(K, C, **options)
    features, labels = maps()
    shared = {name: options[name] for name in ("prior", "weight", "scale") if name in options}
    expected = slow_center_collapse(state_of(loss), features, labels, **shared)
    assert loss(features, labels).item() == pytest.approx(expected, rel=1e-5)


def test_only_a_learnable_projection_has_parameters():
    assert not list(CenterCollapseLoss(K, C, projection="frozen").parameters())
    loss = CenterCollapseLoss(K, C, projection="learnable")
    assert {name for name, _ in loss.named_parameters()} == {"projection.weight", "projection.bias"}
    loss(*maps()).backward()
    assert all(parameter.grad.any() for parameter in loss.parameters())


@pytest.mark.parametrize(("num_classes", "floor"), [(19, 0.088), (150, 0.678), (171, 0.748)])
def test_centers_on_their_vertices_reach_the_floor(num_classes, floor):
    loss = CenterCollapseLoss(num_classes, num_classes, weight=1.0)
    value = loss(3 * loss.frame_KD, torch.arange(num_classes)).item()
    exact = math.log(1 + (num_classes - 1) * math.exp(-5 * num_classes / (num_classes - 1)))
    assert value == pytest.approx(exact, rel=1e-5)
    assert value == pytest.approx(floor, abs=5e-4)


def test_a_rare_class_pulls_as_hard_as_a_frequent_one():
    loss = CenterCollapseLoss(2, 2)
    labels = torch.tensor([0] * 99 + [1])
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])[labels].requires_grad_()
    loss(features, labels).backward()
    alone = torch.eye(2).requires_grad_()
    loss(alone, torch.tensor([0, 1])).backward()
    torch.testing.assert_close(features.grad[:99].sum(0), alone.grad[0])
    torch.testing.assert_close(features.grad[99], alone.grad[1])


def test_descent_brings_the_centers_to_their_vertices():
    loss = CenterCollapseLoss(K, C)
    labels = torch.arange(3 * K) % K
    features = torch.randn(3 * K, C, generator=torch.Generator().manual_seed(0)).requires_grad_()
    optimizer = torch.optim.LBFGS([features], max_iter=200)

    def closure():
        optimizer.zero_grad()
        value = loss(features, labels)
        value.backward()
        return value

    optimizer.step(closure)
    centers = features.view(3, K, C).mean(0)
    assert (F.cosine_similarity(centers, loss.frame_KD) > 0.999).all()


def test_classes_below_min_count_are_absent():
    features = torch.randn(6, C, generator=torch.Generator().manual_seed(0))
    loss = CenterCollapseLoss(K, C, min_count=2)
    value = loss(features, torch.tensor([0, 0, 1, 1, 1, 2]))
    torch.testing.assert_close(value, loss(features, torch.tensor([0, 0, 1, 1, 1, 255])))
    assert loss(features[:2], torch.tensor([0, 1])).item() == 0


@pytest.mark.parametrize("kind", [None, "frozen", "learnable", "published"])
def test_construction_is_seeded_and_leaves_the_global_generator_alone(kind):
    def build(**seed):
        if kind == "published":
            return state_of(CenterCollapseLoss.published(K, C, prior=PRIOR, weight=0.4))
        return state_of(CenterCollapseLoss(K, C, projection=kind, **seed))

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    torch.testing.assert_close(build(), first, atol=0, rtol=0)
    if kind != "published":
        other = build(seed=1)
        assert all((other[name] != first[name]).any() for name in first)


@pytest.mark.parametrize(
    ("num_classes", "options", "dim"),
    [
        (K, {}, C),
        (30, {"projection": "frozen"}, 29),
        (K, {"projection": "learnable"}, C),
        (K, {"projection": ("frozen", 20)}, 20),
        (20, {}, C),  # more classes than a simplex in C dimensions holds: a softmax code
        (2, {"projection": ("frozen", 1)}, 1),
    ],
)
def test_the_dimension_of_the_frame(num_classes, options, dim):
    loss = CenterCollapseLoss(num_classes, C, **options)
    assert loss.frame_KD.shape == (num_classes, dim)
    torch.testing.assert_close(loss.frame_KD.norm(dim=1), torch.ones(num_classes))
    features, labels = maps()
    assert loss(features, labels % 2).isfinite()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "num_classes must be at least 2, got 1"),
        ({"in_features": 0}, "in_features must be a whole number >= 1, got 0"),
        ({"min_count": 0}, "min_count must be a whole number >= 1, got 0"),
        ({"weight": -0.4}, r"weight must be a finite number >= 0, got -0\.4"),
        ({"scale": math.inf}, "scale must be a finite number >= 0, got inf"),
        (
            {"projection": "mlp"},
            "projection must be None, 'frozen', 'learnable' or a pair .* got 'mlp'",
        ),
        ({"projection": ("frozen", 1)}, "dim must be a whole number >= 2, got 1"),
        ({"projection": ("frozen", 1, 2)}, r"projection must be None, .* got \('frozen', 1, 2\)"),
        ({"in_features": 1}, "in_features, without a projection, must be a whole number >= 2"),
        ({"ignore_index": 0}, r"ignore_index must lie outside the classes 0\.\.4, got 0"),
        ({"prior": PRIOR[:4]}, r"prior must hold one number per class, shape \(5,\), got \(4,\)"),
        ({"prior": (1, 1, 0, 1, 1)}, r"prior must be positive and finite, got 0\.0 for class 2"),
        ({"prior": (1, 1, 1, 1, math.nan)}, "prior must .* got nan for class 4"),
    ],
    ids=str,
)
def test_arguments_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CenterCollapseLoss(**{"num_classes": K, "in_features": C, **options})


def test_features_with_other_channels_are_refused():
    loss = CenterCollapseLoss(K, C + 1)
    with pytest.raises(ValueError, match=r"in_features=8 channels, got 7 in .* in_features=7"):
        loss(*maps())


def test_the_state_of_an_older_checkpoint_replaces_the_one_of_the_arguments():
    saved = CenterCollapseLoss(K, C, projection="frozen", prior=PRIOR)
    other = CenterCollapseLoss(K, C, projection="frozen", prior=PRIOR[::-1], seed=1)
    assert saved.state_dict() == {} and other(*maps()) != saved(*maps())
    older = fixed_buffers_of(saved)
    assert sorted(older) == ["frame_KD", "log_prior_K", "projection.bias", "projection.weight"]
    other.load_state_dict(older)
    with pytest.raises(RuntimeError, match=r"frame_KD has shape \(5, 7\) .* and \(6, 7\) here"):
        CenterCollapseLoss(K + 1, C).load_state_dict({"frame_KD": older["frame_KD"]})
    torch.testing.assert_close(other(*maps()), saved(*maps()), atol=0, rtol=0)


@pytest.mark.parametrize("sizes", [SIZES["2d other ratio"], SIZES["2d equal"]])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_prepared_label_side_changes_nothing(sizes, compiled):
    torch.compiler.reset()
    loss = CenterCollapseLoss(K, C, projection=("learnable", 9))
    features, labels = maps(feature_size=sizes[0], label_size=sizes[1])
    side = label_side(labels, K, sizes[0])
    call = torch.compile(loss, fullgraph=True, backend="aot_eager") if compiled else loss
    actual = value_and_gradients(call, loss, features, labels, label_side=side)
    torch.testing.assert_close(actual, value_and_gradients(loss, loss, features, labels))


@pytest.mark.parametrize("compiled", [False, True])
def test_blocks_of_logits_change_nothing(compiled, monkeypatch):
    torch.compiler.reset()
    loss = CenterCollapseLoss(K, C, projection=("learnable", 9), prior=PRIOR)
    features, labels = maps()
    whole = value_and_gradients(loss, loss, features, labels)
    monkeypatch.setattr(center_loss, "_MOST_LOGITS", 2 * K)
    if compiled:
        call = torch.compile(loss, fullgraph=True, backend="aot_eager")
        in_blocks = value_and_gradients(call, loss, features, labels)
    else:
        checkpoint = Mock(wraps=center_loss.checkpoint)
        monkeypatch.setattr(center_loss, "checkpoint", checkpoint)
        in_blocks = value_and_gradients(loss, loss, features, labels)
        assert checkpoint.call_count == 2  # four classes are present
    torch.testing.assert_close(in_blocks, whole)


@every_kind_and_preparation
def test_it_never_waits_for_an_accelerator(sizes, prepared):
    loss = CenterCollapseLoss(K, C, projection=("learnable", 9), prior=PRIOR)
    features, labels = maps(feature_size=sizes[0], label_size=sizes[1])
    side = {"label_side": label_side(labels, K, sizes[0])} if prepared else {}
    expected = value_and_gradients(loss, loss, features, labels, **side)
    with accelerator():
        actual = value_and_gradients(loss, loss, features, labels, **side)
    torch.testing.assert_close(actual, expected)
    # What is looked up on the CPU, even with a side at hand: which classes are present.
    with NoWait(), pytest.raises(AssertionError, match="would wait for the device"):
        loss(features, labels, **side)


def test_of_many_classes_only_the_present_ones_are_scored(monkeypatch):
    many, dim, present = 2000, 32, 12
    # Spreading so many vectors takes minutes, and is not what is looked at here.
    rows = F.normalize(torch.randn(many, dim, generator=torch.Generator().manual_seed(0)))
    monkeypatch.setattr(center_collapse, "frame", lambda *_, generator: rows)
    loss = CenterCollapseLoss(many, dim, ignore_index=-1)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, dim, 4, 4, generator=generator, requires_grad=True)
    labels = 150 * torch.randint(0, present, (2, 16, 16), generator=generator)
    with LargestTensor() as largest:
        value = loss(features, labels)
        value.backward()
    assert largest.numel == many * dim > present * many
    expected = slow_center_collapse(state_of(loss), features, labels)
    assert value.item() == pytest.approx(expected, rel=1e-5)
