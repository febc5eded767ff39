"""The inputs of a network in a batch: images, or voxels and the points in them."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.data.points.sample import PointSample
from equiseg.data.points.voxels import VoxelBatch, Voxels, collate_points, majority_labels
from equiseg.data.sample import DataSpec
from equiseg.models.sparse import SparseTensor

Inputs: TypeAlias = Tensor | VoxelBatch


def network_input(inputs: Inputs) -> Tensor | SparseTensor:
    """The argument the network is called with."""
    if isinstance(inputs, VoxelBatch):
        return SparseTensor(inputs.coordinates_V4, inputs.features_VC)
    return inputs


def inverse_of(inputs: Inputs) -> Tensor | None:
    """The voxel of every labelled point; None for images."""
    return inputs.inverse_N if isinstance(inputs, VoxelBatch) else None


_Inputs = TypeVar("_Inputs", Tensor, VoxelBatch, Inputs)


def moved(inputs: _Inputs, device: torch.device) -> _Inputs:
    """The inputs on a device."""
    if isinstance(inputs, VoxelBatch):
        return VoxelBatch(*(tensor.to(device) for tensor in inputs))
    return inputs.to(device)


class PointCollate:
    """Training scans to a batch: voxels, and labels of the points or of the voxels.

    Args:
        spec: What the data are.
        supervision: "points", or "majority": every voxel one label, and itself for inverse.
    """

    def __init__(self, spec: DataSpec, supervision: Literal["points", "majority"]) -> None:
        self.spec = spec
        self.supervision = supervision

    def __call__(self, samples: list[PointSample]) -> tuple[VoxelBatch, Tensor]:
        """Voxels of all scans, and labels."""
        assert self.spec.voxel_size is not None
        batch, labels_N = collate_points(samples, self.spec.voxel_size)
        if self.supervision == "points":
            return batch, labels_N
        rows_V = torch.arange(len(batch.features_VC))
        counts_V = torch.bincount(batch.inverse_N, minlength=len(rows_V))
        voxels = Voxels(batch.coordinates_V4[:, 1:], batch.inverse_N, counts_V)
        labels_V = majority_labels(labels_N, voxels, len(self.spec.classes), self.spec.ignore_index)
        scans_V = batch.coordinates_V4[:, 0].long()
        offsets_B = torch.searchsorted(scans_V, torch.arange(len(samples) + 1))
        return batch._replace(inverse_N=rows_V, offsets_B=offsets_B), labels_V


def within(features: Tensor, labels: Tensor) -> Tensor:
    """Features no larger than the labels.

    A network of stride 1 that stretches the image to its own multiple has features a little
    larger; they are resized as its logits are. Voxels have no size to compare.
    """
    if all(f <= s for f, s in zip(features.shape[2:], labels.shape[1:], strict=True)):
        return features
    return F.interpolate(features, labels.shape[1:], mode="bilinear", align_corners=False)
