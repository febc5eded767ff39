"""Checks of the class centers, the loss and the score on a GPU, against float64 on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gpu.checking import (
    EXACT,
    Check,
    MissingError,
    Result,
    run_checks,
    without_waiting,
)
from benchmarks.gpu.section import Section
from benchmarks.speed.routes import fused_runs
from equiseg import CenterCollapseLoss, class_centers, label_side
from equiseg.losses import CrossEntropyLoss

IGNORED = 255
SUMS = 2e-5  # relative to the largest value of the reference
BF16 = 2.0**-8 + SUMS  # a gradient in bf16 is rounded to it, once
_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def checks(section: Section) -> None:
    """Class centers, the loss and the score."""
    run_checks(section, _all(section.device))


def _all(device: str) -> Iterator[tuple[str, Check]]:
    both = {"aligned corners": True, "corners free": False}
    cases: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "maps, ratio 4": ((2, 24, 24, 20), (2, 96, 80)),
        "maps, other ratios": ((2, 24, 17, 23), (2, 96, 80)),
        "volumes": ((2, 12, 5, 6, 7), (2, 10, 15, 23)),
    }
    for case, shapes in cases.items():
        for corners, align in both.items():
            maps = _Case(*shapes, align)
            yield f"centers: {case}, {corners}", partial(_centers, device, maps)
            ready = replace(maps, ready=True)
            yield f"centers: {case}, {corners}, side ready", partial(_centers, device, ready)
            yield f"fused kernels: {case}, {corners}", partial(_fused, device, maps)
    ratio_4 = cases["maps, ratio 4"]
    more = {
        "channels last": _Case(*ratio_4, layout=torch.channels_last),
        "bf16 features under autocast": _Case(*ratio_4, dtype=torch.bfloat16),
        "fp16 features under autocast": _Case(*ratio_4, dtype=torch.float16),
        "maps at label size": _Case((2, 8, 31, 33), (2, 31, 33)),
        "points": _Case((3000, 16), (3000,)),
        "3000 classes": _Case((4, 4, 96, 96), (4, 192, 192), num_classes=3000),
    }
    for name, one in more.items():
        yield f"centers: {name}", partial(_centers, device, one)
    yield "loss: maps", partial(_loss, device, *ratio_4)
    yield "loss: points", partial(_loss, device, (3000, 16), (3000,))
    twice = {
        "maps": ((4, 64, 64, 64), (4, 256, 256)),
        "maps at label size": ((4, 64, 128, 128), (4, 128, 128)),
        "points": ((100_000, 64), (100_000,)),
    }
    for case, shapes in twice.items():
        yield f"bitwise the same twice: {case}", partial(_twice, device, *shapes)
    yield "bitwise the same twice: maps, side ready", partial(_twice, device, *twice["maps"], True)
    for case, shapes in twice.items():
        yield f"no wait for the device: {case}", partial(_no_wait, device, *shapes)
    yield (
        "no wait for the device: maps, side ready",
        partial(_no_wait, device, *twice["maps"], True),
    )
    yield "no wait for the device: pixel loss", partial(_no_wait_pixel_loss, device)
    yield "fp16 with a gradient scaler", partial(_scaler, device)
    yield "score: as on the CPU", partial(_score, device)
    yield "torch.compile(fullgraph=True) as eager", partial(_compiled, device)


def _inputs(
    features_shape: tuple[int, ...],
    labels_shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    num_classes: int = 19,
) -> tuple[Tensor, Tensor]:
    """Random features, and labels in blocks, a tenth ignored, some classes absent."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(features_shape, generator=generator).to(dtype)
    coarse = [labels_shape[0], *(max(side // 8, 1) for side in labels_shape[1:])]
    blocks = torch.randint(0, num_classes - 2, coarse, generator=generator)
    blocks[torch.rand(coarse, generator=generator) < 0.1] = _ignored(num_classes)
    for axis, side in enumerate(labels_shape[1:], 1):
        blocks = blocks.index_select(axis, torch.arange(side) * coarse[axis] // side)
    return features, blocks


def _ignored(num_classes: int) -> int:
    return IGNORED if num_classes <= IGNORED else -1


def _reference(features: Tensor, labels: Tensor, num_classes: int, align: bool) -> Tensor:
    """Centers of features resized to the labels, in the dtype of the features."""
    maps = features
    if features.ndim > 2:
        size, mode = labels.shape[1:], _MODES[labels.ndim - 1]
        maps = F.interpolate(features, size, mode=mode, align_corners=align)
    ids, rows = labels.flatten(), maps.movedim(1, -1).reshape(-1, features.shape[1])
    valid = ids != _ignored(num_classes)
    sums_KD = rows.new_zeros(num_classes, rows.shape[1]).index_add(0, ids[valid], rows[valid])
    return sums_KD / torch.bincount(ids[valid], minlength=num_classes).clamp(min=1).unsqueeze(1)


def _relative(value: Tensor, reference: Tensor) -> float:
    difference = (value.detach().cpu().double() - reference.detach()).abs().max()
    return float(difference / reference.detach().abs().max())


@dataclass(frozen=True)
class _Case:
    """Class centers of features (B, D, *spatial) or (N, D), and labels of their own size."""

    features: tuple[int, ...]
    labels: tuple[int, ...]
    align: bool = False
    dtype: torch.dtype = torch.float32
    layout: torch.memory_format = torch.contiguous_format
    num_classes: int = 19
    ready: bool = False  # the label side is prepared and on the device


def _centers(device: str, case: _Case) -> Result:
    """Compare values and gradient with the reference."""
    num_classes = case.num_classes
    features, labels = _inputs(case.features, case.labels, case.dtype, num_classes)
    wide = features.double().requires_grad_()
    expected_KD = _reference(wide, labels, num_classes, case.align)
    pull_KD = torch.randn(expected_KD.shape, generator=torch.Generator().manual_seed(1))
    expected_KD.backward(pull_KD.double())

    keywords: dict[str, Any] = {"ignore_index": _ignored(num_classes), "align_corners": case.align}
    near = features.to(device).to(memory_format=case.layout).requires_grad_()
    side = None
    if case.ready:
        side = label_side(labels, num_classes, case.features[2:], **keywords).to(device)
    half = case.dtype in (torch.bfloat16, torch.float16)
    with torch.autocast(device, case.dtype if half else torch.bfloat16, enabled=half):
        result = class_centers(near, labels.to(device), num_classes, label_side=side, **keywords)
    result.centers_KD.backward(pull_KD.to(device))
    valid = labels[labels != _ignored(num_classes)]
    if not torch.equal(result.counts_K.cpu(), torch.bincount(valid, minlength=num_classes)):
        raise AssertionError("counts differ")
    value = _relative(result.centers_KD, expected_KD)
    if value > SUMS:
        return value, SUMS
    return max(value, _relative(near.grad, wide.grad)), BF16 if half else SUMS


def _fused(device: str, case: _Case) -> Result:
    """Compare values and gradient of the Triton kernels with the reference."""
    if not fused_runs(device):
        raise MissingError("needs triton and a GPU, or TRITON_INTERPRET=1")
    from equiseg.centers.triton_sums import triton_sums

    features, labels = _inputs(case.features, case.labels)
    wide = features.double().requires_grad_()
    counts_K = torch.bincount(labels[labels != IGNORED], minlength=19).clamp(min=1).unsqueeze(1)
    expected_KD = _reference(wide, labels, 19, case.align) * counts_K
    pull_KD = torch.randn(expected_KD.shape, generator=torch.Generator().manual_seed(1))
    expected_KD.backward(pull_KD.double())
    near = features.to(device).requires_grad_()
    sums_KD = triton_sums(near, labels.to(device), 19, align_corners=case.align)
    sums_KD.backward(pull_KD.to(device))
    return max(_relative(sums_KD, expected_KD), _relative(near.grad, wide.grad)), SUMS


def _loss(device: str, features_shape: tuple[int, ...], labels_shape: tuple[int, ...]) -> Result:
    """Compare value and gradient of the loss with its formula in float64."""
    features, labels = _inputs(features_shape, labels_shape)
    wide = features.double().requires_grad_()
    loss = CenterCollapseLoss(19, features_shape[1])
    centers_KD = _reference(wide, labels, 19, False)
    present_K = torch.bincount(labels[labels != IGNORED], minlength=19) > 0
    logits_KK = loss.scale * F.normalize(centers_KD, dim=1) @ loss.frame_KD.double().T
    targets = torch.arange(19)[present_K]
    expected = loss.weight * F.cross_entropy(logits_KK[present_K], targets)
    expected.backward()

    near = features.to(device).requires_grad_()
    value = loss.to(device)(near, labels.to(device))
    value.backward()
    return max(_relative(value, expected), _relative(near.grad, wide.grad)), SUMS


def _step(
    device: str, features_shape: tuple[int, ...], labels_shape: tuple[int, ...], ready: bool
) -> Callable[[], tuple[Tensor, Tensor]]:
    """A function that computes loss and gradient of the same inputs."""
    features, labels = _inputs(features_shape, labels_shape)
    side = None
    if ready:
        side = label_side(labels, 19, tuple(features_shape[2:])).to(device)
    near, there = features.to(device), labels.to(device)
    loss = CenterCollapseLoss(19, features_shape[1]).to(device)

    def step() -> tuple[Tensor, Tensor]:
        leaf = near.detach().requires_grad_()
        value = loss(leaf, there, label_side=side)
        value.backward()
        return value.detach(), leaf.grad

    return step


def _twice(device: str, features: tuple, labels: tuple, ready: bool = False) -> Result:
    """Bitwise comparison of repeated runs; the error counts differing values."""
    step = _step(device, features, labels, ready)
    first = step()
    # Several runs, because a race is not visible in every run.
    others = [step() for _ in range(5)]
    differing = [
        float((a != b).double().mean())
        for other in others
        for a, b in zip(first, other, strict=True)
    ]
    return max(differing), EXACT


def _no_wait(device: str, features: tuple, labels: tuple, ready: bool = False) -> Result:
    """Forward and backward of the loss."""
    return without_waiting(device, _step(device, features, labels, ready))


def _no_wait_pixel_loss(device: str) -> Result:
    """Forward and backward of cross entropy."""
    logits, labels = (t.to(device) for t in _inputs((2, 19, 24, 20), (2, 96, 80)))
    loss = CrossEntropyLoss(19)
    return without_waiting(device, lambda: loss(logits.requires_grad_(), labels).backward())


def _compiled(device: str) -> Result:
    """Compare loss and gradient of the compiled loss with the eager one."""
    shapes = (2, 24, 24, 20), (2, 96, 80)
    features, labels = (tensor.to(device) for tensor in _inputs(*shapes))
    loss = CenterCollapseLoss(19, 24).to(device)
    # On a CPU, only the script is tested, without a C++ compiler.
    backend = "inductor" if device == "cuda" else "aot_eager"
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    found = []
    for module in (loss, compiled):
        leaf = features.detach().requires_grad_()
        value = module(leaf, labels)
        value.backward()
        found.append((value, leaf.grad))
    (value, gradient), (value_compiled, gradient_compiled) = found
    return max(
        _relative(value_compiled, value.detach().cpu().double()),
        _relative(gradient_compiled, gradient.cpu().double()),
    ), SUMS


def _scaler(device: str) -> Result:
    """A few steps in fp16: every loss is finite, and the scale recovers."""
    _, labels = _inputs((2, 3, 24, 24), (2, 96, 96))
    torch.manual_seed(0)
    network = nn.Conv2d(3, 24, 3, padding=1).to(device)
    loss = CenterCollapseLoss(19, 24).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler(device)
    images, there = torch.rand(2, 3, 24, 24, device=device), labels.to(device)
    bad = 0
    for _ in range(5):
        optimizer.zero_grad()
        with torch.autocast(device, torch.float16):
            value = loss(network(images), there)
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        gradients = [parameter.grad for parameter in network.parameters()]
        finite = all(bool(g.isfinite().all()) for g in gradients) and bool(value.isfinite())
        bad += not finite
        scaler.step(optimizer)
        scaler.update()
    return float(bad), EXACT


def _score(device: str) -> Result:
    """The confusion matrix from ids and from logits, exactly as on the CPU."""
    from equiseg import SegmentationScore

    _, labels = _inputs((2, 3, 24, 24), (2, 96, 96))
    logits = torch.randn(2, 19, 96, 96, generator=torch.Generator().manual_seed(1))
    matrices = []
    for place in ("cpu", device):
        score = SegmentationScore(19).to(place)
        score.update(logits.to(place), labels.to(place))
        score.update(logits.argmax(1).to(place), labels.to(place))
        matrices.append(score.confusion_KK.cpu())
    return float((matrices[0] != matrices[1]).sum()), EXACT
