"""The label side of the class centers: how much of each class lies on each feature cell.

Linear resizing has a transpose. Applied to the labels, it adds the interpolation weights of every
label pixel to the 2 (1D), 4 (2D) or 8 (3D) feature cells that the pixel would be interpolated from:
``S_k(u)`` is the weight of class k on cell u. Most cells lie inside one class, so S is sparse:
about one entry per cell, and at most 2, 4 or 8 per label pixel. For points that share voxels, S
contains counts: ``S_k(v)`` points of class k lie in voxel v.

Shapes: B batch, K classes, E entries, R label rows and P label pixels of a row, C classes present,
N points, V voxels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from equiseg.labels import check_label_dtype, check_labels, check_num_classes, check_shapes
from equiseg.resize import axis_of, corners

# A band of cells is small enough for its temporary memory to stay in a core's cache at 150 classes.
# With more classes it gets narrower, to keep about 16 MB, at least one row of cells (a slab in 3D).
_BAND_CELLS = 2**12
_BAND_VALUES = 2**22


@dataclass(frozen=True, eq=False)
class LabelSide:
    """The part of the class centers that depends only on the labels: S as a sparse list of entries.

    Entry e means: class ``class_E[e]`` has weight ``weight_E[e]`` on feature cell ``cell_E[e]``.
    Made by :func:`label_side` or, for points in voxels, :func:`voxel_side`. Make it in a data
    worker, where :meth:`cat` collates the sides of single images or scans and the loader pins and
    moves the batch; or make it once for labels that do not change.

    Attributes:
        class_E: (E,) int32.
        cell_E: (E,) int32, ascending; cells are counted over the whole batch, image after image.
        weight_E: (E,) float32 (or float64, if requested), above zero.
        counts_K: (K,) int64, valid label pixels of each class.
        feature_shape: (B, *spatial) of the matching feature maps; (V,) for voxels.
        ignore_index: The label value that was left out.
        align_corners: The convention of the resize.
    """

    class_E: Tensor
    cell_E: Tensor
    weight_E: Tensor
    counts_K: Tensor
    feature_shape: tuple[int, ...]
    ignore_index: int
    align_corners: bool

    @classmethod
    def cat(cls, sides: Sequence[LabelSide]) -> LabelSide:
        """Join the sides of single samples, in order, to the side of a batch (for collating).

        Raises:
            ValueError: If there is no side, or they were made for different maps or arguments.
        """
        if not sides:
            raise ValueError("sides must hold at least one label side, got none")
        kinds = {
            (s.feature_shape[1:], len(s.counts_K), s.ignore_index, s.align_corners) for s in sides
        }
        if len(kinds) > 1:
            raise ValueError(
                "sides must agree in feature size, number of classes, ignore_index and "
                f"align_corners, got {sorted(map(str, kinds))}; make all with the same arguments"
            )
        cells = [torch.Size(side.feature_shape).numel() for side in sides]
        starts = [0, *itertools.accumulate(cells)][:-1]
        return replace(
            sides[0],
            class_E=torch.cat([side.class_E for side in sides]),
            cell_E=torch.cat(
                [side.cell_E + start for side, start in zip(sides, starts, strict=True)]
            ),
            weight_E=torch.cat([side.weight_E for side in sides]),
            counts_K=torch.stack([side.counts_K for side in sides]).sum(0),
            feature_shape=(
                sum(side.feature_shape[0] for side in sides),
                *sides[0].feature_shape[1:],
            ),
        )

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> LabelSide:
        """The same entries on another device."""
        return self._moved(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> LabelSide:
        """The same entries in page-locked memory; data loaders call it."""
        return self._moved(Tensor.pin_memory)

    def _moved(self, move: Callable[[Tensor], Tensor]) -> LabelSide:
        return replace(
            self,
            class_E=move(self.class_E),
            cell_E=move(self.cell_E),
            weight_E=move(self.weight_E),
            counts_K=move(self.counts_K),
        )


# It contains only tensors and plain values, so torch.load with weights_only=True may open it.
torch.serialization.add_safe_globals([LabelSide])


def label_side(
    labels: Tensor,
    num_classes: int,
    feature_size: tuple[int, ...],
    *,
    ignore_index: int = 255,
    align_corners: bool = False,
    dtype: torch.dtype = torch.float32,
) -> LabelSide:
    """Compute the label part of :func:`equiseg.class_centers` before the features exist.

    Runs on the CPU, image by image and band of cells by band of cells. Its temporary memory does
    not grow with the batch or with K: 16 bytes per label pixel of one image, and a band of about
    16 MB (or one row of cells times the classes near it, if that is more). The result has 12 bytes
    per entry: at most 4 entries per label pixel (2 in 1D, 8 in 3D). On pictures it has about one
    per feature cell, because all pixels of a class on a cell share one entry.

    Args:
        labels: (B, *Spatial) integer ids with one to three spatial dimensions. Points need no
            label side: each is its own cell.
        num_classes: Number of classes K.
        feature_size: Spatial size of the feature maps, each side at most the labels'.
        ignore_index: Label value to leave out.
        align_corners: As in :func:`equiseg.class_centers`.
        dtype: Dtype of the weights. Use float32, unless the features are float64.

    Returns:
        The label side, on the device of the labels.

    Raises:
        TypeError: If the labels are not integers.
        ValueError: If ``feature_size`` does not fit the labels or a label is out of range.
    """
    check_num_classes(num_classes, ignore_index)
    check_label_dtype(labels)
    size, label_size = tuple(feature_size), tuple(labels.shape[1:])
    if not 1 <= len(size) <= 3 or len(label_size) != len(size):
        raise ValueError(
            "feature_size must be the one to three spatial sizes of maps under labels "
            f"(B, *Spatial), got {size} for labels {tuple(labels.shape)}; points need no label side"
        )
    if any(not 0 < small <= large for small, large in zip(size, label_size, strict=True)):
        raise ValueError(
            f"feature_size must lie between 1 and the labels' size {label_size} in every "
            f"direction, got {size}; pass the labels at full resolution"
        )
    check_labels(labels, num_classes, ignore_index=ignore_index)
    side = transpose_labels(labels.cpu(), num_classes, size, ignore_index, align_corners, dtype)
    return side.to(labels.device)


def voxel_side(
    labels: Tensor,
    inverse: Tensor,
    num_voxels: int,
    num_classes: int,
    *,
    ignore_index: int = 255,
    dtype: torch.dtype = torch.float32,
) -> LabelSide:
    """The label side of points in voxels: how many points of each class lie in each voxel.

    There is one entry for each class that occurs in a voxel, about one per voxel; no feature is
    copied to the points. :meth:`LabelSide.cat` collates scans of different sizes.

    Args:
        labels: (N,) integer ids of the points.
        inverse: (N,) int64, the voxel of every point.
        num_voxels: Number of voxels V.
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        dtype: Dtype of the counts. Use float32 (exact up to 2^24 points of a class in one voxel),
            unless the features are float64.

    Returns:
        The label side, on the device of the labels.

    Raises:
        TypeError: If the labels are not integers.
        ValueError: If the shapes disagree, a label is out of range, or a point lies in no voxel.
    """
    check_num_classes(num_classes, ignore_index)
    check_shapes(torch.empty(num_voxels, 1, device=labels.device), labels, inverse)
    check_labels(labels, num_classes, ignore_index=ignore_index)
    side = count_in_voxels(
        labels.cpu(), inverse.cpu(), num_voxels, num_classes, ignore_index, dtype
    )
    return side.to(labels.device)


def count_in_voxels(
    labels: Tensor,
    inverse: Tensor,
    num_voxels: int,
    num_classes: int,
    ignore_index: int,
    dtype: torch.dtype,
) -> LabelSide:
    """:func:`voxel_side` for checked labels on the CPU."""
    ids = labels.long()  # in 8 bits, a comparison with -100 would wrap around
    known = ids != ignore_index
    ids = ids[known]
    key_E, count_E = torch.unique(inverse[known] * num_classes + ids, return_counts=True)
    return LabelSide(
        (key_E % num_classes).int(),
        (key_E // num_classes).int(),
        count_E.to(dtype),
        torch.bincount(ids, minlength=num_classes),
        (num_voxels,),
        ignore_index,
        align_corners=False,
    )


def transpose_labels(
    labels: Tensor,
    num_classes: int,
    feature_size: tuple[int, ...],
    ignore_index: int,
    align_corners: bool,
    dtype: torch.dtype,
) -> LabelSide:
    """:func:`label_side` for checked labels on the CPU."""
    none = torch.empty(0, dtype=torch.int32)
    entries = [(none, none, torch.empty(0, dtype=dtype))]
    counts_K = torch.zeros(num_classes, dtype=torch.int64)
    transpose = None
    if feature_size != labels.shape[1:]:
        transpose = _Transpose(feature_size, labels.shape[1:], align_corners, dtype)
    for image, image_labels in enumerate(labels):  # one at a time: the int64 copy stays small
        ids = image_labels.long()
        ids = ids.masked_fill(ids == ignore_index, num_classes)
        image_counts_K = torch.bincount(ids.flatten(), minlength=num_classes + 1)[:num_classes]
        counts_K += image_counts_K
        if transpose is None:
            entries.append(_own_cells(ids.flatten(), num_classes, image, dtype))
        else:
            most_classes = int((image_counts_K > 0).sum())
            entries.extend(transpose.entries(ids, num_classes, image, most_classes))
    class_E, cell_E, weight_E = map(torch.cat, zip(*entries, strict=True))
    return LabelSide(
        class_E,
        cell_E,
        weight_E,
        counts_K,
        (len(labels), *feature_size),
        ignore_index,
        align_corners,
    )


def _own_cells(
    ids: Tensor, num_classes: int, image: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """The entries of labels at feature size: each label has one cell, with a weight of one."""
    cell_E = (ids < num_classes).nonzero().flatten()
    weight_E = torch.ones(len(cell_E), dtype=dtype)
    return ids[cell_E].int(), (cell_E + image * len(ids)).int(), weight_E


class _Transpose:
    """The transpose of one resize, applied to one labelled image after another.

    It runs pixel by pixel along all axes but the first. Along the first axis, where all pixels of a
    row have the same weights, it is a matrix product.
    """

    def __init__(
        self,
        feature_size: tuple[int, ...],
        label_size: tuple[int, ...],
        align_corners: bool,
        dtype: torch.dtype,
    ) -> None:
        device = torch.device("cpu")
        first, *others = (
            axis_of(small, large, align_corners, device)
            for small, large in zip(feature_size, label_size, strict=True)
        )
        self.rows, self.row_cells = feature_size[0], torch.Size(feature_size[1:]).numel()
        self.row_indices = first.cells
        self.first_axis = torch.zeros(self.rows, label_size[0], dtype=dtype)
        position_R = torch.arange(label_size[0])
        for index_R, units_R in zip(first.cells, first.units, strict=True):
            weight_R = (units_R.double() / first.denominator).to(dtype)
            self.first_axis.index_put_((index_R, position_R), weight_R, accumulate=True)
        denominator = math.prod(axis.denominator for axis in others)
        self.corners = [
            (cell_P, (units_P.double() / denominator).to(dtype))
            for cell_P, units_P in corners(others, device)
        ]
        self.dtype = dtype

    def entries(
        self, ids: Tensor, num_classes: int, image: int, most_classes: int
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Classes, cells (ascending) and weights of one image with ids in 0..K."""
        ids_RP = ids.reshape(len(ids), -1)
        lower, upper = self.row_indices
        values_a_cell = (most_classes + 1) * len(ids) // self.rows
        most = min(_BAND_CELLS, _BAND_VALUES // values_a_cell)
        height = max(1, most // self.row_cells)
        for top in range(0, self.rows, height):
            bottom = min(top + height, self.rows)
            reach = slice(
                int(torch.searchsorted(upper, top)), int(torch.searchsorted(lower, bottom))
            )
            class_E, cell_E, weight_E = self._band(
                ids_RP[reach], self.first_axis[top:bottom, reach], num_classes
            )
            first = (image * self.rows + top) * self.row_cells
            yield class_E.int(), (cell_E + first).int(), weight_E

    def _band(
        self, ids_RP: Tensor, first_axis: Tensor, num_classes: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The entries of a few rows of cells, from the label rows that contribute to them."""
        seen = torch.bincount(ids_RP.flatten(), minlength=num_classes + 1)[:num_classes]
        classes_C = seen.nonzero().flatten()
        width = len(classes_C) + 1  # the last column takes ignored pixels
        slot = torch.full((num_classes + 1,), width - 1)
        slot[classes_C] = torch.arange(width - 1)
        start_R = torch.arange(len(ids_RP)) * (self.row_cells * width)
        place_RP = slot[ids_RP].add_(start_R.unsqueeze(1))
        along = torch.zeros(len(ids_RP) * self.row_cells * width, dtype=self.dtype)
        for cell_P, weight_P in self.corners:
            weight_RP = weight_P.expand(place_RP.shape)
            along.index_add_(0, (place_RP + cell_P * width).flatten(), weight_RP.flatten())
        weights_UC = (first_axis @ along.view(len(ids_RP), -1)).view(-1, width)[:, :-1]
        cell_E, slot_E = weights_UC.nonzero(as_tuple=True)
        return classes_C[slot_E], cell_E, weights_UC[cell_E, slot_E]
