"""Linear resizing with integer weights: the source cells of each label position and their weights.

The weights of ``F.interpolate`` are fractions with one denominator for a whole resize. As integers
they add up exactly in any order, also on an accelerator, where the order is not fixed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

LINEAR_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""The ``mode`` of ``F.interpolate`` for linear resizing along one to three axes."""


class Axis(NamedTuple):
    """The resize along one axis: for every label position the cells below and above it.

    Attributes:
        cells: Two (positions,) int64, ascending; equal past the last cell.
        units: Their two (positions,) int64 weights, adding up to ``denominator``.
        denominator: The integer that represents a weight of one.
        size: Number of cells along this axis.
    """

    cells: tuple[Tensor, Tensor]
    units: tuple[Tensor, Tensor]
    denominator: int
    size: int


def axis_of(small: int, large: int, align_corners: bool, device: torch.device) -> Axis:
    """The axis from ``small`` cells to ``large`` label positions, by the rule of ``F.interpolate``.

    Source positions before the first cell are clamped to it. With aligned corners, position p maps
    to p (small - 1) / (large - 1), else to ((2 p + 1) small - large) / (2 large).
    """
    position = torch.arange(large, device=device)
    if align_corners:
        denominator = max(large - 1, 1)
        source = position * (small - 1 if large > 1 else 0)
    else:
        denominator = 2 * large
        source = ((2 * position + 1) * small - large).clamp(min=0)
    lower = source // denominator
    beyond = source - lower * denominator
    upper = (lower + 1).clamp(max=small - 1)
    return Axis((lower, upper), (denominator - beyond, beyond), denominator, small)


def corners(axes: Sequence[Axis], device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """The source cells of every label position, flat over the axes, with their integer weights.

    Returns one pair of (positions,) int64 tensors for each choice of lower or upper along each
    axis. The denominator is the product of the denominators of the axes. A sum of weights stays
    below 2^63 for up to 2^30 labels per image.
    """
    pairs = []
    for choice in itertools.product((0, 1), repeat=len(axes)):
        # Outer product over the axes, first axis outermost.
        cell = torch.zeros((), dtype=torch.int64, device=device)
        weight = torch.ones((), dtype=torch.int64, device=device)
        for side, axis in zip(choice, axes, strict=True):
            cell = cell.unsqueeze(-1) * axis.size + axis.cells[side]
            weight = weight.unsqueeze(-1) * axis.units[side]
        pairs.append((cell.flatten(), weight.flatten()))
    return pairs
