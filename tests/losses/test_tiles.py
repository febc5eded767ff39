"""Losses tile by tile are those of whole maps: values, gradients, second derivatives, layouts."""

import pytest
import torch
from torch.nn import functional as F

from equiseg.losses import tiles as module
from equiseg.losses.class_errors import class_errors
from equiseg.losses.shifted_cross_entropy import shifted_cross_entropy
from equiseg.losses.tiles import tiles

B, K, P = 3, 5, 23


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Four pixels a tile: six tiles an image, the last one smaller."""
    monkeypatch.setattr(module, "_TILE_VALUES", 4 * K)


def batch(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(B, K, P, generator=generator, dtype=dtype)
    targets = torch.randint(0, K, (B, P), generator=generator)
    return logits.requires_grad_(), targets, torch.rand(B, P, generator=generator) < 0.8


def shift(logits, targets):
    """A number for each class, and a class that is left out unless it is the target."""
    left_out = torch.arange(K).unsqueeze(1) == (targets.unsqueeze(-2) + 1) % K
    return (logits + torch.arange(K).unsqueeze(1)).masked_fill(left_out, -torch.inf)


def cross_entropy(logits, targets, known):
    return shifted_cross_entropy(logits, targets, shift) * known


def overlap(logits, targets, known):
    """Of every class, not linear in either sum."""
    missed_K, false_K = class_errors(logits, targets, known)
    return missed_K / (1 + missed_K + false_K)


def whole(function, logits, targets, known, monkeypatch):
    """The value by the route of accelerators and compiled code."""
    with monkeypatch.context() as patched:
        for name in ("shifted_cross_entropy", "class_errors"):
            patched.setattr(f"equiseg.losses.{name}.is_checkable", lambda _: False)
        return function(logits, targets, known)


def test_tiles_cover_every_pixel_once():
    seen = torch.zeros(B, K, P)
    for image, at in tiles(seen):
        assert seen[image, :, at].numel() <= 4 * K
        seen[image, :, at] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("shape", [(0, K, P), (B, K, 0)])
@pytest.mark.parametrize("function", [cross_entropy, overlap])
def test_no_pixels(function, shape):
    logits = torch.zeros(shape, requires_grad=True)
    labels = torch.zeros(shape[0], shape[2], dtype=torch.int64)
    function(logits, labels, labels > 0).sum().backward()
    assert logits.grad.shape == shape


@pytest.mark.parametrize("layout", ["maps", "points"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("function", [cross_entropy, overlap])
def test_tiles_give_what_whole_maps_give(function, dtype, layout, monkeypatch):
    logits, targets, known = batch(dtype)
    if layout == "points":  # classes next to each other in memory
        logits = logits.detach().transpose(1, 2).contiguous().requires_grad_()
    given = logits.transpose(1, 2) if layout == "points" else logits
    actual = function(given, targets, known)
    expected = whole(function, given, targets, known, monkeypatch)
    torch.testing.assert_close(actual, expected)
    factors = torch.arange(1, actual.numel() + 1, dtype=dtype).view_as(actual)
    (gradient,) = torch.autograd.grad((actual * factors).sum(), logits)
    (wanted,) = torch.autograd.grad((expected * factors).sum(), logits)
    torch.testing.assert_close(gradient, wanted)
    assert gradient.stride() == logits.stride()


@pytest.mark.parametrize("function", [cross_entropy, overlap])
def test_first_and_second_derivatives_are_those_of_finite_differences(function):
    logits, targets, known = batch()
    logits = logits.detach()[:2, :, :6].clone().requires_grad_()

    def value(logits):
        return function(logits, targets[:2, :6], known[:2, :6])

    assert torch.autograd.gradcheck(value, logits)
    assert torch.autograd.gradgradcheck(value, logits)


@pytest.mark.parametrize("function", [cross_entropy, overlap])
def test_a_graph_may_be_read_twice(function):
    logits, targets, known = batch()
    value = function(logits, targets, known).sum()
    first, second = (torch.autograd.grad(value, logits, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_without_a_shift_it_is_cross_entropy():
    logits, targets, _ = batch(torch.float32)
    actual = shifted_cross_entropy(logits, targets, lambda logits, _: logits)
    torch.testing.assert_close(actual, F.cross_entropy(logits, targets, reduction="none"))


def test_chances_that_round_to_zero_have_a_finite_loss():
    logits = torch.tensor([[[0.0], [500.0], [-torch.inf]]])
    losses = shifted_cross_entropy(logits, torch.zeros(1, 1, dtype=torch.int64), lambda x, _: x)
    assert losses.item() == 500


@pytest.mark.parametrize("function", [cross_entropy, overlap])
def test_forward_and_backward_make_one_map_of_all_classes_each(function):
    """Losses of logits wait for memory: a softmax and a gradient are all they may write."""
    made = []

    class Made(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            new = isinstance(result, torch.Tensor) and result._base is None
            if new and result.numel() >= B * K * P and func.overloadpacket.__name__ != "detach":
                made.append(func.overloadpacket.__name__)
            return result

    logits, targets, known = batch()
    with Made():
        function(logits, targets, known).sum().backward()
    assert made == ["empty_like", "empty_like"]
