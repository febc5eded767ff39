"""Tests of the Triton kernels under Triton's interpreter; test_triton_sums.py runs them."""

import pytest
import torch

from equiseg.centers import class_centers
from equiseg.centers.triton_sums import triton_sums
from maps import SIZES, K, batch, both_conventions


def with_gradient(sums_of, features):
    features = features.detach().requires_grad_()
    sums_KD = sums_of(features)
    pull = torch.randn(sums_KD.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((sums_KD * pull).sum(), features)
    return sums_KD.detach(), gradient


def exact(features, labels, num_classes=K, align_corners=False):
    """Class sums and their gradient by the route of the CPU, in float64."""

    def sums_of(maps):
        centers = class_centers(maps, labels, num_classes, align_corners=align_corners)
        return centers.centers_KD * centers.counts_K.unsqueeze(1)

    return with_gradient(sums_of, features.double())


@both_conventions
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_the_kernels_equal_the_route_of_the_cpu(sizes, align_corners):
    features, labels = batch(*sizes)
    actual = with_gradient(
        lambda maps: triton_sums(maps, labels, K, align_corners=align_corners), features
    )
    sums_KD, gradient = exact(features, labels, align_corners=align_corners)
    torch.testing.assert_close(actual, (sums_KD.float(), gradient.float()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "channels_last"),
    [(torch.float32, False), (torch.bfloat16, True), (torch.float16, False)],
)
def test_several_programs_in_every_direction(dtype, channels_last):
    classes, generator = 70, torch.Generator().manual_seed(0)
    features = torch.randn(1, 66, 33, 32, generator=generator).to(dtype)
    if channels_last:
        features = features.to(memory_format=torch.channels_last)
    labels = torch.randint(0, classes + 1, (1, 33, 32), generator=generator)
    labels[labels == classes] = 255
    sums_KD, gradient = with_gradient(lambda maps: triton_sums(maps, labels, classes), features)
    exact_sums, exact_gradient = exact(features, labels, classes)
    assert (sums_KD.dtype, gradient.dtype) == (torch.float32, dtype)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert gradient.is_contiguous(memory_format=layout)
    torch.testing.assert_close(sums_KD, exact_sums.float(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gradient, exact_gradient.to(dtype))


def test_unlabelled_cells_may_hold_anything():
    features, labels = batch((3, 5), (3, 5))
    features[:, :, 0, 0], labels[:, 0, 0] = float("inf"), 255
    assert triton_sums(features, labels, K).isfinite().all()


def test_float64_is_refused():
    features, labels = batch((3, 5), (7, 11), dtype=torch.float64)
    with pytest.raises(TypeError, match="must be float32, bfloat16 or float16, got float64"):
        triton_sums(features, labels, K)
