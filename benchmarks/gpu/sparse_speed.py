"""Time and memory of sparse networks on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.gpu.section import Section
from benchmarks.gpu.sparse_checks import _building, _draw
from benchmarks.gpu.speed import milliseconds
from benchmarks.measure import peak_extra_memory
from benchmarks.speed.sparse import build_maps, pairs_by_offset, plain_convolution
from equiseg import (
    CenterCollapseLoss,
    FeatureTap,
)
from equiseg.losses import CrossEntropyLoss
from equiseg.models.sparse import (
    MinkUNet34C,
    MinkUNetSmall,
    SparseTensor,
    SubmanifoldConv3d,
)


def speed(section: Section) -> None:
    """One convolution and plain autograd; steps of MinkUNet34C with and without centers."""
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
    for dtype in (torch.bfloat16, torch.float32):  # the slowest last, so that it is skipped first
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
    """Forward and backward of a SubmanifoldConv3d with ready maps."""
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


def _points(voxels: int) -> tuple[Tensor, Tensor]:
    """The voxel and the class of three points a voxel."""
    generator = torch.Generator().manual_seed(0)
    inverse = torch.randint(0, voxels, (3 * voxels,), generator=generator)
    return inverse, torch.randint(0, 200, (3 * voxels,), generator=generator)


def _network(
    section: Section,
    model: nn.Module,
    tap: FeatureTap,
    center_loss: nn.Module,
    coordinates: Tensor,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """A step with 200 classes, three points per voxel: the maps, and with and without centers."""
    device, voxels = section.device, len(coordinates)
    inverse, labels = (rows.to(device) for rows in _points(voxels))
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
