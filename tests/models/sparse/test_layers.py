"""Sparse layers compared with dense ones in float64, and with other numbers of threads."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from equiseg.models.sparse import (
    BatchNorm,
    GlobalPool,
    ReLU,
    SparseConv3d,
    SparseConvTranspose3d,
    SparsePool3d,
    SparseTensor,
    SubmanifoldConv3d,
)
from equiseg.models.sparse import kernel_maps as maps_module

ORIGIN, SIZE = -8, 16  # of the dense box: even, so that strides agree
CASES = ["random", "full", "one voxel", "no voxel", "empty sample"]


@pytest.fixture(params=[4096, 5], ids=["one tile", "many tiles"])
def tiles(request, monkeypatch):
    monkeypatch.setattr(maps_module, "_TILE_ROWS", {"cpu": request.param})


def voxels_of(case: str, channels: int = 3) -> SparseTensor:
    generator = torch.Generator().manual_seed(0)
    if case == "full":
        occupied = torch.ones(1, 4, 4, 4)
    else:
        occupied = torch.rand(3, 7, 6, 5, generator=generator) < 0.4
    places = occupied.nonzero() + torch.tensor([0, -4, -3, -2])
    places = places[torch.randperm(len(places), generator=generator)]
    places = {
        "one voxel": torch.tensor([[2, -1, -3, 5]]),
        "no voxel": places[:0],
        "empty sample": places[places[:, 0] != 1],
    }.get(case, places)
    features = torch.randn(len(places), channels, dtype=torch.float64, generator=generator)
    return SparseTensor(places, features.requires_grad_())


def dense_of(x: SparseTensor) -> torch.Tensor:
    dense = x.features.new_zeros(3, *[SIZE // x.stride] * 3, x.features.shape[1])
    return dense.index_put(index_of(x), x.features).permute(0, 4, 1, 2, 3)


def at(dense: torch.Tensor, x: SparseTensor) -> torch.Tensor:
    return dense.permute(0, 2, 3, 4, 1)[index_of(x)]


def index_of(x: SparseTensor) -> tuple[torch.Tensor, ...]:
    batch, *axes = x.coordinates.unbind(1)
    return (batch, *((axis - ORIGIN) // x.stride for axis in axes))


def dense_weight(layer: nn.Module, transposed: bool = False) -> torch.Tensor:
    k = layer.kernel_size
    weight = layer.weight.view(k, k, k, layer.in_channels, layer.out_channels)
    return weight.permute(3, 4, 2, 1, 0) if transposed else weight.permute(4, 3, 2, 1, 0)


def assert_same(layer: nn.Module, x: SparseTensor, seen: torch.Tensor, expected: torch.Tensor):
    """Values, and gradients of input, weight and bias."""
    torch.testing.assert_close(seen, expected)
    cotangent = torch.randn(seen.shape, dtype=seen.dtype)
    inputs = [x.features, *layer.parameters()]
    ours = torch.autograd.grad(seen, inputs, cotangent)
    theirs = torch.autograd.grad(expected, inputs, cotangent, allow_unused=len(x) == 0)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, torch.zeros_like(own) if other is None else other)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [1, 3, 5])
def test_submanifold_is_conv3d(case, size, tiles):
    torch.manual_seed(0)
    x, layer = voxels_of(case), SubmanifoldConv3d(3, 4, size).double()
    y = layer(x)
    assert y.voxels is x.voxels
    expected = F.conv3d(dense_of(x), dense_weight(layer), layer.bias, padding=size // 2)
    assert_same(layer, x, y.features, at(expected, x))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (1, 2), (4, 4), (3, 1)])
def test_strided_is_conv3d(case, size, stride, tiles):
    torch.manual_seed(0)
    x, layer = voxels_of(case), SparseConv3d(3, 4, size, stride).double()
    y = layer(x)
    assert y.stride == stride
    occupied = {(b, *(c // stride * stride for c in r)) for b, *r in x.coordinates.tolist()}
    assert {tuple(place) for place in y.coordinates.tolist()} == occupied
    padding = size // 2 if size % 2 else 0
    expected = F.conv3d(
        dense_of(x), dense_weight(layer), layer.bias, stride=stride, padding=padding
    )
    assert_same(layer, x, y.features, at(expected, y))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (4, 4)])
def test_transposed_is_conv_transpose3d(case, size, stride, tiles):
    torch.manual_seed(0)
    fine = voxels_of(case)
    coarse = fine.voxels.coarser(stride)
    features = torch.randn(len(coarse), 4, dtype=torch.float64, requires_grad=True)
    x = SparseTensor.on(coarse, features)
    layer = SparseConvTranspose3d(4, 3, size, stride).double()
    y = layer(x, fine.voxels)
    assert y.voxels is fine.voxels
    padding = size // 2 if size % 2 else 0
    expected = F.conv_transpose3d(
        dense_of(x),
        dense_weight(layer, transposed=True),
        layer.bias,
        stride=stride,
        padding=padding,
        output_padding=stride - size + 2 * padding,
    )
    assert_same(layer, x, y.features, at(expected, fine))


def test_transposed_onto_voxels_without_a_coarse_one():
    x = SparseTensor(torch.tensor([[0, 0, 0, 0]]), torch.ones(1, 1), stride=2)
    onto = SparseTensor(torch.tensor([[0, 8, 0, 0], [0, 1, 0, 0]]), torch.ones(2, 1)).voxels
    layer = SparseConvTranspose3d(1, 1, bias=False)
    assert layer(x, onto).features.tolist() == [[0], [layer.weight[1].item()]]


def test_pyramid_of_strides():
    """Down twice, along, and up twice, in one graph."""
    torch.manual_seed(0)
    x = voxels_of("random")
    layers = nn.ModuleList(
        [
            SparseConv3d(3, 4),
            SparseConv3d(4, 5),
            SubmanifoldConv3d(5, 5),
            SparseConvTranspose3d(5, 4),
            SparseConvTranspose3d(4, 2),
        ]
    ).double()
    half = layers[0](x)
    quarter = layers[2](layers[1](half))
    seen = layers[4](layers[3](quarter, half.voxels), x.voxels)
    assert quarter.stride == 4 and seen.voxels is x.voxels

    def dense(i, value, **options):
        return F.conv3d(value, dense_weight(layers[i]), layers[i].bias, **options)

    def up(i, value, onto):
        weight = dense_weight(layers[i], transposed=True)
        value = F.conv_transpose3d(value, weight, layers[i].bias, stride=2)
        return value * dense_of(onto.replace(torch.ones(len(onto), 1).double()))

    value = dense(0, dense_of(x), stride=2)
    value = value * dense_of(half.replace(torch.ones(len(half), 1).double()))
    value = dense(1, value, stride=2)
    mask = dense_of(quarter.replace(torch.ones(len(quarter), 1).double()))
    value = dense(2, value * mask, padding=1) * mask
    value = up(4, up(3, value, half), x)
    assert_same(layers, x, seen.features, at(value, x))


@pytest.mark.parametrize("layer", ["submanifold", "strided", "transposed"])
def test_gradcheck(layer):
    torch.manual_seed(0)
    x = voxels_of("random", channels=2)
    few = SparseTensor(x.coordinates[:14], x.features[:14].detach().requires_grad_())
    module = {
        "submanifold": SubmanifoldConv3d(2, 3),
        "strided": SparseConv3d(2, 3),
        "transposed": SparseConvTranspose3d(2, 3),
    }[layer].double()
    start = SparseTensor.on(few.voxels.coarser(), few.features[: len(few.voxels.coarser())])
    source = start if layer == "transposed" else few

    def run(features, weight, bias):
        onto = (few.voxels,) if layer == "transposed" else ()
        parameters = {"weight": weight, "bias": bias}
        y = torch.func.functional_call(module, parameters, (source.replace(features), *onto))
        return y.features

    features = source.features.detach().requires_grad_()
    assert torch.autograd.gradcheck(run, (features, module.weight, module.bias))


def test_gradients_are_computed_only_if_required():
    x, layer = voxels_of("random"), SubmanifoldConv3d(3, 4).double()
    expected = torch.autograd.grad(layer(x).features.sum(), [x.features, layer.weight])
    layer.requires_grad_(False)
    torch.testing.assert_close(
        torch.autograd.grad(layer(x).features.sum(), x.features)[0], expected[0]
    )
    layer.requires_grad_(True)
    constant = x.replace(x.features.detach())
    torch.testing.assert_close(
        torch.autograd.grad(layer(constant).features.sum(), layer.weight)[0], expected[1]
    )


def test_order_of_rows_changes_nothing_else():
    torch.manual_seed(0)
    x = voxels_of("random")
    order = torch.randperm(len(x))
    shuffled = SparseTensor(x.coordinates[order], x.features[order])
    down, along, up = SparseConv3d(3, 4), SubmanifoldConv3d(4, 4), SparseConvTranspose3d(4, 2)
    layers = nn.ModuleList((down, along, up)).double()

    def run(x):
        return layers[2](layers[1](layers[0](x)), x.voxels).features

    torch.testing.assert_close(run(shuffled), run(x)[order], rtol=1e-12, atol=1e-12)


def test_exact_products_are_bitwise_the_same_for_any_threads():
    """Sums of whole numbers are exact, so a lost or doubled row changes the result."""
    generator = torch.Generator().manual_seed(0)

    def whole(*shape):
        return torch.randint(-4, 5, shape, generator=generator).float()

    places = (torch.rand(2, 24, 24, 24, generator=generator) < 0.4).nonzero()
    features = whole(len(places), 16).requires_grad_()
    layers = nn.ModuleList((SubmanifoldConv3d(16, 24), SparseConv3d(24, 16)))
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.copy_(whole(*parameter.shape))
    cotangent = whole(len(SparseTensor(places, features).voxels.coarser()), 16)

    def run(threads):
        torch.set_num_threads(threads)
        y = layers[1](layers[0](SparseTensor(places, features))).features
        return [y, *torch.autograd.grad(y, [features, *layers.parameters()], cotangent)]

    before = torch.get_num_threads()
    try:
        one, two, three = run(1), run(2), run(3)
    finally:
        torch.set_num_threads(before)
    for a, b, c in zip(one, two, three, strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)


def test_results_are_bitwise_the_same_from_run_to_run():
    torch.manual_seed(0)
    places = (torch.rand(1, 20, 20, 20) < 0.4).nonzero()
    features, layer = torch.randn(len(places), 8, requires_grad=True), SubmanifoldConv3d(8, 8)

    def run():
        y = layer(SparseTensor(places, features)).features
        return [y, *torch.autograd.grad(y.square().sum(), [features, layer.weight])]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    torch.manual_seed(0)
    x = voxels_of("random", channels=8)
    x = x.replace(x.features.detach().float().requires_grad_())
    layers = nn.ModuleList(
        (SubmanifoldConv3d(8, 8), SparseConv3d(8, 8), SparseConvTranspose3d(8, 8))
    )

    def run():
        y = layers[2](layers[1](layers[0](x)), x.voxels).features
        return y, torch.autograd.grad(y.float().square().mean(), [x.features, *layers.parameters()])

    expected, gradients = run()
    with torch.autocast("cpu", dtype):
        seen, half_gradients = run()
    assert seen.dtype == dtype and all(g.dtype == torch.float32 for g in half_gradients)
    precision = {torch.bfloat16: 2e-2, torch.float16: 3e-3}[dtype]
    for own, other in zip((seen.float(), *half_gradients), (expected, *gradients), strict=True):
        assert (own - other).norm() < precision * other.norm()


def test_autocast_adds_up_in_float32():
    """One large product and many that are too small for bfloat16 to add to it one by one."""
    layer = SubmanifoldConv3d(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(2**-9)[0] = 1
    places = F.pad(torch.cartesian_prod(*[torch.arange(3)] * 3), (1, 0))
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(SparseTensor(places, torch.ones(27, 1))).features
    assert y[13].item() == torch.tensor(1 + 26 * 2**-9).bfloat16().item()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("mode", ["max", "mean", "sum"])
def test_pooling(case, mode):
    x = voxels_of(case)
    y = SparsePool3d(mode)(x)
    fold = {"max": lambda v: v.amax(0), "mean": lambda v: v.mean(0), "sum": lambda v: v.sum(0)}[
        mode
    ]
    cells_N4 = x.coordinates.clone()
    cells_N4[:, 1:] = cells_N4[:, 1:] // 2 * 2
    expected = [fold(x.features[(cells_N4 == place).all(1)]) for place in y.coordinates]
    expected = torch.stack(expected) if expected else x.features.new_zeros(0, 3)
    torch.testing.assert_close(y.features, expected)
    pooled = GlobalPool(mode)(x, batch_size=4)
    rows = [x.features[x.coordinates[:, 0] == b] for b in range(4)]
    expected = torch.stack([fold(r) if len(r) else r.sum(0) for r in rows])
    torch.testing.assert_close(pooled, expected)
    torch.autograd.gradcheck(lambda f: SparsePool3d(mode)(x.replace(f)).features, x.features)
    assert torch.autograd.grad(pooled.sum(), x.features)[0].shape == x.features.shape


def test_global_pooling_needs_room_for_the_batch():
    with pytest.raises(ValueError, match="batch_size must cover the batch indices up to 2, got 2"):
        GlobalPool("max")(voxels_of("random"), batch_size=2)


def test_batch_norm():
    x = voxels_of("random")
    layer, plain = BatchNorm(3).double(), nn.BatchNorm1d(3).double()
    torch.testing.assert_close(layer(x).features, plain(x.features))
    torch.testing.assert_close(layer.bn.running_var, plain.running_var)
    for few in ("one voxel", "no voxel"):
        y = voxels_of(few)
        torch.testing.assert_close(layer(y).features, plain.eval()(y.features))
    torch.testing.assert_close(layer.bn.running_var, plain.running_var)


def test_relu():
    x = voxels_of("random")
    assert torch.equal(ReLU()(x).features, x.features.relu()) and (x.features < 0).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SubmanifoldConv3d(1, 1, 2), "kernel_size must be odd, got 2; SparseConv3d"),
        (lambda: SubmanifoldConv3d(1, 1, 11), "kernel_size must be 1 to 9, got 11"),
        (lambda: SparseConv3d(1, 1, 0), "kernel_size must be 1 to 9, got 0"),
        (lambda: SparseConv3d(1, 1, stride=9), "stride must be 1 to 8, got 9"),
        (lambda: SparsePool3d("median"), "mode must be 'max', 'mean' or 'sum', got 'median'"),
        (lambda: SubmanifoldConv3d(4, 1)(voxels_of("full")), "takes 4 channels, got 3"),
        (
            lambda: SparseConvTranspose3d(3, 1)(voxels_of("full"), voxels_of("full").voxels),
            "onto must have stride 1 / 2, got 1",
        ),
    ],
)
def test_invalid_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
