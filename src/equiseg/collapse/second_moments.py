"""Exact second moments of resized features, computed from the small maps.

The resized feature of label pixel p is ``x(p) = sum_u w_u(p) f(u)`` over the 2^d cells around it.
Summed over the pixels of class k, its square is a sum over pairs of cells,
``sum_p x(p) x(p)^T = sum_{u,v} T_k(u, v) f(u) f(v)^T`` with ``T_k(u, v) = sum_p w_u(p) w_v(p)``:
T depends only on the labels and is zero unless u and v are the same cell or neighbours.

T is symmetric, so half of it is enough: each cell with itself, at half weight, and with the
neighbours after it (1 in 1D, 4 in 2D, 13 in 3D). The other half is the transpose. The weights of a
pixel add up to one, so an extra channel that is one everywhere gives the first moments too: its
products with the other channels are their sums.

Shapes: K classes, D dim, U cells of one map, P labelled pixels, G groups of pixels of one class
between the same cells, C corners 2^d, E entries (class, cell), S cells of the half stencil.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.centers.label_sides import LabelSide
from equiseg.resize import axis_of

_MOST_TABLE = 1 << 24  # keys that are numbered by a table (128 MB) instead of by sorting
_CHUNK_ENTRIES = 2**11  # with 256 channels 4 MB of float64


class PairWeights(NamedTuple):
    """Half of T: entry e has the weights of the products of ``cell_E[e]`` with ``neighbor_ES[e]``.

    Attributes:
        class_E: (E,) int64, ascending.
        cell_E: (E,) int64, cells of one map.
        neighbor_ES: (E, S) int64; arbitrary where the weight is zero.
        weight_ES: (E, S) float64; half the weight for a cell with itself.
    """

    class_E: Tensor
    cell_E: Tensor
    neighbor_ES: Tensor
    weight_ES: Tensor


def cell_weights(side: LabelSide) -> PairWeights:
    """T at feature resolution: every cell only with itself, with the weight of the class on it."""
    order = torch.argsort(side.class_E, stable=True)
    cell_E, half_E = side.cell_E[order].long(), side.weight_E[order].double() / 2
    class_E = side.class_E[order].long()
    return PairWeights(class_E, cell_E, cell_E.unsqueeze(1), half_E.unsqueeze(1))


def pixel_weights(
    labels: Tensor, feature_size: Sequence[int], ignore_index: int, align_corners: bool
) -> PairWeights:
    """T of one labelled image, for smaller maps that are resized to it.

    Pixels of one class between the same cells are summed first, which gives about as many groups
    as cells for any number of classes. The memory is a few numbers per pixel.

    Args:
        labels: (*Spatial) class ids, checked.
        feature_size: Spatial size of the maps, each side at most the labels'.
        ignore_index: Label value to leave out.
        align_corners: The convention of the resize.
    """
    cells, dims = math.prod(feature_size), len(feature_size)
    strides = [math.prod(feature_size[axis + 1 :]) for axis in range(dims)]
    lowest = torch.zeros((), dtype=torch.int64, device=labels.device)
    products = []  # for each axis the weights lower * lower, lower * upper, upper * upper
    for small, large, stride in zip(feature_size, labels.shape, strides, strict=True):
        axis = axis_of(small, large, align_corners, labels.device)
        lowest = lowest.unsqueeze(-1) + axis.cells[0] * stride
        # Past the last cell both are that cell; the lower one takes the whole weight.
        beyond = axis.units[1].masked_fill(axis.cells[0] == axis.cells[1], 0)
        upper = beyond.double() / axis.denominator
        products.append(((1 - upper).square(), (1 - upper) * upper, upper.square()))
    ids = labels.flatten().long()
    num_classes = int(ids.masked_fill(ids == ignore_index, 0).max()) + 1 if len(ids) else 0
    # Pixels without a label have the largest key, whose group is dropped.
    ignored_key = num_classes * cells
    key_P = (ids * cells).add_(lowest.flatten())
    key_P.masked_fill_(ids == ignore_index, ignored_key)
    key_G, group_P = _numbered(key_P, ignored_key + 1)
    num_groups = int((key_G < ignored_key).sum())
    key_G = key_G[:num_groups]

    def total(*which: int) -> Tensor:
        """(G,) sums of one product along each axis, over the pixels of a group."""
        weight = torch.ones((), dtype=torch.float64, device=labels.device)
        for axis_products, index in zip(products, which, strict=True):
            weight = weight.unsqueeze(-1) * axis_products[index]
        total_G = weight.new_zeros(num_groups + 1)
        return total_G.scatter_add_(0, group_P, weight.flatten())[:num_groups]

    totals = {which: total(*which) for which in itertools.product(range(3), repeat=dims)}
    corners = list(itertools.product((0, 1), repeat=dims))
    shift_C = [sum(itertools.compress(strides, corner)) for corner in corners]
    # Past the last cell of a row a corner gets the key of another cell. All its weights are zero,
    # and entries without any other weight are dropped.
    shifted_CG = torch.stack([key_G + shift for shift in shift_C])
    key_E, entry_CG = _numbered(shifted_CG, ignored_key + sum(strides) + 1)
    pairs = list(itertools.combinations_with_replacement(range(len(corners)), 2))
    steps = sorted({shift_C[second] - shift_C[first] for first, second in pairs}, key=abs)
    weight_ES = key_E.new_zeros(len(key_E), len(steps), dtype=torch.float64)
    for first, second in pairs:
        which = tuple(a + b for a, b in zip(corners[first], corners[second], strict=True))
        slot = steps.index(shift_C[second] - shift_C[first])
        share = 0.5 if first == second else 1.0
        weight_ES[:, slot].index_add_(0, entry_CG[first], totals[which], alpha=share)
    kept = weight_ES[:, 0] > 0  # a cell with any weight has a weight with itself
    key_E, weight_ES = key_E[kept], weight_ES[kept]
    cell_E = key_E % cells
    neighbor_ES = (cell_E.unsqueeze(1) + cell_E.new_tensor(steps)).clamp(0, cells - 1)
    return PairWeights(key_E // cells, cell_E, neighbor_ES, weight_ES)


def _numbered(keys: Tensor, num_keys: int) -> tuple[Tensor, Tensor]:
    """The different keys, ascending, and the place of each key among them, as ``torch.unique``.

    A table of all possible keys takes a few passes, where sorting takes many.

    Args:
        keys: int64 from 0 to ``num_keys`` - 1, of any shape.
        num_keys: How many keys are possible.
    """
    if num_keys > _MOST_TABLE:
        found, places = torch.unique(keys, return_inverse=True)
        return found, places
    occurs = torch.zeros(num_keys, dtype=torch.bool, device=keys.device)
    occurs[keys.flatten()] = True
    places = occurs.cumsum(0).sub_(1)
    return occurs.nonzero().flatten(), places[keys]


def add_products(
    sums_KD: Tensor, squares_KDD: Tensor, features_DU: Tensor, pairs: PairWeights
) -> None:
    """Add one map's moments, in place.

    Args:
        sums_KD: (K, D) float64.
        squares_KDD: (K, D, D) float64.
        features_DU: (D, U) of any floating dtype.
        pairs: T of the labels of this map.
    """
    dim, cells = features_DU.shape
    rows_UD = sums_KD.new_ones(cells, dim + 1)  # the last channel stays one
    rows_UD[:, :dim] = features_DU.T
    ends_K = torch.bincount(pairs.class_E, minlength=len(sums_KD)).cumsum(0)
    start = 0
    for class_, end in enumerate(ends_K.tolist()):
        if start == end:
            continue
        half_DD = rows_UD.new_zeros(dim + 1, dim + 1)
        for first in range(start, end, _CHUNK_ENTRIES):
            chunk = slice(first, min(first + _CHUNK_ENTRIES, end))
            around_ED = F.embedding_bag(
                pairs.neighbor_ES[chunk],
                rows_UD,
                per_sample_weights=pairs.weight_ES[chunk],
                mode="sum",
            )
            half_DD.addmm_(rows_UD[pairs.cell_E[chunk]].T, around_ED)
        whole_DD = half_DD + half_DD.T
        sums_KD[class_] += whole_DD[:dim, dim]
        squares_KDD[class_] += whole_DD[:dim, :dim]
        start = end
