import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from equiseg.centers import class_centers, label_sides, transpose
from equiseg.centers.blocks import BlockGrid
from equiseg.centers.label_sides import LabelSide, label_side
from equiseg.losses import CenterCollapseLoss
from maps import SIZES, K, LargestTensor, batch, both_conventions, every_size
from reference.slow_centers import resize


def dense(side):
    """S as (B, K, cells)."""
    images, *size = side.feature_shape
    S = torch.zeros(images, len(side.counts_K), int(np.prod(size)), dtype=side.weight_E.dtype)
    image_E, cell_E = side.cell_E // S.shape[2], side.cell_E % S.shape[2]
    S[image_E.long(), side.class_E.long(), cell_E.long()] = side.weight_E
    return S


def assert_same(side, other, **tolerances):
    torch.testing.assert_close(vars(side), vars(other), **tolerances)


@both_conventions
@every_size
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_the_entries_are_the_transpose_of_the_resize(sizes, align_corners, dtype, tolerance):
    _, labels = batch(*sizes)
    side = label_side(labels, K, sizes[0], align_corners=align_corners, dtype=dtype)
    cell_maps = np.eye(int(np.prod(sizes[0]))).reshape(1, -1, *sizes[0])
    weights_UP = resize(cell_maps, sizes[1], align_corners)[0].reshape(len(cell_maps[0]), -1)
    one_hot_BKP = (labels.flatten(1).unsqueeze(1) == torch.arange(K).unsqueeze(1)).double()
    expected = one_hot_BKP @ torch.from_numpy(weights_UP).T
    assert side.weight_E.dtype == dtype
    torch.testing.assert_close(dense(side).double(), expected, atol=tolerance, rtol=tolerance)


@both_conventions
@every_size
def test_the_entries_are_sorted_positive_and_add_up_to_the_counts(sizes, align_corners):
    _, labels = batch(*sizes)
    side = label_side(labels, K, sizes[0], align_corners=align_corners)
    assert (side.class_E.dtype, side.cell_E.dtype) == (torch.int32, torch.int32)
    order = side.cell_E.long() * K + side.class_E
    assert (order.diff() > 0).all()  # ascending, and no class twice on a cell
    assert (side.weight_E > 0).all()
    assert side.counts_K.tolist() == [int((labels == k).sum()) for k in range(K)]
    sums_K = torch.zeros(K).index_add(0, side.class_E.long(), side.weight_E)
    torch.testing.assert_close(sums_K, side.counts_K.float(), rtol=1e-5, atol=0)


@every_size
def test_a_label_makes_at_most_two_entries_an_axis(sizes):
    labels = torch.randint(0, 1000, (2, *sizes[1]), generator=torch.Generator().manual_seed(0))
    side = label_side(labels, 1000, sizes[0], ignore_index=-1)
    assert labels.numel() <= len(side.cell_E) <= 2 ** len(sizes[0]) * labels.numel()


def test_a_picture_makes_about_one_entry_a_cell():
    blocks = torch.arange(16).view(1, 4, 4).repeat_interleave(32, 1).repeat_interleave(32, 2)
    side = label_side(blocks, 16, (32, 32))
    # Three borders along each axis, with two cells at each that both classes reach.
    assert len(side.cell_E) == (32 + 3 * 2) ** 2


@both_conventions
@every_size
@pytest.mark.parametrize(
    ("module", "limit", "value"),
    [
        (transpose, "_BAND_VALUES", 1),
        (transpose, "_BAND_VALUES", 200),
        (label_sides, "_GROUP_LABELS", 1),
        (label_sides, "_GROUP_LABELS", 500),
    ],
)
def test_bands_and_groups_change_nothing(sizes, align_corners, module, limit, value, monkeypatch):
    _, labels = batch(*sizes, images=5)
    whole = label_side(labels, K, sizes[0], align_corners=align_corners)
    monkeypatch.setattr(module, limit, value)
    assert_same(label_side(labels, K, sizes[0], align_corners=align_corners), whole)


