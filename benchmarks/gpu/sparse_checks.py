"""Checks of sparse networks and of points in voxels on a GPU, against float64 on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.checking import EXACT, Check, Result, run_checks, without_waiting
from benchmarks.gpu.section import Section
from benchmarks.speed.sparse import rooms
from equiseg import (
    CenterCollapseLoss,
    class_centers,
    voxel_side,
)
from equiseg.losses import CrossEntropyLoss
from equiseg.models.sparse import (
    GlobalPool,
    MinkUNet34C,
    MinkUNetSmall,
    SparseConv3d,
    SparseConvTranspose3d,
    SparsePool3d,
    SparseTensor,
    SubmanifoldConv3d,
)
from equiseg.models.sparse.minkunet import Standardize

IGNORED = 255
CHANNELS, CLASSES = 24, 40
# Errors are norms of differences over norms of the reference, which is float64 on a CPU; the
# largest one of output, gradient of the features and gradient of the weights counts.
DOUBLE, SINGLE = 1e-12, 2e-5
BF16, FP16 = 2.0**-7, 2.0**-10  # for a layer: features, weights and products are each rounded once
# For a network: rounding errors accumulate, and some ReLUs change sign. In half precision, batch
# norms are in eval mode, because on a few coarse voxels they would amplify rounding (in fp16,
# unscaled gradients of small features also lose bits).
DEEP_DOUBLE, DEEP_SINGLE, DEEP_HALF = 1e-8, 1e-3, 2.0**-3


def checks(section: Section) -> None:
    """Layers, networks and losses of points in voxels."""
    run_checks(section, _all(section.device, section.tiny))


class _DownUp(nn.Module):
    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.down = SparseConv3d(CHANNELS, 40, kernel_size)
        self.up = SparseConvTranspose3d(40, CHANNELS, kernel_size)

    def forward(self, x: SparseTensor) -> SparseTensor:
        return self.up(self.down(x), x.voxels)


class _Global(GlobalPool):
    def forward(self, x: SparseTensor) -> Tensor:
        return super().forward(x, 4)


_LAYERS: dict[str, Callable[[], nn.Module]] = {
    "submanifold, kernel 3": lambda: SubmanifoldConv3d(CHANNELS, 40),
    "submanifold, kernel 5": lambda: SubmanifoldConv3d(CHANNELS, 16, 5),
    "stride 2, kernel 2": lambda: SparseConv3d(CHANNELS, 40),
    "stride 2, kernel 3": lambda: SparseConv3d(CHANNELS, 40, 3),
    "transposed, kernel 2": lambda: _DownUp(2),
    "transposed, kernel 3": lambda: _DownUp(3),
    "max pool": lambda: SparsePool3d("max"),
    "mean pool": lambda: SparsePool3d("mean"),
    "sum pool": lambda: SparsePool3d("sum"),
    "global max": lambda: _Global("max"),
    "global mean": lambda: _Global("mean"),
}
_NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MinkUNetSmall": lambda: MinkUNetSmall(CHANNELS, CLASSES),
    "MinkUNet34C": lambda: MinkUNet34C(CHANNELS, CLASSES),
}


def _all(device: str, tiny: bool) -> Iterator[tuple[str, Check]]:
    few, many = _scattered(400 if tiny else 3000), _building(2000 if tiny else 100_000)
    for name, build in _LAYERS.items():
        same = partial(_same, device, build, few)
        yield f"{name}: float64", partial(same, DOUBLE, torch.float64)
        yield f"{name}: float32", partial(same, SINGLE, torch.float32)
        if "pool" not in name and "global" not in name:
            yield f"{name}: bf16 autocast", partial(same, BF16, half=torch.bfloat16)
            yield f"{name}: fp16 autocast", partial(same, FP16, half=torch.float16)
    wide = partial(_same, device, _LAYERS["submanifold, kernel 3"], many, SINGLE)
    yield f"submanifold, {len(many)} voxels: float32", wide
    for name, build in _NETWORKS.items():
        same = partial(_same, device, build, few[:1500])
        yield f"{name}: float64", partial(same, DEEP_DOUBLE, torch.float64)
        yield f"{name}: float32", partial(same, DEEP_SINGLE)
        calm = partial(_same, device, _calm(build), few[:1500])
        yield f"{name}: bf16 autocast, eval mode", partial(calm, DEEP_HALF, half=torch.bfloat16)
        yield f"{name}: fp16 autocast, eval mode", partial(calm, DEEP_HALF, half=torch.float16)
        for half in (torch.bfloat16, torch.float16):
            finite = partial(_finite, device, build, few, half)
            yield f"{name}: finite under {_name(half)} autocast", finite
    for half in (None, torch.bfloat16):
        kind = "float32" if half is None else "bf16 autocast"
        for name, build in {**_LAYERS, **_NETWORKS}.items():
            if name in ("submanifold, kernel 3", "transposed, kernel 2", "max pool", *_NETWORKS):
                places = many[:20_000] if name in _NETWORKS else many
                twice = partial(_twice, device, build, places, half)
                yield f"bitwise the same twice: {name}, {kind}", twice
    yield "no wait for the device: MinkUNetSmall, maps ready", partial(_no_wait_network, device)
    for name in _NETWORKS:
        yield f"{name} without voxels", partial(_empty, device, name, 0)
        yield f"{name}, one voxel", partial(_empty, device, name, 1)
    yield "standardize: measured and applied", partial(_standardized, device)
    for name in ("centers", "centers, side ready", "cross entropy", "center loss"):
        case = f"points in voxels, {name}"
        half = {"rounded": torch.bfloat16}
        yield f"{case}: float32", partial(_by_points, device, name)
        yield f"{case}: bf16 features", partial(_by_points, device, name, **half)
        yield f"{case}: bitwise the same twice", partial(_points_twice, device, name)
        yield f"{case}: no wait for the device", partial(_points_no_wait, device, name)
    # So many classes that they are processed in blocks.
    most = (200, 1000) if tiny else (2000, 50_000)
    yield (
        f"points in voxels, centers: {most[0]} classes",
        partial(_by_points, device, "centers", *most),
    )


def _scattered(number: int) -> Tensor:
    """Voxels of a batch of four, the second empty, around the origin, in random order."""
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(-8, 8, (2 * number, 4), generator=generator)
    places[:, 0] = torch.tensor([0, 2, 3])[places[:, 0] % 3]
    places = torch.unique(places, dim=0)
    return places[torch.randperm(len(places), generator=generator)][:number]


@cache
def _building(number: int) -> Tensor:
    return rooms(number)


def _pulled(
    module: nn.Module, coordinates: Tensor, features: Tensor, half: torch.dtype | None = None
) -> list[Tensor]:
    """Output, and gradients of features and weights for a random gradient of the output."""
    leaf, device = features.detach().requires_grad_(), features.device
    module.zero_grad()
    with torch.autocast(device.type, half or torch.bfloat16, enabled=half is not None):
        output = module(SparseTensor(coordinates.to(device), leaf))
    output = getattr(output, "features", output)
    pull = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    output.backward(pull.to(output))
    weights = [parameter.grad.flatten() for parameter in module.parameters()]
    return [output.detach(), leaf.grad, torch.cat([*weights, leaf.new_zeros(1)])]


def _difference(values: list[Tensor], references: list[Tensor]) -> float:
    """The largest error; NaN if there is any NaN."""
    errors = [
        (value.detach().cpu().double() - reference).norm() / reference.norm().clamp(min=1e-300)
        for value, reference in zip(values, references, strict=True)
    ]
    return float(torch.stack(errors).max())


def _same(
    device: str,
    build: Callable[[], nn.Module],
    coordinates: Tensor,
    allowed: float,
    dtype: torch.dtype = torch.float32,
    half: torch.dtype | None = None,
) -> Result:
    """Compare a layer or network on the device with itself on the CPU."""
    features = _draw(len(coordinates), CHANNELS)
    value = _pulled(_seeded(build).to(device, dtype), coordinates, features.to(device, dtype), half)
    return _difference(value, _reference(build, coordinates)), allowed


@cache
def _reference(build: Callable[[], nn.Module], coordinates: Tensor) -> list[Tensor]:
    features = _draw(len(coordinates), CHANNELS)
    return _pulled(_seeded(build).double(), coordinates, features.double())


def _seeded(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build()


def _draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _calm(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: build().eval()


def _finite(
    device: str, build: Callable[[], nn.Module], coordinates: Tensor, half: torch.dtype
) -> Result:
    """Training mode; the error is the number of values that are not finite."""
    features = _draw(len(coordinates), CHANNELS).to(device)
    return _not_finite(_pulled(_seeded(build).to(device), coordinates, features, half)), EXACT


def _not_finite(found: list[Tensor]) -> float:
    return float(sum(int((~values.isfinite()).sum()) for values in found))


def _twice(
    device: str, build: Callable[[], nn.Module], coordinates: Tensor, half: torch.dtype | None
) -> Result:
    """Bitwise comparison of repeated runs with new maps; the error counts differing values."""
    module = _seeded(build).to(device)
    features = _draw(len(coordinates), CHANNELS).to(device)
    first, *others = (_pulled(module, coordinates, features, half) for _ in range(3))
    return _differing(first, others), EXACT


def _differing(first: list[Tensor], others: list[list[Tensor]]) -> float:
    pairs = ((a, b) for other in others for a, b in zip(first, other, strict=True))
    return max(float((a != b).double().mean()) for a, b in pairs)


def _no_wait_network(device: str) -> Result:
    """Forward and backward of a network."""
    module = _seeded(_NETWORKS["MinkUNetSmall"]).to(device)
    coordinates = _scattered(3000)
    x = SparseTensor(coordinates.to(device), _draw(len(coordinates), CHANNELS).to(device))
    return without_waiting(device, lambda: module(x).square().mean().backward())


def _empty(device: str, name: str, voxels: int) -> Result:
    """Zero or one voxel passes through; the error is the number of NaN."""
    module, places = _seeded(_NETWORKS[name]).to(device), torch.zeros(voxels, 4).long()
    found = _pulled(module, places, _draw(voxels, CHANNELS).to(device))
    if found[0].shape != (voxels, CLASSES):
        raise AssertionError(f"logits of shape {tuple(found[0].shape)}")
    return _not_finite(found), EXACT


def _standardized(device: str) -> Result:
    samples = list((_draw(3000, 5) * torch.tensor([1e-2, 1, 40, 0, 3]) + 2).split(1000))
    on_device, on_cpu = Standardize(5).to(device), Standardize(5).double()
    on_device.measure(sample.to(device) for sample in samples)
    on_cpu.measure(samples)
    value = on_device(samples[0].to(device))
    return _difference([value], [on_cpu(samples[0].double())]), SINGLE


def _points_step(
    device: str,
    name: str,
    classes: int,
    voxels: int,
    rounded: torch.dtype = torch.float32,
    dtype: torch.dtype | None = None,
) -> Callable[[], list[Tensor]]:
    """A function for value and gradient of a loss or center sum over points in voxels."""
    generator = torch.Generator().manual_seed(1)
    width = classes if name == "cross entropy" else CHANNELS
    features = _draw(voxels, width).to(rounded).to(device, dtype)
    inverse = torch.randint(0, voxels, (3 * voxels,), generator=generator)
    labels = torch.randint(0, classes - 2, (3 * voxels,), generator=generator)
    ignored = IGNORED if classes <= IGNORED else -1
    labels[torch.rand(len(labels), generator=generator) < 0.1] = ignored
    keywords: dict[str, Any] = {"ignore_index": ignored}
    more = {"inverse": inverse.to(device)}
    if name == "centers, side ready":
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        side = voxel_side(labels, inverse, voxels, classes, dtype=wide, **keywords)
        more["label_side"] = side.to(device)
    function: Callable[..., Any] = partial(class_centers, num_classes=classes, **keywords)
    if name == "cross entropy":
        function = CrossEntropyLoss(classes, **keywords)
    elif name == "center loss":
        function = CenterCollapseLoss(classes, width, **keywords).to(device)
    pull, there = _draw(classes, width).to(device, dtype), labels.to(device)

    def step() -> list[Tensor]:
        leaf = features.detach().requires_grad_()
        value = function(leaf, labels=there, **more)
        value = getattr(value, "centers_KD", value)
        value.backward(pull if value.ndim else None)
        return [value.detach(), leaf.grad]

    return step


def _by_points(
    device: str,
    name: str,
    classes: int = CLASSES,
    voxels: int = 3000,
    rounded: torch.dtype = torch.float32,
) -> Result:
    """Compare the device with float64 on the CPU."""
    value = _points_step(device, name, classes, voxels, rounded)()
    reference = _points_step("cpu", name, classes, voxels, rounded, torch.float64)()
    return _difference(value, reference), SINGLE if rounded == torch.float32 else BF16


def _points_twice(device: str, name: str) -> Result:
    step = _points_step(device, name, CLASSES, 30_000)
    return _differing(step(), [step() for _ in range(3)]), EXACT


def _points_no_wait(device: str, name: str) -> Result:
    return without_waiting(device, _points_step(device, name, CLASSES, 3000))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
