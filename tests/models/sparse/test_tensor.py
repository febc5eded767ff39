"""Coordinates: order, duplicates, far and negative ones, coarser sets, cached maps."""

import gc
import weakref

import pytest
import torch

from equiseg.models.sparse import SparseConv3d, SparseTensor, SubmanifoldConv3d, VoxelSet


def tensor_at(*places, channels=2):
    coordinates = torch.tensor(places, dtype=torch.int32).reshape(-1, 4)
    features = torch.arange(len(places) * channels, dtype=torch.float64).view(-1, channels) + 1
    return SparseTensor(coordinates, features)


def test_rows_stay_and_the_set_is_shared():
    x = tensor_at((1, 5, 0, 0), (0, -3, 2, 1), (0, 9, 9, 9))
    y = x.replace(torch.zeros(3, 7))
    assert y.voxels is x.voxels and y.stride == x.stride == 1 and len(y) == 3
    assert y.coordinates.tolist() == [[1, 5, 0, 0], [0, -3, 2, 1], [0, 9, 9, 9]]
    assert repr(y) == "SparseTensor(3 voxels, 7 channels, stride 1, torch.float32)"


def test_duplicates_are_an_error_at_the_first_layer():
    x = tensor_at((0, 1, 2, 3), (1, 1, 2, 3), (0, 1, 2, 3))
    with pytest.raises(ValueError, match=r"must not repeat, got \[0, 1, 2, 3\] twice.*merge"):
        SubmanifoldConv3d(2, 2)(x)
    with pytest.raises(ValueError, match="must not repeat"):
        x.voxels.coarser()


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_merge(reduce):
    places = [[0, 1, 2, 3], [1, -1, 2, 3], [0, 1, 2, 3], [0, 0, 0, 4], [0, 1, 2, 3]]
    features = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    x = SparseTensor.merge(torch.tensor(places), features, reduce)
    assert x.coordinates.tolist() == [[0, 1, 2, 3], [0, 0, 0, 4], [1, -1, 2, 3]]
    merged = features[[0, 2, 4]].sum(0) / (3 if reduce == "mean" else 1)
    torch.testing.assert_close(x.features, torch.stack((merged, features[3], features[1])))
    assert torch.autograd.gradcheck(
        lambda f: SparseTensor.merge(torch.tensor(places), f, reduce).features, features
    )


def test_merge_rounds_down_to_the_stride():
    places = torch.tensor([[0, -1, 0, 3], [0, -2, 1, 2], [0, 0, 0, 2]])
    x = SparseTensor.merge(places, torch.ones(3, 1), "sum", stride=2)
    assert x.coordinates.tolist() == [[0, -2, 0, 2], [0, 0, 0, 2]] and x.stride == 2
    assert x.features.flatten().tolist() == [2, 1]


def test_merge_of_nothing():
    x = SparseTensor.merge(torch.zeros(0, 4, dtype=torch.int64), torch.zeros(0, 5))
    assert x.coordinates.shape == (0, 4) and x.features.shape == (0, 5)


def test_coarser_sets():
    x = tensor_at((0, -1, 0, 0), (0, -2, 1, 1), (0, 1, 0, 0), (2, 0, 0, 0))
    coarse = x.voxels.coarser()
    assert coarse.coordinates_N4.tolist() == [[0, -2, 0, 0], [0, 0, 0, 0], [2, 0, 0, 0]]
    assert coarse.stride == 2 and coarse is x.voxels.coarser(2)
    assert coarse.coarser().coordinates_N4.tolist() == [[0, -4, 0, 0], [0, 0, 0, 0], [2, 0, 0, 0]]
    assert coarse.coarser().stride == 4
    children = x.voxels.children()
    assert children.members.tolist() == [0, 1, 2, 3] and children.starts.tolist() == [0, 2, 3, 4]


def test_maps_are_made_once(monkeypatch):
    found = []
    find = VoxelSet._find
    monkeypatch.setattr(
        VoxelSet,
        "_find",
        lambda self, size, targets: found.append(size) or find(self, size, targets),
    )
    x = tensor_at((0, 0, 0, 0), (0, 1, 0, 0))
    x = x.replace(x.features.requires_grad_())
    layers = [SubmanifoldConv3d(2, 2).double() for _ in range(3)]
    for _ in range(2):
        y = layers[2](layers[1](layers[0](x)))
        y = SparseConv3d(2, 2).double()(y.replace(y.features.relu()))
        y.features.sum().backward()
    assert found == [3, 2]


def test_maps_are_freed_with_their_last_user():
    """By reference counting: the garbage collector would keep the maps of many steps."""
    x = tensor_at((0, 0, 0, 0), (0, 1, 0, 0))
    gc.disable()
    try:
        y = SparseConv3d(2, 2).double()(SubmanifoldConv3d(2, 2).double()(x))
        SubmanifoldConv3d(2, 2).double()(y).features.sum().backward()
        sets = [weakref.ref(x.voxels), weakref.ref(y.voxels)]
        del x, y
        assert [ref() for ref in sets] == [None, None]
    finally:
        gc.enable()


def test_a_map_keeps_its_targets():
    """Targets are identified by their id, which another set must not get."""
    x, targets = tensor_at((0, 0, 0, 0), (0, 1, 0, 0)), VoxelSet(torch.zeros(1, 4).long(), 2)
    kept, pairs = weakref.ref(targets), x.voxels.kernel_map(2, targets)
    assert x.voxels.kernel_map(2, VoxelSet(torch.tensor([[0, 2, 0, 0]]), 2)) is not pairs
    del targets
    assert x.voxels.kernel_map(2, kept()) is pairs