def test_the_scratch_does_not_grow_with_the_number_of_classes(monkeypatch):
    classes, size = 10_000, (16, 24)
    noise = torch.randint(0, classes, (1, 64, 96), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(transpose, "_BAND_VALUES", 1)
    with LargestTensor() as scratch:
        side = label_side(noise, classes, size, ignore_index=-1)
    # One row of cells: 10 rows of labels reach it at most, with no class but theirs.
    assert len(side.cell_E) < scratch.numel <= 24 * 10 * (10 * 96 + 1) < classes * 16 * 24


@every_size
def test_the_sides_of_single_images_make_the_side_of_the_batch(sizes):
    _, labels = batch(*sizes, images=5)
    parts = [label_side(part, K, sizes[0]) for part in labels.split((1, 1, 3))]
    assert_same(LabelSide.cat(parts), label_side(labels, K, sizes[0]), atol=0, rtol=0)


def test_no_sides_make_no_batch():
    with pytest.raises(ValueError, match="sides must hold at least one label side, got none"):
        LabelSide.cat([])


@pytest.mark.parametrize(
    ("classes", "size", "options"),
    [
        (K + 1, (3, 5), {}),
        (K, (3, 4), {}),
        (K, (3, 5), {"ignore_index": -1}),
        (K, (3, 5), {"align_corners": True}),
    ],
)
def test_sides_of_several_kinds_make_no_batch(classes, size, options):
    labels = torch.zeros(1, 7, 11, dtype=torch.int64)
    sides = [label_side(labels, K, (3, 5)), label_side(labels, classes, size, **options)]
    with pytest.raises(ValueError, match="sides must agree in feature size, number of classes"):
        LabelSide.cat(sides)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_the_label_dtype_does_not_matter(dtype):
    _, labels = batch((3, 5), (7, 11))
    expected = label_side(labels, K, (3, 5))
    assert_same(label_side(labels.to(dtype), K, (3, 5)), expected, atol=0, rtol=0)


def test_all_of_a_side_moves_to_another_device():
    side = label_side(batch((3, 5), (7, 11))[1], K, (3, 5))
    moved = [value for value in vars(side.to("meta")).values() if isinstance(value, torch.Tensor)]
    assert [tensor.device.type for tensor in moved] == ["meta"] * 4
    assert_same(side.to("cpu"), side)


def test_a_side_can_be_kept_in_a_file(tmp_path):
    side = label_side(batch((3, 5), (7, 11))[1], K, (3, 5))
    torch.save(side, tmp_path / "side.pt")
    assert_same(torch.load(tmp_path / "side.pt", weights_only=True), side)


@pytest.mark.parametrize(
    ("labels", "size", "message"),
    [
        ((2, 7, 11), (8, 5), r"between 1 and the labels' size \(7, 11\).*got \(8, 5\)"),
        ((2, 7, 11), (0, 5), r"between 1 and the labels' size \(7, 11\).*got \(0, 5\)"),
        ((2, 7, 11), (3,), r"got \(3,\) for labels \(2, 7, 11\)"),
        ((9,), (), r"got \(\) for labels \(9,\); points need no label side"),
    ],
)
def test_sizes_that_cannot_work_are_refused(labels, size, message):
    with pytest.raises(ValueError, match=message):
        label_side(torch.zeros(labels, dtype=torch.int64), K, size)


@every_size
@pytest.mark.parametrize("wrong", [K, 77, -1, 300, 2**33 + 1])
def test_a_single_wrong_label_is_found_wherever_it_lies(sizes, wrong):
    _, labels = batch(*sizes)
    for place in (0, labels.numel() // 2, -1):
        one_wrong = labels.clone()
        one_wrong.view(-1)[place] = wrong
        with pytest.raises(ValueError, match=rf"got {wrong} in 1 of {labels.numel()} places"):
            label_side(one_wrong, K, sizes[0])
        with pytest.raises(ValueError, match=rf"got {wrong} in 1 of {labels.numel()} places"):
            class_centers(torch.zeros(2, 3, *sizes[0]), one_wrong, K)


def test_only_pixels_in_blocks_of_several_classes_are_visited(monkeypatch):
    visited, labels_of = [], BlockGrid.labels_of

    def counting(grid, labels, blocks):
        pixels = labels_of(grid, labels, blocks)
        visited.append(pixels.numel())
        return pixels

    monkeypatch.setattr(BlockGrid, "labels_of", counting)
    squares = torch.arange(16).view(1, 4, 4).repeat_interleave(32, 1).repeat_interleave(32, 2)
    label_side(squares, 16, (32, 32))
    # Three borders along each axis, each through the middle of a row of blocks of 4 x 4 pixels.
    assert visited == [(33**2 - 30**2) * 16]


class Prepared(Dataset):
    """Four images whose label sides are made where they are loaded."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        features, labels = batch(*SIZES["2d other ratio"], images=1, seed=index)
        return features, labels, label_side(labels, K, features.shape[2:])


def collate(samples):
    features, labels, sides = zip(*samples, strict=True)
    return torch.cat(features), torch.cat(labels), LabelSide.cat(sides)


def test_sides_made_by_the_workers_of_a_loader_change_nothing():
    loss = CenterCollapseLoss(K, 3, projection="learnable")
    batches = list(DataLoader(Prepared(), batch_size=2, num_workers=2, collate_fn=collate))
    assert len(batches) == 2
    for features, labels, side in batches:
        torch.testing.assert_close(
            class_centers(features, labels, K, label_side=side), class_centers(features, labels, K)
        )
        torch.testing.assert_close(
            loss(features, labels, label_side=side), loss(features, labels), atol=0, rtol=0
        )
