"""Whether a layer makes the logits: its output is compared with the output of the network."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.resize import LINEAR_MODES

_MOST_VALUES = 2**24  # of maps to compare; of larger batches only the first image
_MOST_OUTPUTS = 64
# Attributes of the features in the tensors of spconv (and ours), MinkowskiEngine and torchsparse.
_SPARSE = ("features", "F", "feats")


class Match(NamedTuple):
    """A tensor in the output of a network that a layer has made.

    Attributes:
        path: Its place in the output, such as ".logits" or "[0]"; empty if it is the output.
        change: The change after the layer: "", "resized", "softmax", ...
        fold: "tokens" (B, N, K) or "rows" (B N, K) where its maps are made after the layer.
        size: Size of these maps, else empty.
    """

    path: str
    change: str
    fold: str = ""
    size: tuple[int, ...] = ()


def tensor_in(value: Any) -> Tensor | None:
    """A tensor, or the features of a sparse tensor; None of anything else."""
    if isinstance(value, Tensor):
        return value
    for name in _SPARSE:
        if isinstance(found := getattr(value, name, None), Tensor):
            return found
    return None


def outputs_of(value: Any, num_classes: int) -> dict[str, Tensor]:
    """The tensors with K channels that a network returns, channels first, by their path.

    Those of auxiliary heads ("aux...") are the last.
    """
    found = dict(_tensors(value, "", 3, num_classes))
    return {path: found[path] for path in sorted(found, key=lambda path: "aux" in path)}


def _tensors(value: Any, path: str, depth: int, num_classes: int) -> Iterator[tuple[str, Tensor]]:
    tensor = tensor_in(value)
    if tensor is not None:
        if tensor.is_floating_point() and tensor.ndim >= 2:
            if tensor.shape[1] == num_classes:
                yield path, tensor
            elif tensor.shape[-1] == num_classes:
                yield path, tensor.movedim(-1, 1)
    elif depth and not isinstance(value, str):
        parts: list[tuple[str, Any]] = []
        if isinstance(value, Mapping):
            parts = [(f".{name}", part) for name, part in value.items()]
        elif isinstance(value, Sequence):
            parts = [(f"[{place}]", part) for place, part in enumerate(value)]
        elif dataclasses.is_dataclass(value):
            parts = [
                (f".{field.name}", getattr(value, field.name))
                for field in dataclasses.fields(value)
            ]
        for name, part in parts[:_MOST_OUTPUTS]:
            yield from _tensors(part, path + name, depth - 1, num_classes)


@torch.no_grad()
def match_output(made: Tensor, outputs: Mapping[str, Tensor]) -> Match | None:
    """The first tensor that equals the output of a layer: as it is, resized, cropped or scaled.

    Args:
        made: Output of the layer, (B, K, *spatial), (B, K, N) tokens or (N, K).
        outputs: (B, K, *Spatial) or (N, K) tensors by path.

    Returns:
        The match; None if there is none.
    """
    for path, output in outputs.items():
        for fold, size, maps in _arrangements(made, output):
            theirs = output
            if theirs.numel() > _MOST_VALUES and theirs.ndim > 2:
                maps, theirs = maps[:1], theirs[:1]
            change = _change(maps, theirs.to(maps.device))
            if change is not None:
                return Match(path, change, fold, size)
    return None


def _arrangements(made: Tensor, output: Tensor) -> Iterator[tuple[str, tuple[int, ...], Tensor]]:
    """The layer's output in the form of the network's: as it is, or rows folded to maps."""
    size = tuple(output.shape[2:])
    if made.ndim == output.ndim:
        if made.shape[:2] == output.shape[:2]:
            yield "", (), made
    elif made.ndim == 3 and made.shape[:2] == output.shape[:2]:
        if tried := map_size(made.shape[2], size):
            yield "tokens", tried, made.reshape(*made.shape[:2], *tried)
    elif made.ndim == 2 and len(output) and len(made) % len(output) == 0:  # noqa: SIM102
        if tried := map_size(len(made) // len(output), size):
            yield "rows", tried, made.reshape(len(output), *tried, -1).movedim(-1, 1)


def map_size(cells: int, like: Sequence[int]) -> tuple[int, ...]:
    """The size of maps with so many cells and the proportions of another map; empty if none has.

    Example:
        >>> map_size(64, (32, 32)), map_size(50, (40, 80)), map_size(7, (32, 32))
        ((8, 8), (5, 10), ())
    """
    if math.prod(like) == cells:
        return tuple(like)
    if len(like) != 2 or not cells or not math.prod(like):
        return ()
    rows = math.sqrt(cells * like[0] / like[1])
    near = [r for r in (math.floor(rows), math.ceil(rows)) if r and cells % r == 0]
    best = min(near, key=lambda r: abs(r - rows), default=0)
    return (best, cells // best) if best and best <= like[0] and cells // best <= like[1] else ()


def _change(mine: Tensor, theirs: Tensor) -> str | None:
    """The change from `mine` to `theirs`; None if it is unknown."""
    exact = min(torch.finfo(mine.dtype).bits, torch.finfo(theirs.dtype).bits) >= 32
    mine, theirs = mine.float(), theirs.float()
    for resized, maps in _fitted(mine, theirs.shape[2:]):
        if _equal(maps, theirs, exact) or _proportional(maps, theirs, exact):
            return resized
        for name, function in (("softmax", F.softmax), ("log-softmax", F.log_softmax)):
            if _equal(function(maps, dim=1), theirs, exact):
                return f"{resized} {name}".strip()
        if _equal(maps.sigmoid(), theirs, exact):
            return f"{resized} sigmoid".strip()
    if mine.shape != theirs.shape:
        for _, maps in _fitted(mine.softmax(1), theirs.shape[2:]):
            if _equal(maps, theirs, exact):
                return "softmax resized"
    return None


def _fitted(maps: Tensor, size: Sequence[int]) -> Iterator[tuple[str, Tensor]]:
    """Maps at another size, in the ways in which networks resize and crop."""
    own = maps.shape[2:]
    if own == tuple(size):
        yield "", maps
        return
    if all(s >= t for s, t in zip(own, size, strict=True)):
        yield from _crops(maps, size, "cropped")
    if len(size) not in LINEAR_MODES:
        return
    modes = [(LINEAR_MODES[len(size)], False), (LINEAR_MODES[len(size)], True), ("nearest", None)]
    modes += [("bicubic", False)] if len(size) == 2 else []
    padded = [s * -(-t // s) for s, t in zip(own, size, strict=True)]
    for mode, corners in modes:
        yield "resized", F.interpolate(maps, tuple(size), mode=mode, align_corners=corners)
        if padded != list(size):
            larger = F.interpolate(maps, padded, mode=mode, align_corners=corners)
            yield from _crops(larger, size, "resized and cropped")


def _crops(maps: Tensor, size: Sequence[int], change: str) -> Iterator[tuple[str, Tensor]]:
    for share in (0, 0.5):  # from the corner, from the middle
        crop = maps
        for dim, side in enumerate(size, 2):
            crop = crop.narrow(dim, int(share * (maps.shape[dim] - side)), side)
        yield change, crop


def _equal(mine: Tensor, theirs: Tensor, exact: bool) -> bool:
    known = mine.isfinite() & theirs.isfinite()
    apart = (mine - theirs).abs()[known]
    largest = theirs.abs()[known]
    if not apart.numel():
        return False
    return bool(apart.amax() <= (1e-3 if exact else 2e-2) * largest.amax() + 1e-30)


def _proportional(mine: Tensor, theirs: Tensor, exact: bool) -> bool:
    """Whether they differ by one positive factor and one number per class only."""
    if not (mine.isfinite().all() and theirs.isfinite().all()):
        return False
    dims = [0, *range(2, mine.ndim)]
    mine, theirs = mine - mine.mean(dims, keepdim=True), theirs - theirs.mean(dims, keepdim=True)
    lengths = mine.norm() * theirs.norm()
    return bool((mine * theirs).sum() > (0.9995 if exact else 0.99) * lengths) and bool(lengths > 0)
