"""The label side of the class centers: how much of each class lies on each feature cell.

Linear resizing has a transpose. Applied to the labels, it adds the interpolation weights of every
label pixel to the 2 (1D), 4 (2D) or 8 (3D) feature cells that the pixel would be interpolated from:
``S_k(u)`` is the weight of class k on cell u. Most cells lie inside one class, so S is sparse:
about one entry per cell, and at most 2, 4 or 8 per label pixel. For points that share voxels, S
contains counts: ``S_k(v)`` points of class k lie in voxel v.

Shapes: B batch, K classes, E entries, N points, V voxels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from equiseg.centers.transpose import Entries, Transpose, WrongLabelError
from equiseg.labels import check_label_dtype, check_labels, check_num_classes, check_shapes

_GROUP_LABELS = 2**20  # small images are transposed together, up to so many labels


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

    Runs on the CPU, a million labels at a time (or one image, if that is more). Its temporary
    memory does not grow with the batch: at most 24 bytes for each of these labels, and a band of
    8 MB (or one row of cells times the classes present, if that is more). The result has 12 bytes
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
    side = transpose_labels(
        labels.cpu(), num_classes, size, ignore_index, align_corners, dtype, checked=False
    )
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
    *,
    checked: bool = True,
) -> LabelSide:
    """:func:`label_side` for labels of checked shape on the CPU.

    Args:
        labels: As in :func:`label_side`, as the next four.
        num_classes: Number of classes K.
        feature_size: Spatial size of the feature maps.
        ignore_index: Label value to leave out.
        align_corners: The convention of the resize.
        dtype: Dtype of the weights.
        checked: Whether the values are known to be in range. If not, wrong ones are found on the
            way, which costs less than :func:`equiseg.check_labels`.

    Raises:
        ValueError: If a label is out of range.
    """
    size = labels.shape[1:]
    own_cells = feature_size == tuple(size)
    if not checked and (own_cells or not _in_span(labels, num_classes, ignore_index)):
        check_labels(labels, num_classes, ignore_index=ignore_index)
    none = torch.empty(0, dtype=torch.int32)
    counts_K = torch.zeros(num_classes, dtype=torch.int64)
    groups = [Entries(none, none, torch.empty(0, dtype=dtype), counts_K)]
    narrow = narrowest_dtype(num_classes, ignore_index)
    images = max(1, _GROUP_LABELS // max(1, size.numel()))
    transpose = None
    for first in range(0, len(labels), images):
        group = labels[first : first + images].to(narrow)
        if own_cells:
            entries = _own_cells(group, num_classes, ignore_index, dtype)
        else:
            if transpose is None or transpose.images != len(group):
                transpose = Transpose(len(group), feature_size, size, align_corners, dtype)
            try:
                entries = transpose.entries(group, num_classes, ignore_index)
            except WrongLabelError:
                check_labels(labels, num_classes, ignore_index=ignore_index)  # names them
                raise
        start = first * torch.Size(feature_size).numel()
        groups.append(entries._replace(cell_E=entries.cell_E + start))
    class_E, cell_E, weight_E, counts = zip(*groups, strict=True)
    return LabelSide(
        torch.cat(class_E),
        torch.cat(cell_E),
        torch.cat(weight_E),
        torch.stack(counts).sum(0),
        (len(labels), *feature_size),
        ignore_index,
        align_corners,
    )


def _in_span(labels: Tensor, num_classes: int, ignore_index: int) -> bool:
    """Whether no label is below or above all that are allowed, so that a narrow dtype holds it."""
    if labels.numel() == 0:
        return True
    lowest, highest = labels.aminmax()
    return min(0, ignore_index) <= int(lowest) and int(highest) <= max(
        num_classes - 1, ignore_index
    )


def narrowest_dtype(num_classes: int, ignore_index: int) -> torch.dtype:
    """The smallest dtype for 0..K and ``ignore_index``: fewer bytes to read."""
    lowest, highest = min(0, ignore_index), max(num_classes, ignore_index)
    for dtype in (torch.uint8, torch.int16, torch.int32):
        limits = torch.iinfo(dtype)
        if limits.min <= lowest and highest <= limits.max:
            return dtype
    return torch.int64


def _own_cells(labels: Tensor, num_classes: int, ignore_index: int, dtype: torch.dtype) -> Entries:
    """The entries of labels at feature size: each label has one cell, with a weight of one."""
    ids = labels.flatten()
    cell_E = (ids != ignore_index).nonzero().flatten()
    class_E = ids[cell_E]
    counts_K = torch.bincount(class_E, minlength=num_classes)
    return Entries(class_E.int(), cell_E.int(), torch.ones(len(cell_E), dtype=dtype), counts_K)
