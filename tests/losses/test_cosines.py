"""Lengths of maps, channel by channel in memory or not, and products without copies."""

import pytest
import torch

from equiseg.losses.cosines import cosines, directions, products

LAYOUTS = {
    "channels first": torch.contiguous_format,
    "channels last": torch.channels_last,
}


def maps(layout, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 6, 3, 5, generator=generator, dtype=dtype)
    return features.to(memory_format=LAYOUTS[layout]).requires_grad_()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_products_are_those_of_points(layout):
    features, rows = maps(layout), torch.randn(4, 6, dtype=torch.float64)
    points = features.movedim(1, -1).flatten(0, -2)
    of_points = products(points, rows).view(2, 3, 5, 4).movedim(-1, 1)
    torch.testing.assert_close(products(features, rows), of_points)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("function", [directions, lambda x: cosines(x, torch.eye(6)[:2])])
def test_derivatives_of_both_orders(function, layout):
    features = maps(layout)
    assert torch.autograd.gradcheck(function, features)
    assert torch.autograd.gradgradcheck(function, features)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_vector_without_a_direction_has_no_gradient(layout):
    features = maps(layout, torch.float32).detach()
    features[0, :, 0, 0], features[0, :, 0, 1] = 0, 1e-9
    features.requires_grad_()
    unit = directions(features)
    (gradient,) = torch.autograd.grad(unit.sum(), features)
    assert not unit[0, :, 0, :2].any()
    assert not gradient[0, :, 0, :2].any()
    assert gradient.isfinite().all()
    wanted = torch.nn.functional.normalize(features.detach(), dim=1)
    torch.testing.assert_close(unit[1], wanted[1])
