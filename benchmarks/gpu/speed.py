"""Time and memory on a GPU: bandwidth, class centers, training steps, scores."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.section import Section
from benchmarks.measure import peak_extra_memory
from benchmarks.speed.routes import (
    IGNORED,
    fused,
    fused_runs,
    nearest,
    ours,
    published,
    published_bytes,
    regions,
)
from benchmarks.speed.step import CLASSES, PublishedBranch
from equiseg import CenterCollapseLoss, FeatureTap, label_side
from equiseg.losses import CrossEntropyLoss
from equiseg.models.build import build_model

_CACHE_BYTES = 2**28  # written before each timed call: more than the cache of any GPU
_MOST_ROUNDS = 30
_ROUTES = {"published": published, "nearest": nearest, "ours": ours}


def milliseconds(
    functions: Mapping[str, Callable[[], object]], device: str, *, budget: float, least: int = 3
) -> dict[str, float]:
    """Median milliseconds of functions that take turns, each with a cold cache.

    On a GPU, the time between two events around the call, including waits inside the function.

    Args:
        functions: The functions to time, by name.
        device: "cuda" or "cpu".
        budget: Approximate seconds for all calls.
        least: Smallest number of rounds.
    """
    for _ in range(2):
        start = time.perf_counter()
        for function in functions.values():
            function()
        _wait(device)
    once = time.perf_counter() - start
    rounds = max(least, min(_MOST_ROUNDS, int(budget / max(once, 1e-6))))
    taken: dict[str, list[Any]] = {name: [] for name in functions}
    flush = torch.empty(_CACHE_BYTES if device == "cuda" else 1, dtype=torch.int8, device=device)
    for _ in range(rounds):
        for name, function in functions.items():
            flush.zero_()
            taken[name].append(_timed(function, device))
    _wait(device)
    return {
        name: statistics.median(
            pair if isinstance(pair, float) else pair[0].elapsed_time(pair[1]) for pair in pairs
        )
        for name, pairs in taken.items()
    }


def _timed(function: Callable[[], object], device: str) -> Any:
    """Milliseconds, or the two events around the call."""
    if device != "cuda":
        start = time.perf_counter()
        function()
        return 1e3 * (time.perf_counter() - start)
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    function()
    last.record()
    return first, last


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def floor(section: Section) -> None:
    """Bandwidth of a copy, bytes read and written."""
    size = 2**20 if section.tiny else 2**30
    source = torch.ones(size, dtype=torch.int8, device=section.device)
    target = torch.empty_like(source)
    times = milliseconds({"copy": lambda: target.copy_(source)}, section.device, budget=1)
    bandwidth = 2 * size / times["copy"] / 1e6
    section.shared["GB/s"] = bandwidth
    section.add({"copied MB": size / 1e6, "ms": times["copy"], "GB/s": bandwidth})


def centers(section: Section) -> None:
    """Class centers by the routes of benchmarks/speed/routes.py, forward and backward."""
    small, large = (16, 64) if section.tiny else (128, 512)
    every = ("published", "nearest", "ours", "ready")
    cases: list[tuple[int, int, int, dict[str, Any]]] = [
        (4, 128, 150, {}),
        (4, 128, 150, {"layout": torch.channels_last}),
        (4, 128, 150, {"dtype": torch.bfloat16}),
        (16, 128, 150, {}),
        (16, 512, 19, {}),
        (16, 512, 150, {}),
        (4, 128, 1000, {}),
        (4, 256, 10_000, {"routes": ("ours", "ready")}),
    ]
    for batch, dim, classes, more in cases:
        batch, dim, classes = (2, 16, 5 + classes // 10) if section.tiny else (batch, dim, classes)
        case = f"{batch} x {dim}, K {classes}"
        if section.fits(case, 0.3 if section.tiny else 6):
            more = {"routes": every} | more
            section.add(_centers_row(section, (batch, dim, classes), (small, large), **more))
    section.facts["top kernels of ours, first case"] = _top_kernels(section, small, large)


def _centers_row(
    section: Section,
    case: tuple[int, int, int],
    sizes: tuple[int, int],
    routes: tuple[str, ...],
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
) -> dict[str, Any]:
    (batch, dim, classes), small, device = case, sizes[0], section.device
    row: dict[str, Any] = {
        "batch": batch,
        "D": dim,
        "K": classes,
        "features": f"{str(dtype).removeprefix('torch.')}, "
        f"{str(layout).removeprefix('torch.').removesuffix('_format').replace('_', ' ')}",
    }
    features, labels = _maps(case, sizes, device, dtype, layout)
    side = label_side(labels, classes, (small, small), ignore_index=IGNORED)
    steps = {name: _step(_ROUTES[name], features, labels, classes) for name in routes[:-1]}
    steps["ready"] = _step(ours, features, labels, classes, side)
    if fused_runs(device):
        steps["fused"] = _step(fused, features, labels, classes)
    runs_published = "published" in steps
    if runs_published and device == "cuda":
        needed, free = (
            published_bytes(labels.numel(), labels.numel(), dim, classes),
            torch.cuda.mem_get_info()[0],
        )
        if needed > 0.8 * free:
            del steps["published"]
            runs_published = False
            section.skipped.append(f"published at {case}: needs {needed / 1e9:.0f} GB")
    memory = {}
    for name in ("published", "ours", "fused"):
        if name in steps:
            features.grad = None
            memory[f"{name} MB"] = peak_extra_memory(steps[name], device) / 1e6
    times = milliseconds(steps, device, budget=0.3 if section.tiny else 3)
    row |= {f"{name} ms": value for name, value in times.items()}
    if runs_published:
        row["times faster"] = times["published"] / times["ours"]
        row["ready, times faster"] = times["published"] / times["ready"]
    # The features and labels are read once, the gradient is written once.
    moved = 2 * features.nbytes
    if "GB/s" in section.shared:
        bandwidth = section.shared["GB/s"] * 1e6  # bytes a millisecond
        row["floor ms"] = (moved + labels.nbytes) / bandwidth
        row["ours, times floor"] = times["ours"] / row["floor ms"]
        row["ready, times floor"] = times["ready"] / (moved / bandwidth)
    if "fused" in times:
        row["fused, times faster than ours"] = times["ours"] / times["fused"]
    return row | memory


def _maps(
    case: tuple[int, int, int],
    sizes: tuple[int, int],
    device: str,
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
) -> tuple[Tensor, Tensor]:
    (batch, dim, classes), (small, large) = case, sizes
    features = torch.randn(batch, dim, small, small, device=device, dtype=dtype)
    features = features.contiguous(memory_format=layout).requires_grad_()
    return features, regions(batch, classes, large).to(device)


def _step(
    route: Callable[..., Tensor], features: Tensor, labels: Tensor, classes: int, *more: Any
) -> Callable[[], Tensor]:
    """Forward and backward of a route."""

    def step() -> Tensor:
        features.grad = None
        centers_KD = route(features, labels, classes, *more)
        centers_KD.backward(torch.ones_like(centers_KD))
        return centers_KD

    return step


def _top_kernels(section: Section, small: int, large: int) -> list[str]:
    """The kernels that take most of the time of one forward and backward."""
    from torch.profiler import ProfilerActivity, profile

    case = (2, 16, 15) if section.tiny else (4, 128, 150)
    features, labels = _maps(case, (small, large), section.device)
    step = _step(ours, features, labels, case[2])
    step()
    _wait(section.device)
    on_gpu = section.device == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as seen:
        step()
        _wait(section.device)

    def spent(event: Any) -> float:
        return event.self_device_time_total if on_gpu else event.self_cpu_time_total

    events = sorted(seen.key_averages(), key=spent, reverse=True)[:12]
    total = sum(spent(event) for event in seen.key_averages())
    lines = [f"{spent(e):9.1f} us  {e.count:3d} x  {e.key[:90]}" for e in events]
    return [f"{total:9.1f} us  all", *lines]


def step(section: Section) -> None:
    """Training steps with cross entropy alone, with our branch and with the published branch."""
    for name in ("segformer-b0", "upernet-swin-t"):
        if section.fits(name, 2 if section.tiny else 18):
            section.add(_step_row(section, name))


def _step_row(section: Section, name: str) -> dict[str, Any]:
    batch, size = (2, 64) if section.tiny else (16, 512)
    device = section.device
    torch.manual_seed(0)
    model = build_model(name, CLASSES).to(device).train()
    tap = FeatureTap(model, num_classes=CLASSES)
    pixel_loss = CrossEntropyLoss(CLASSES, ignore_index=IGNORED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    images = torch.rand(batch, 3, size, size, device=device)
    labels = regions(batch, CLASSES, size).to(device)

    def training_step(branch: nn.Module | None = None) -> None:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16):
            loss = pixel_loss(model(images), labels)
            if branch is not None:
                loss = loss + branch(tap.features, labels)
        loss.backward()
        optimizer.step()

    training_step()
    with torch.autocast(device, torch.bfloat16):
        model(images)
    features = tap.features.detach().requires_grad_()
    features.grad = torch.zeros_like(features)
    branches = {
        "ours": CenterCollapseLoss(CLASSES, tap.in_features, ignore_index=IGNORED).to(device),
        "published": PublishedBranch(tap.in_features, torch.full((CLASSES,), 0.1)).to(device),
    }

    def alone(branch: nn.Module) -> None:
        with torch.autocast(device, torch.bfloat16):
            loss = branch(features, labels)
        loss.backward()

    steps: dict[str, Callable[[], None]] = {
        "plain": training_step,
        **{f"with {key}": lambda b=b: training_step(b) for key, b in branches.items()},
    }
    added = {key: lambda b=b: alone(b) for key, b in branches.items()}
    kind = f"{'x'.join(map(str, features.shape[1:]))} {str(features.dtype).removeprefix('torch.')}"
    row: dict[str, Any] = {"model": name, "batch": batch, "features": kind}
    row |= _times(section, steps, added)
    for key, function in steps.items():
        optimizer.zero_grad()
        row[f"{key} MB"] = peak_extra_memory(function, device) / 1e6
    return row


def _times(
    section: Section, steps: dict[str, Callable[[], None]], added: dict[str, Callable[[], None]]
) -> dict[str, float]:
    """Milliseconds of whole steps, and the time that each branch adds."""
    budget, least = (0.3, 1) if section.tiny else (5, 5)
    times = milliseconds(steps, section.device, budget=budget, least=least)
    row = {f"{key} ms": value for key, value in times.items()}
    branches = milliseconds(added, section.device, budget=budget / 2, least=least)
    for key, value in branches.items():
        row |= {f"{key} adds ms": value, f"{key} adds %": 100 * value / times["plain"]}
    return row


def score(section: Section) -> None:
    """One update of the score at 4 x 512^2 and 150 classes, against torchmetrics."""
    from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

    from equiseg import SegmentationScore

    classes, ignored, device = 150, 255, section.device
    batch, size = (1, 64) if section.tiny else (4, 512)
    labels = regions(batch, classes, size).to(device)
    labels = labels.masked_fill(labels == IGNORED, ignored)
    logits = torch.randn(batch, classes, size, size, device=device)
    metrics: dict[str, Any] = {
        "ours": SegmentationScore(classes, ignore_index=ignored),
        "confusion": MulticlassConfusionMatrix(classes, ignore_index=ignored),
        "confusion, unchecked": MulticlassConfusionMatrix(
            classes, ignore_index=ignored, validate_args=False
        ),
        "jaccard": MulticlassJaccardIndex(classes, ignore_index=ignored),
    }
    for name, predictions in {"class ids": logits.argmax(1), "logits": logits}.items():
        if not section.fits(name, 0.5 if section.tiny else 3):
            continue
        updates = {
            key: lambda m=m, p=predictions: m.update(p, labels)
            for key, m in ((key, metric.to(device)) for key, metric in metrics.items())
        }
        times = milliseconds(updates, device, budget=0.3 if section.tiny else 2)
        row: dict[str, Any] = {"predictions": name, "labels": f"{batch}x{size}x{size}"}
        row |= {f"{key} ms": value for key, value in times.items()}
        fastest = min(value for key, value in times.items() if key != "ours")
        section.add(row | {"times faster": fastest / times["ours"]})