@pytest.mark.parametrize("far", [2**20, 2**31 - 2, -(2**31), 2**50])
def test_far_coordinates_give_the_same_results(far):
    near = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 1], [3, 1, 1, 1], [0, -1, 0, 0]])
    features = torch.randn(4, 2)
    moved = near + torch.tensor([0, far, -far, 2 * (far // 2)])
    layer, down = SubmanifoldConv3d(2, 3), SparseConv3d(3, 3)
    expected, seen = layer(SparseTensor(near, features)), layer(SparseTensor(moved, features))
    torch.testing.assert_close(seen.features, expected.features, rtol=0, atol=0)
    if far % 2 == 0:
        torch.testing.assert_close(down(seen).features, down(expected).features, rtol=0, atol=0)


def test_too_far_apart_for_a_key():
    x = tensor_at((0, 0, 0, 0), (0, 2**24, 2**24, 2**24))
    with pytest.raises(ValueError, match=r"span more cells than an int64 key.*larger voxels"):
        SubmanifoldConv3d(2, 2)(x)


def test_neighbors_across_the_border_of_the_box_are_none():
    """With naive keys, the first voxel of a line directly follows the last of the previous line."""
    size = 3
    places = torch.cartesian_prod(*[torch.tensor([0, 1])] + [torch.tensor([0, size - 1])] * 3)
    pairs = VoxelSet(places).kernel_map(3).there
    assert all(len(tile.source_P) == 0 for tile in pairs.tiles)
    pairs = VoxelSet(places).kernel_map(9).there
    assert sum(len(tile.source_P) for tile in pairs.tiles) == 2 * 8 * 7


@pytest.mark.parametrize("size", [2, 3, 8, 9])
@pytest.mark.parametrize("reach", [0, 8, 40, 4000])
def test_targets_beyond_the_voxels(size, reach):
    """Any coarse set may be the target, other batches and far places included."""
    torch.manual_seed(0)
    sources = VoxelSet((torch.rand(2, 5, 6, 4) < 0.5).nonzero() + torch.tensor([1, -2, 3, 0]))
    low, high = torch.tensor([0, -reach, -reach, -reach]), torch.tensor([5, *[reach + 9] * 3])
    places = low + (torch.rand(400, 4) * (high - low)).long()
    places[:, 1:] = places[:, 1:] // 2 * 2
    targets = VoxelSet(torch.unique(places, dim=0), stride=2)
    seen = {
        (v, *pair)
        for tile in sources.kernel_map(size, targets).there.tiles
        for v, sources_P, targets_P in zip(
            range(size**3),
            tile.source_P.split(tile.sizes),
            tile.target_P.split(tile.sizes),
            strict=True,
        )
        for pair in zip(sources_P.tolist(), targets_P.tolist(), strict=True)
    }
    first = -(size // 2) if size % 2 else 0
    steps_NM = sources.coordinates_N4[:, None] - targets.coordinates_N4[None]
    offsets_NM = steps_NM[..., 1:] - first
    near_NM = (steps_NM[..., 0] == 0) & ((offsets_NM >= 0) & (offsets_NM < size)).all(2)
    v_NM = (offsets_NM * torch.tensor([1, size, size**2])).sum(2)
    assert seen == {(int(v_NM[i, j]), i, j) for i, j in near_NM.nonzero().tolist()}
    assert seen or reach > 8


@pytest.mark.parametrize(
    ("coordinates", "features", "stride", "message"),
    [
        (torch.zeros(2, 3).long(), torch.zeros(2, 1), 1, r"shape \(N, 4\).*got \(2, 3\)"),
        (
            torch.zeros(2, 4).long(),
            torch.zeros(3, 1),
            1,
            r"one row for each of the 2.*got \(3, 1\)",
        ),
        (torch.zeros(2, 4).long(), torch.zeros(2), 1, r"one row for each of the 2 voxels"),
        (torch.zeros(2, 4).long(), torch.zeros(2, 1), 0, "stride must be at least 1, got 0"),
    ],
)
def test_invalid_arguments_are_refused(coordinates, features, stride, message):
    with pytest.raises(ValueError, match=message):
        SparseTensor(coordinates, features, stride)


def test_coordinates_must_be_integers():
    with pytest.raises(TypeError, match=r"must be integers, got torch.float32; voxelize"):
        SparseTensor(torch.zeros(2, 4), torch.zeros(2, 1))


def test_negative_batch():
    with pytest.raises(ValueError, match=r"batch indices .* start at 0, got -1"):
        SubmanifoldConv3d(2, 2)(tensor_at((-1, 0, 0, 0)))


def test_off_the_stride():
    x = SparseTensor(torch.tensor([[0, 2, 4, 0], [0, 2, 3, 0]]), torch.zeros(2, 2), stride=2)
    with pytest.raises(ValueError, match=r"multiples of stride 2, got \[0, 2, 3, 0\]"):
        SubmanifoldConv3d(2, 2)(x)


def test_unknown_reduction():
    with pytest.raises(ValueError, match="reduce must be 'sum' or 'mean', got 'max'"):
        SparseTensor.merge(torch.zeros(1, 4).long(), torch.zeros(1, 1), "max")
