import pytest
import torch
from torch.nn import functional as F

from equiseg.centers import class_centers
from equiseg.centers.label_sides import label_side
from maps import (
    K,
    LargestTensor,
    NoWait,
    accelerator,
    batch,
    both_conventions,
    every_kind,
    every_kind_and_preparation,
    every_size,
)
from reference.slow_centers import class_means


def upsampled_means(features, labels, align_corners):
    """The route class_centers avoids: resize, one-hot mask, mean."""
    maps = F.interpolate(features, labels.shape[1:], mode="bilinear", align_corners=align_corners)
    one_hot = F.one_hot(labels.clamp(max=K), K + 1)[..., :K].to(maps.dtype)
    sums = torch.einsum("bhwk,bchw->kc", one_hot, maps)
    return sums / one_hot.sum((0, 1, 2)).clamp(min=1)[:, None]


@both_conventions
@every_size
def test_equal_to_the_slow_means(sizes, align_corners):
    features, labels = batch(*sizes)
    centers = class_centers(features, labels, K, align_corners=align_corners)
    means, counts = class_means(features, labels, K, align_corners=align_corners)
    torch.testing.assert_close(centers.centers_KD.numpy(), means.astype("f4"), atol=1e-5, rtol=0)
    assert centers.counts_K.tolist() == counts.tolist()
    assert centers.present_K.tolist() == (counts > 0).tolist()
    assert (centers.counts_K.dtype, centers.present_K.dtype) == (torch.int64, torch.bool)


def test_points_equal_the_slow_means():
    features, labels = batch((), (), images=50)
    centers = class_centers(features, labels, K)
    means, counts = class_means(features, labels, K)
    torch.testing.assert_close(centers.centers_KD.numpy(), means.astype("f4"), atol=1e-6, rtol=0)
    assert centers.counts_K.tolist() == counts.tolist()


