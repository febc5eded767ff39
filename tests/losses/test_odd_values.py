"""Values that are not finite or very large, second derivatives: right or refused."""

import math

import pytest
import torch

from equiseg import CenterCollapseLoss
from equiseg.losses import (
    CrossEntropyLoss,
    DotRegressionLoss,
    LearnableCenterLoss,
    PrototypeContrastLoss,
)
from equiseg.losses.cosines import cosines, directions
from equiseg.models.sparse.layers import SubmanifoldConv3d
from equiseg.models.sparse.tensor import SparseTensor
from maps import accelerator

K, C = 5, 8
OF_FEATURES = (CenterCollapseLoss, LearnableCenterLoss, DotRegressionLoss, PrototypeContrastLoss)
SIZES = {"same": (4, 4), "larger": (12, 20), "points": None}


def batch(size, dtype=torch.float32, channels=C):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, channels, 4, 4, generator=generator, dtype=dtype)
    labels = torch.randint(0, K, (2, *(size or (4, 4))), generator=generator)
    labels[0, : 8 if size and size[0] > 4 else 2] = 255
    if size is None:
        return features.movedim(1, -1).flatten(0, 2), labels.flatten()
    return features, labels


def value_and_gradients(loss, features, labels):
    features = features.clone().requires_grad_()
    value = loss(features, labels)
    return value.detach(), torch.autograd.grad(value, [features, *loss.parameters()])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [*OF_FEATURES, CrossEntropyLoss])
def test_anything_may_be_where_nothing_is_labelled(kind, size, value):
    of_logits = kind is CrossEntropyLoss
    features, labels = batch(SIZES[size], channels=K if of_logits else C)
    loss = kind(K) if of_logits else kind(K, C)
    changed = features.clone()
    changed[0, ..., :1] = value  # the first row of cells, all of whose labels are ignored
    if size != "points":
        changed = features.clone()
        changed[0, :, 0] = value
    torch.manual_seed(0)
    expected = value_and_gradients(loss, features, labels)
    loss = kind(K) if of_logits else kind(K, C)
    actual = value_and_gradients(loss, changed, labels)
    torch.testing.assert_close(actual, expected)


def test_anything_may_be_at_unlabelled_cells_on_an_accelerator():
    features, labels = batch((12, 20))
    changed = features.clone()
    changed[0, :, 0] = math.nan
    loss = CenterCollapseLoss(K, C)
    expected = value_and_gradients(loss, features, labels)
    with accelerator():
        actual = value_and_gradients(loss, changed, labels)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_features_that_are_not_finite_under_a_label_are_named(value):
    features, labels = batch((4, 4))
    features[1, 2, 3, 3] = value
    with pytest.raises(ValueError, match="features hold NaN or infinite values"):
        CenterCollapseLoss(K, C)(features, labels)


@pytest.mark.parametrize("factor", [1e20, 1e30])
@pytest.mark.parametrize("kind", [CenterCollapseLoss, DotRegressionLoss])
def test_very_large_features_have_the_loss_of_their_directions(kind, factor):
    features, labels = batch((4, 4))
    loss = kind(K, C)
    value, (gradient, *_) = value_and_gradients(loss, features, labels)
    large, (small_gradient, *_) = value_and_gradients(loss, features * factor, labels)
    torch.testing.assert_close(large, value)
    torch.testing.assert_close(small_gradient * factor, gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("on_accelerator", [False, True])
def test_directions_of_very_large_vectors(on_accelerator):
    vectors = torch.tensor([[3e25, 4e25], [3.0, 4.0], [0.0, 0.0], [3e38, 0.0]])
    wanted = torch.tensor([[0.6, 0.8], [0.6, 0.8], [0.0, 0.0], [1.0, 0.0]])
    if on_accelerator:
        with accelerator():
            found = directions(vectors)
    else:
        found = directions(vectors)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(cosines(vectors, torch.tensor([[0.0, 1.0]]))[:, 0], wanted[:, 1])


@pytest.mark.parametrize("size", SIZES)
def test_second_derivatives_are_those_of_finite_differences(size):
    features, labels = batch(SIZES[size], torch.float64)
    loss = CenterCollapseLoss(K, C).double()
    assert torch.autograd.gradgradcheck(lambda x: loss(x, labels), features.requires_grad_())


def test_a_sparse_convolution_refuses_second_derivatives():
    torch.manual_seed(0)
    layer = SubmanifoldConv3d(2, 3)
    coordinates = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0]])
    features = torch.randn(2, 2, requires_grad=True)
    value = layer(SparseTensor(coordinates, features)).features.square().sum()
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(value, features, create_graph=True)


@pytest.mark.parametrize("labels_of", [lambda labels: labels, lambda labels: labels.float()])
def test_swapped_arguments_are_named(labels_of):
    logits, labels = torch.randn(2, K, 4, 4), labels_of(torch.randint(0, K, (2, 4, 4)))
    with pytest.raises(TypeError, match="logits and labels are swapped"):
        CrossEntropyLoss(K)(labels, logits)
    with pytest.raises(TypeError, match="features and labels are swapped"):
        CenterCollapseLoss(K, K)(labels.unsqueeze(1).long(), logits)
