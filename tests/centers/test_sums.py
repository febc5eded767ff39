from unittest.mock import Mock

import pytest
import torch

from equiseg.centers import class_centers, sums, tiles
from equiseg.centers.label_sides import label_side
from equiseg.centers.operators import sums_over_side
from equiseg.centers.sums import Labelling, dense_sums, row_sums
from equiseg.labels import fold_ignored
from maps import K, LargestTensor, batch, both_conventions, every_size

LAYOUTS = {
    "contiguous": lambda maps: maps,
    "channels last": lambda maps: maps.to(memory_format=torch.channels_last),
    "transposed": lambda maps: maps.mT.contiguous().mT,
    "batch last": lambda maps: maps.movedim(0, -1).contiguous().movedim(-1, 0),
    "every other channel": lambda maps: maps.repeat_interleave(2, 1)[:, ::2],
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
both_preparations = pytest.mark.parametrize("prepared", [False, True])


def sparse(features, labels, align_corners=False):
    options = {"align_corners": align_corners, "dtype": tiles.sum_dtype(features)}
    side = label_side(labels, K, tuple(features.shape[2:]), **options)
    return with_gradient(lambda maps: sums_over_side(maps, side), features)


def dense(features, labels, align_corners=False, prepared=False, compiled=False):
    side = None
    if prepared:
        options = {"align_corners": align_corners, "dtype": tiles.sum_dtype(features)}
        side = label_side(labels, K, tuple(features.shape[2:]), **options)

    def sums_of(maps):
        return dense_sums(maps, Labelling(labels, K, 255, align_corners), side)

    if compiled:
        torch.compiler.reset()
        sums_of = torch.compile(sums_of, fullgraph=True, backend="aot_eager")
    return with_gradient(sums_of, features)


def with_gradient(sums_of, features):
    """The sums, and the gradient of a linear form of them."""
    features = features.detach().requires_grad_()
    sums_KD = sums_of(features)
    pull = torch.randn(sums_KD.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((sums_KD * pull).sum(), features)
    return sums_KD.detach(), gradient


@both_conventions
@both_preparations
@every_size
def test_the_sparse_and_the_dense_route_agree(sizes, align_corners, prepared):
    features, labels = batch(*sizes, dtype=torch.float64)
    expected = sparse(features, labels, align_corners)
    actual = dense(features, labels, align_corners, prepared)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)


@every_layout
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_routes_agree_whatever_the_layout_and_the_dtype(layout, dtype):
    features, labels = batch((3, 5), (7, 11), dtype=dtype)
    exact_sums, exact_gradient = sparse(features.double(), labels)
    for route in (sparse, dense):
        sums_KD, gradient = route(layout(features), labels)
        assert (sums_KD.dtype, gradient.dtype) == (torch.float32, dtype)
        torch.testing.assert_close(sums_KD, exact_sums.float())
        torch.testing.assert_close(gradient, exact_gradient.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels"]
)
def test_the_gradient_is_laid_out_as_the_features(dtype, memory_format):
    features, labels = batch((3, 5), (7, 11), dtype=dtype)
    _, gradient = sparse(features.to(memory_format=memory_format), labels)
    assert gradient.is_contiguous(memory_format=memory_format)


@both_preparations
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("rows", [1, 3])
def test_blocks_of_classes_change_nothing(prepared, compiled, rows, monkeypatch):
    features, labels = batch((3, 5), (7, 11))
    whole = dense(features, labels, prepared=prepared)
    monkeypatch.setattr(sums, "_BLOCK_VALUES", rows * 2 * 3 * 5)
    checkpoint = sums.checkpoint
    if not compiled:
        monkeypatch.setattr(sums, "checkpoint", checkpoint := Mock(wraps=checkpoint))
    in_blocks = dense(features, labels, prepared=prepared, compiled=compiled)
    torch.testing.assert_close(in_blocks, whole)
    if not compiled:
        assert checkpoint.call_count == -(-K // rows)


@every_size
@pytest.mark.parametrize(
    ("limit", "value"), [("_TILE_CELLS", 2), ("_GROUP_VALUES", 1), ("_GROUP_VALUES", 64)]
)
def test_tiles_change_nothing(sizes, limit, value, monkeypatch):
    features, labels = batch(*sizes)
    whole = sparse(features, labels)
    monkeypatch.setattr(tiles, limit, value)
    torch.testing.assert_close(sparse(features, labels), whole)


@pytest.mark.parametrize("route", [sparse, dense])
def test_two_calls_give_the_same_bits(route):
    features, labels = batch((40, 60), (150, 170), channels=20)
    torch.testing.assert_close(route(features, labels), route(features, labels), atol=0, rtol=0)


def test_points_are_a_map_of_their_own_on_the_dense_route():
    features, labels = batch((), (), images=50)
    by_rows = with_gradient(lambda rows: row_sums(rows, fold_ignored(labels, K, 255), K), features)
    torch.testing.assert_close(dense(features, labels), by_rows)


def test_a_million_points_add_up():
    # One float32 to which a million are added, one after the other, is wrong by a hundredth.
    features, ids = torch.full((1_000_000, 1), 0.1), torch.zeros(1_000_000, dtype=torch.int64)
    assert row_sums(features, ids, 2)[0].item() == pytest.approx(1e5, rel=3e-5)


@both_preparations
def test_a_cell_under_many_labels_does_not_overflow(prepared):
    features, labels = torch.full((1, 1, 1, 1), 0.5), torch.ones(1, 3000, 3000, dtype=torch.uint8)
    sums_KD, gradient = dense(features, labels, prepared=prepared)
    torch.testing.assert_close(sums_KD[1, 0], torch.tensor(4.5e6))
    torch.testing.assert_close((sums_KD, gradient), sparse(features, labels))


def test_nothing_larger_than_the_features_is_formed():
    features, labels = batch((16, 16), (64, 64), channels=64)
    features.requires_grad_()
    with LargestTensor() as largest:
        class_centers(features, labels, K).centers_KD.sum().backward()
    assert largest.numel == features.numel()


def test_a_dense_map_of_ten_thousand_classes_is_never_formed():
    classes, channels = 10_000, 16
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, channels, 32, 32, generator=generator, requires_grad=True)
    blocks = torch.randperm(classes, generator=generator)[:64].view(1, 8, 8)
    labels = blocks.repeat_interleave(16, 1).repeat_interleave(16, 2)
    with LargestTensor() as largest:
        centers = class_centers(features, labels, classes, ignore_index=-1)
        centers.centers_KD.sum().backward()
    assert largest.numel < classes * 32 * 32 / 30  # K x cells
    assert centers.present_K.nonzero().flatten().tolist() == sorted(blocks.flatten().tolist())
    torch.testing.assert_close(features.grad.sum(), torch.tensor(64.0 * channels))