@both_conventions
@pytest.mark.parametrize("label_size", [(92, 124), (90, 121)])
def test_values_and_gradients_equal_the_upsampled_route_in_float32(label_size, align_corners):
    features, labels = batch((23, 31), label_size, channels=16)
    features.requires_grad_()
    pull = torch.randn(K, 16, generator=torch.Generator().manual_seed(1))
    expected = upsampled_means(features, labels, align_corners)
    (expected_gradient,) = torch.autograd.grad((expected * pull).sum(), features)
    centers_KD = class_centers(features, labels, K, align_corners=align_corners).centers_KD
    (gradient,) = torch.autograd.grad((centers_KD * pull).sum(), features)
    torch.testing.assert_close(centers_KD, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(gradient, expected_gradient, atol=1e-5, rtol=0)


@both_conventions
@every_kind_and_preparation
def test_gradcheck(sizes, align_corners, prepared):
    features, labels = batch(*sizes, dtype=torch.float64)
    options = {"align_corners": align_corners}
    side = label_side(labels, K, sizes[0], **options) if prepared else None

    def centers_of(maps):
        return class_centers(maps, labels, K, label_side=side, **options).centers_KD

    assert centers_of(features).dtype == torch.float64
    assert torch.autograd.gradcheck(centers_of, features.requires_grad_())


@both_conventions
@every_size
def test_a_prepared_label_side_changes_nothing(sizes, align_corners):
    features, labels = batch(*sizes)
    side = label_side(labels, K, sizes[0], align_corners=align_corners).to("cpu")
    direct = class_centers(features, labels, K, align_corners=align_corners)
    prepared = class_centers(features, labels, K, align_corners=align_corners, label_side=side)
    torch.testing.assert_close(prepared, direct, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("label_size", [(60, 60), (120, 120)])
def test_sums_and_counts_of_half_features_are_exact(dtype, label_size):
    # Counting in fp16 stops at 2048, in bf16 at 256.
    features = torch.ones(1, 2, 60, 60, dtype=dtype)
    labels = torch.zeros(1, *label_size, dtype=torch.int64)
    with torch.autocast("cpu", dtype=dtype):
        centers = class_centers(features, labels, 2)
    assert centers.centers_KD.dtype == torch.float32
    assert centers.centers_KD.tolist() == [[1, 1], [0, 0]]
    assert centers.counts_K.tolist() == [labels.numel(), 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@every_kind
def test_autocast_changes_nothing(sizes, dtype):
    features, labels = batch(*sizes)
    expected = class_centers(features, labels, K)
    with torch.autocast("cpu", dtype=dtype):
        torch.testing.assert_close(class_centers(features, labels, K), expected, atol=0, rtol=0)
    half = class_centers(features.to(dtype), labels, K)
    rounded = class_centers(features.to(dtype).float(), labels, K)
    torch.testing.assert_close(half, rounded, atol=0, rtol=0)


@every_kind_and_preparation
def test_compiles_whole_forward_and_backward(sizes, prepared):
    torch.compiler.reset()
    features, labels = batch(*sizes)
    side = label_side(labels, K, sizes[0]) if prepared else None

    def energy(maps):
        return class_centers(maps, labels, K, label_side=side).centers_KD.square().sum()

    features.requires_grad_()
    (expected,) = torch.autograd.grad(energy(features), features)
    compiled = torch.compile(energy, fullgraph=True, backend="aot_eager")
    (gradient,) = torch.autograd.grad(compiled(features), features)
    torch.testing.assert_close(gradient, expected)


@every_kind_and_preparation
def test_it_never_waits_for_an_accelerator(sizes, prepared):
    features, labels = batch(*sizes)
    side = label_side(labels, K, sizes[0]) if prepared else None
    features.requires_grad_()

    def energy():
        return class_centers(features, labels, K, label_side=side).centers_KD.square().sum()

    (expected,) = torch.autograd.grad(energy(), features)
    with accelerator():
        (gradient,) = torch.autograd.grad(energy(), features)
    torch.testing.assert_close(gradient, expected)


@every_kind
def test_the_route_of_the_cpu_would_wait(sizes):
    with NoWait(), pytest.raises(AssertionError, match="would wait for the device"):
        class_centers(*batch(*sizes), K)


def test_labels_out_of_range_raise_when_eager_and_are_left_out_when_compiled():
    torch.compiler.reset()
    features, labels = batch((3, 3), (6, 6))
    expected = class_centers(features, labels, K)
    wrong = torch.where(labels == 255, 77, labels)
    with pytest.raises(ValueError, match="got 77 in"):
        class_centers(features, wrong, K)
    compiled = torch.compile(class_centers, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(features, wrong, K), expected)


@every_kind
def test_nothing_valid_gives_zeros_connected_to_the_graph(sizes):
    features, labels = batch(*sizes)
    features.requires_grad_()
    centers = class_centers(features, torch.full_like(labels, 255), K)
    assert not centers.centers_KD.any()
    assert not centers.present_K.any()
    centers.centers_KD.sum().backward()
    assert not features.grad.any()


@pytest.mark.parametrize("sizes", [((), ()), ((3, 3), (3, 3)), ((3, 3), (7, 7))])
def test_an_empty_batch_has_no_class(sizes):
    features, labels = batch(*sizes, images=0)
    centers = class_centers(features, labels, K)
    assert centers.centers_KD.tolist() == [[0.0] * 3] * K
    assert centers.counts_K.tolist() == [0] * K


@both_conventions
def test_renaming_the_classes_renames_the_rows(align_corners):
    features, labels = batch((3, 5), (7, 11))
    order = torch.tensor([2, 3, 1, 0])  # new name of each class
    renamed = torch.where(labels < K, order[labels.clamp(max=K - 1)], labels)
    before = class_centers(features, labels, K, align_corners=align_corners)
    after = class_centers(features, renamed, K, align_corners=align_corners)
    torch.testing.assert_close(tuple(t[order] for t in after), tuple(before))


@pytest.mark.parametrize("sizes", [((3, 5), (7, 11)), ((5, 6), (5, 6))])
def test_a_2d_map_is_a_flat_3d_map(sizes):
    features, labels = batch(*sizes)
    flat = class_centers(features, labels, K)
    thick = class_centers(features.unsqueeze(2), labels.unsqueeze(1), K)
    torch.testing.assert_close(thick, flat)


def test_a_map_of_equal_size_is_a_list_of_points():
    features, labels = batch((5, 6), (5, 6))
    points = class_centers(features.movedim(1, -1).reshape(-1, 3), labels.reshape(-1), K)
    torch.testing.assert_close(points, class_centers(features, labels, K))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_the_memory_format_and_the_label_dtype_do_not_matter(dtype):
    features, labels = batch((3, 5), (7, 11))
    other = class_centers(features.to(memory_format=torch.channels_last), labels.to(dtype), K)
    torch.testing.assert_close(other, class_centers(features, labels, K))


@both_conventions
@pytest.mark.parametrize("label_size", [(64, 64), (60, 71)])
def test_neither_full_size_features_nor_a_one_hot_mask_are_formed(label_size, align_corners):
    features, labels = batch((16, 16), label_size, channels=3 * K)
    features.requires_grad_()
    full_size = K * labels[0].numel()
    with LargestTensor() as ours:
        centers = class_centers(features, labels, K, align_corners=align_corners)
        centers.centers_KD.sum().backward()
    with LargestTensor() as theirs:
        upsampled_means(features, labels, align_corners).sum().backward()
    assert ours.numel < full_size < theirs.numel


@pytest.mark.parametrize(("classes", "size"), [(K + 1, (3, 5)), (K, (3, 4))])
def test_a_label_side_made_for_other_maps_is_refused(classes, size):
    _, labels = batch((3, 5), (7, 11))
    side = label_side(labels, K, (3, 5))
    message = (
        rf"made for 4 classes on maps \(2, 3, 5\), got {classes} classes on \(2, 3, {size[1]}\)"
    )
    with pytest.raises(ValueError, match=message):
        class_centers(torch.zeros(2, 3, *size), labels, classes, label_side=side)


def test_an_ignore_value_that_is_a_class_is_refused():
    with pytest.raises(
        ValueError, match=r"ignore_index must lie outside the classes 0\.\.3, got 2"
    ):
        class_centers(*batch((3, 3), (6, 6)), K, ignore_index=2)
