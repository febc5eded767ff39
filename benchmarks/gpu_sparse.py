"""Sparse networks on a GPU: checks against a CPU, time and memory, a training of rooms.

The training runs one process for each method and seed, all on the one GPU, so the runs that are
compared train beside each other. The processes share out the making of the rooms, and after a
pilot agree on the number of steps that all of them can make. Scans are turned, mirrored, resized
and recoloured on the GPU; the last weights are tested, none are chosen.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gpu_speed import milliseconds
from gpu_training import METHODS, Pace
from measure import peak_extra_memory
from sparse import build_maps, pairs_by_offset, plain_convolution, rooms
from torch import Tensor, nn
from torch import multiprocessing as mp

from equiseg import (
    CenterCollapseLoss,
    ClassStatistics,
    FeatureTap,
    FrequencyGroups,
    class_centers,
    voxel_side,
)
from equiseg.data.points.rooms import RoomConfig, RoomData
from equiseg.data.points.sample import PointSample
from equiseg.data.points.voxels import collate_points
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
from equiseg.training.config import OptimizerConfig, TrainConfig
from equiseg.training.criterion import build_criterion
from equiseg.training.inputs import inverse_of, moved, network_input
from equiseg.training.optimizer import build_optimizer, learning_rate_factor

if TYPE_CHECKING:
    from gpu import Section

IGNORED = 255
CHANNELS, CLASSES = 24, 40
# Errors are norms of differences over norms of the reference, which is float64 on a CPU; the
# largest one of output, gradient of the features and gradient of the weights counts.
EXACT, DOUBLE, SINGLE = 0.0, 1e-12, 2e-5
BF16, FP16 = 2.0**-7, 2.0**-10  # of a layer: features, weights and products are rounded once each
# Of a network: rounding piles up, and ReLUs tip over. In half precision with the batch norms in
# eval mode: those of a few coarse voxels would blow up any rounding.
DEEP_DOUBLE, DEEP_SINGLE, DEEP_BF16, DEEP_FP16 = 1e-8, 1e-3, 2.0**-4, 2.0**-7

Result = tuple[float, float]  # the error, and the largest allowed


class _NotHereError(Exception):
    """The check needs what this machine has not."""


def checks(section: Section) -> None:
    """Run all of them; a failing one does not stop the others."""
    for name, check in _all(section.device, section.tiny):
        if not section.fits(name, 1):
            continue
        try:
            error, allowed = check()
        except _NotHereError as missing:
            section.skipped.append(f"{name}: {missing}")
        except Exception as failure:
            section.add({"check": name, "passed": False, "note": str(failure).split("\n")[0][:160]})
            section.facts[f"traceback of {name}"] = traceback.format_exc().splitlines()[-25:]
        else:
            row = {"check": name, "passed": error <= allowed, "error": error, "allowed": allowed}
            section.add(row)
    failed = [row["check"] for row in section.rows if not row["passed"]]
    section.facts["failed"] = failed or "none"


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


def _all(device: str, tiny: bool) -> Iterator[tuple[str, Callable[[], Result]]]:
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
        yield f"{name}: bf16 autocast, eval mode", partial(calm, DEEP_BF16, half=torch.bfloat16)
        yield f"{name}: fp16 autocast, eval mode", partial(calm, DEEP_FP16, half=torch.float16)
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
    # So many that they are taken a block of classes at a time.
    most = (200, 1000) if tiny else (2000, 50_000)
    yield (
        f"points in voxels, centers: {most[0]} classes",
        partial(_by_points, device, "centers", *most),
    )


def _scattered(number: int) -> Tensor:
    """Voxels of a batch of four, the second empty, around the origin, in no order."""
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
    """Output, and the gradients of features and of all weights for one that is drawn for it."""
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
    """The largest error, NaN where there is any."""
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
    """A layer or network on the device against itself on the CPU."""
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
    """Training mode; an error counts what is not finite."""
    features = _draw(len(coordinates), CHANNELS).to(device)
    return _not_finite(_pulled(_seeded(build).to(device), coordinates, features, half)), EXACT


def _not_finite(found: list[Tensor]) -> float:
    return float(sum(int((~values.isfinite()).sum()) for values in found))


def _twice(
    device: str, build: Callable[[], nn.Module], coordinates: Tensor, half: torch.dtype | None
) -> Result:
    """Output and gradients, maps made anew each time, to the bit; an error counts what differs."""
    module = _seeded(build).to(device)
    features = _draw(len(coordinates), CHANNELS).to(device)
    first, *others = (_pulled(module, coordinates, features, half) for _ in range(3))
    return _differing(first, others), EXACT


def _differing(first: list[Tensor], others: list[list[Tensor]]) -> float:
    pairs = ((a, b) for other in others for a, b in zip(first, other, strict=True))
    return max(float((a != b).double().mean()) for a, b in pairs)


def _no_wait_network(device: str) -> Result:
    """Forward and backward with every wait for the device turned into an error."""
    module = _seeded(_NETWORKS["MinkUNetSmall"]).to(device)
    coordinates = _scattered(3000)
    x = SparseTensor(coordinates.to(device), _draw(len(coordinates), CHANNELS).to(device))
    return _without_waiting(device, lambda: module(x).square().mean().backward())


def _without_waiting(device: str, step: Callable[[], object]) -> Result:
    if device != "cuda":
        raise _NotHereError("needs cuda")
    step()  # the first makes maps, and waits
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return 0.0, EXACT


def _empty(device: str, name: str, voxels: int) -> Result:
    """What has no neighbour, or is not there at all, passes through; an error counts the NaN."""
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
    """Value and gradient of what takes voxels and the labels of points, as often as asked."""
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
    """On the device against float64 on the CPU."""
    value = _points_step(device, name, classes, voxels, rounded)()
    reference = _points_step("cpu", name, classes, voxels, rounded, torch.float64)()
    return _difference(value, reference), SINGLE if rounded == torch.float32 else BF16


def _points_twice(device: str, name: str) -> Result:
    step = _points_step(device, name, CLASSES, 30_000)
    return _differing(step(), [step() for _ in range(3)]), EXACT


def _points_no_wait(device: str, name: str) -> Result:
    return _without_waiting(device, _points_step(device, name, CLASSES, 3000))


def speed(section: Section) -> None:
    """One convolution against plain autograd; steps of MinkUNet34C, with and without centers."""
    tiny = section.tiny
    building = _building(3000 if tiny else 200_000)
    for dtype in (torch.bfloat16, torch.float32):
        for channels in (8, 16) if tiny else (32, 96):
            if section.fits(f"convolution, {channels} channels, {dtype}", 0.3 if tiny else 3):
                section.add(
                    _convolution(section, building[: 300 if tiny else 47_000], channels, dtype)
                )
    rows = []
    torch.manual_seed(0)
    model = (MinkUNetSmall if tiny else MinkUNet34C)(3, 200).to(section.device)
    tap = FeatureTap(model, layer=model.classifier_name)
    center_loss = CenterCollapseLoss(200, tap.in_features).to(section.device)
    for dtype in (torch.bfloat16, torch.float32):  # the slowest last: it is left out first
        for voxels in (500, 1000, 3000) if tiny else (20_000, 80_000, 200_000):
            if section.fits(f"{voxels} voxels, {dtype}", 0.5 if tiny else 3 + voxels / 40_000):
                row = _network(section, model, tap, center_loss, building[:voxels], dtype)
                section.add(row)
                rows.append(row)
        if len(same := [row for row in rows if row["dtype"] == _name(dtype)]) > 1:
            sizes = np.log([row["voxels"] for row in same])
            for key in ("maps ms", "step ms", "step MB"):
                slope = np.polyfit(sizes, np.log([max(row[key], 1e-9) for row in same]), 1)[0]
                section.facts[f"{key} ~ voxels^, {_name(dtype)}"] = f"{slope:.2f}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _convolution(
    section: Section, coordinates: Tensor, channels: int, dtype: torch.dtype
) -> dict[str, Any]:
    """Forward and backward of a SubmanifoldConv3d, its maps at hand."""
    device, on_cpu = section.device, SparseTensor(coordinates, coordinates.float())
    pairs = [tuple(rows.to(device) for rows in pair) for pair in pairs_by_offset(on_cpu.voxels)]
    features = _draw(len(coordinates), channels).to(device, dtype).requires_grad_()
    x = SparseTensor(coordinates.to(device), features)
    layer = SubmanifoldConv3d(channels, channels, bias=False).to(device, dtype)
    pull = _draw(len(coordinates), channels).to(device, dtype)

    def run(forward: Callable[[], Tensor]) -> None:
        features.grad = layer.weight.grad = None
        forward().backward(pull)

    steps = {
        "ours": lambda: run(lambda: layer(x).features),
        "plain": lambda: run(lambda: plain_convolution(features, layer.weight, pairs)),
    }
    times = milliseconds(steps, device, budget=0.1 if section.tiny else 1)
    found = sum(len(source) for source, _ in pairs)
    row: dict[str, Any] = {"what": "SubmanifoldConv3d", "channels": channels}
    row |= {"voxels": len(x), "neighbors": found / len(x), "dtype": _name(dtype)}
    row |= {f"{name} ms": value for name, value in times.items()}
    row |= {f"{n} MB": peak_extra_memory(step, device) / 1e6 for n, step in steps.items()}
    row["plain over ours"] = times["plain"] / times["ours"]
    return row | {"TFLOP/s": 6 * found * channels**2 / times["ours"] / 1e9}


def _network(
    section: Section,
    model: nn.Module,
    tap: FeatureTap,
    center_loss: nn.Module,
    coordinates: Tensor,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """A step of 200 classes, three points a voxel: maps apart, without centers, with them."""
    device, voxels = section.device, len(coordinates)
    generator = torch.Generator().manual_seed(0)
    inverse = torch.randint(0, voxels, (3 * voxels,), generator=generator).to(device)
    labels = torch.randint(0, 200, (3 * voxels,), generator=generator).to(device)
    coordinates, features = coordinates.to(device), _draw(voxels, 3).to(device)
    x = SparseTensor.on(build_maps(coordinates), features)
    cross_entropy = CrossEntropyLoss(200)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def step(x: SparseTensor, branch: nn.Module | None = None) -> None:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = cross_entropy(model(x), labels, inverse=inverse)
            if branch is not None:
                loss = loss + branch(tap.features, labels, inverse=inverse)
        loss.backward()
        optimizer.step()

    step(x)
    model(x)
    width = tap.features.detach().to(dtype).requires_grad_()

    def alone() -> None:
        width.grad = None
        center_loss(width, labels, inverse=inverse).backward()

    fresh = partial(SparseTensor, coordinates, features)
    budget, least = (0.1, 1) if section.tiny else (1.5, 3)
    steps: dict[str, Callable[[], object]] = {
        "maps": lambda: build_maps(coordinates),
        "step": lambda: step(x),
        "step and maps": lambda: step(fresh()),
        "step with centers": lambda: step(x, center_loss),
    }
    times = milliseconds(steps, device, budget=budget, least=least)
    times |= milliseconds({"centers add": alone}, device, budget=budget / 5, least=5)
    row: dict[str, Any] = {"what": type(model).__name__, "voxels": voxels, "dtype": _name(dtype)}
    row |= {f"{name} ms": value for name, value in times.items()}
    row["centers add %"] = 100 * times["centers add"] / times["step"]
    for name, branch in {"step": None, "step with centers": center_loss}.items():
        optimizer.zero_grad()
        row[f"{name} MB"] = peak_extra_memory(lambda b=branch: step(fresh(), b), device) / 1e6
    return row


ROOMS = {"train": 240, "test": 80}
_SCANS, _TINY_SCANS = RoomConfig(points=10_000), RoomConfig(num_classes=6, points=1000)
_OPTIMIZER = OptimizerConfig(lr=4e-3)  # as in `equiseg demo --points`
_BATCH, _MOST_STEPS = 8, 3000
_WARM, _PILOT = 6, 16  # steps before the measured ones, and before their number is first agreed
_TESTED_LIKE = 0.5  # of a training step, what a batch of the test takes
_MARGIN, _LAST_SECONDS = 0.8, 4.0


def training(section: Section) -> None:
    """Built-in rooms with cross entropy and with the center collapse regularizer."""
    seeds = section.seeds[:1] if section.tiny else section.seeds
    jobs = [(method, seed) for seed in seeds for method in METHODS]
    context = mp.get_context("spawn")
    pace = Pace(context, len(jobs))
    with tempfile.TemporaryDirectory() as name:
        place = (Path(name), section.device, section.tiny, section.ends - _LAST_SECONDS)
        processes = [
            context.Process(target=_work, args=(job, number, len(jobs), pace, *place))
            for number, job in enumerate(jobs)
        ]
        for process in processes:
            process.start()
        try:
            for process in processes:
                process.join(max(section.left(), 0.1))
        finally:
            for process in processes:
                if process.is_alive():
                    process.terminate()
                    section.skipped.append(f"{process.name}: stopped at the end of the time")
            files = sorted(Path(name).glob("run-*.json"))
            runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    for method in METHODS:
        of_method = [run for run in runs if run["method"] == method]
        for run in of_method:
            if "traceback" in run:
                section.facts[f"{method}, {run['seed']}"] = run.pop("traceback")
            section.add(run)
        if scored := [run for run in of_method if "miou" in run]:
            keys = [key for key in scored[0] if isinstance(scored[0][key], float)]
            means = {key: sum(run[key] for run in scored) / len(scored) for key in keys}
            section.add({"method": method, "seed": f"mean of {len(scored)}"} | means)


def _work(
    job: tuple[Any, int],
    number: int,
    processes: int,
    pace: Pace,
    folder: Path,
    device: str,
    tiny: bool,
    ends: float,
) -> None:
    """One method and seed."""
    torch.set_num_threads(1)
    run: dict[str, Any] = {"method": job[0], "seed": job[1]}
    try:
        config = _TINY_SCANS if tiny else _SCANS
        for split, scans in ROOMS.items():
            data = RoomData(config, split, 2 * _BATCH if tiny else scans)
            own = [tuple(data[index]) for index in range(number, len(data), processes)]
            torch.save(own, folder / f"{split}-{number}.pt")
        if not pace.wait():
            raise RuntimeError("another process could not make its rooms")
        splits = {
            split: [
                PointSample(
                    *(moved(part, device) if torch.is_tensor(part) else part for part in scan)
                )
                for file in sorted(folder.glob(f"{split}-*.pt"))
                for scan in torch.load(file)
            ]
            for split in ROOMS
        }
        run |= _train(
            *job, splits, config.num_classes, device, ends, lambda n: pace.least(number, n)
        )
    except Exception:
        run["traceback"] = traceback.format_exc().splitlines()
    finally:
        pace.leave()
    (folder / f"run-{number}.json").write_text(json.dumps(run), encoding="utf-8")


def _train(
    method: Any,
    seed: int,
    splits: dict[str, list[PointSample]],
    classes: int,
    device: str,
    ends: float,
    agree: Callable[[int], int],
) -> dict[str, Any]:
    """Train as many steps as all processes can make, and test."""
    scans, start = splits["train"], time.monotonic()
    statistics = ClassStatistics.from_labels([s.labels_N.cpu() for s in scans], classes, IGNORED)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = MinkUNetSmall(3, classes).to(device)
    model.standardize.measure(scan.features_NC for scan in scans)
    tap = FeatureTap(model, layer=model.classifier_name)
    criterion = build_criterion(TrainConfig(method=method), statistics, tap.in_features, IGNORED)
    criterion = criterion.to(device)
    optimizer = build_optimizer(model, criterion, _OPTIMIZER)
    peaks = [group["lr"] for group in optimizer.param_groups]
    steps, step, losses, order = _MOST_STEPS, 0, [], torch.empty(0).long()
    seen, asked = _WARM, _PILOT
    while step < steps and time.monotonic() < ends:
        if step == _WARM:
            measured = time.monotonic()
        if step == asked:
            seconds = (time.monotonic() - measured) / (step - seen)
            test = _TESTED_LIKE * seconds * len(splits["test"]) / _BATCH
            more = (_MARGIN * (ends - time.monotonic()) - test) / seconds
            steps = agree(max(step + 1, min(steps, step + int(more))))
            # Again halfway to the end: whatever slows down, the rate comes to zero in time.
            measured, seen, asked = time.monotonic(), step, max(step + 1, (step + steps) // 2)
        factor = learning_rate_factor(step, steps, _OPTIMIZER)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        if len(order) < _BATCH:
            order = torch.randperm(len(scans), generator=generator)
        chosen, order = order[:_BATCH], order[_BATCH:]
        batch, labels = _batch([_changed(scans[i], generator) for i in chosen])
        parts = criterion(model(network_input(batch)), tap.features, labels, inverse_of(batch))
        loss = torch.stack(list(parts.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), _OPTIMIZER.clip)
        optimizer.step()
        losses.append(parts["pixel"].detach())
        step += 1
    last = float(torch.stack(losses[-50:]).mean())
    if not math.isfinite(last):
        raise ValueError(f"the loss is {last} after {step} steps")
    scores = _test(model, splits["test"], statistics)
    seconds = time.monotonic() - start
    return {"steps": step, "agreed": steps, "seconds": seconds, "last cross entropy": last} | scores


def _batch(scans: list[PointSample]) -> tuple[Any, Tensor]:
    return collate_points(scans, RoomData.voxel_size)


def _changed(scan: PointSample, generator: torch.Generator) -> PointSample:
    """Turned about the vertical, mirrored, resized within a tenth, another lamp, noisy colours."""
    draws = torch.rand(6, generator=generator)
    angle, scale = 2 * math.pi * float(draws[0]), 0.9 * (1.1 / 0.9) ** float(draws[1])
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    mirror = -1 if draws[2] < 0.5 else 1
    turn_33 = torch.tensor([[mirror * cosine, -sine, 0], [mirror * sine, cosine, 0], [0, 0, scale]])
    xyz_N3 = scan.xyz_N3 @ turn_33.to(scan.xyz_N3).T
    colours_NC = scan.features_NC + 0.1 * (draws[3:] - 0.5).to(scan.features_NC)
    colours_NC = (colours_NC + 0.05 * torch.randn_like(colours_NC)).clamp(0, 1)
    return scan._replace(xyz_N3=xyz_N3, features_NC=colours_NC)


@torch.inference_mode()
def _test(
    model: nn.Module, scans: list[PointSample], statistics: ClassStatistics
) -> dict[str, float]:
    """Mean IoU over the points, also of the groups; none needs more packages than torch."""
    classes = len(statistics.pixels_K)
    confusion = torch.zeros(classes**2, dtype=torch.int64)
    model.eval()
    for first in range(0, len(scans), _BATCH):
        batch, labels = _batch(scans[first : first + _BATCH])
        predicted = model(network_input(batch)).argmax(1)[batch.inverse_N]
        confusion += torch.bincount(labels * classes + predicted, minlength=classes**2).cpu()
    confusion_KK = confusion.view(classes, classes).double()
    hit_K, labelled_K = confusion_KK.diagonal(), confusion_KK.sum(1)
    iou_K = hit_K / (labelled_K + confusion_KK.sum(0) - hit_K)
    groups = dict(FrequencyGroups.from_counts(statistics.pixels_K))
    scores = {"miou": iou_K, "mean accuracy": hit_K / labelled_K}
    scores |= {name: iou_K[list(ids)] for name, ids in groups.items()}
    return {name: float(values.nanmean()) for name, values in scores.items()}
