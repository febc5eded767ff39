"""Label sides made in the data workers, while the network computes the batch before.

The label side is the part of the class centers that depends on the labels only
(:func:`equiseg.label_side`). On a CPU it is half of a center loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from equiseg.centers.label_sides import LabelSide, label_side, voxel_side
from equiseg.data.points.voxels import VoxelBatch
from equiseg.evaluation.inputs import network_input, within
from equiseg.tap import FeatureTap


class MapSizes(NamedTuple):
    """Spatial sizes of the maps of a batch; () for points.

    Attributes:
        features: Of the features, (h, w).
        labels: Of the labels, (H, W).
    """

    features: tuple[int, ...]
    labels: tuple[int, ...]


class SidedBatch(NamedTuple):
    """A batch with the label sides of its labels.

    Attributes:
        inputs: (B, C, H, W) images, stored maps, or voxels.
        labels: (B, H, W), or (N,) of points.
        sides: One for each convention of the resize that a loss follows.
    """

    inputs: Any
    labels: Tensor
    sides: tuple[LabelSide, ...]


@dataclass(frozen=True)
class SidedCollate:
    """Makes a batch of samples, with its label sides.

    Attributes:
        collate: Makes (inputs, labels) of samples.
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        conventions: ``align_corners`` of the losses that take a side; each makes one side. Points
            in voxels have one side for all.
        sizes: Spatial sizes of features and labels; batches of other labels get no side. Not used
            for points.
    """

    collate: Callable[[list[Any]], tuple[Any, Tensor]]
    num_classes: int
    ignore_index: int
    conventions: Sequence[bool]
    sizes: MapSizes

    def __call__(self, samples: list[Any]) -> SidedBatch:
        """The batch of some samples."""
        inputs, labels = self.collate(samples)
        return SidedBatch(inputs, labels, tuple(self._sides(inputs, labels)))

    def _sides(self, inputs: Any, labels: Tensor) -> Iterator[LabelSide]:
        classes, ignored = self.num_classes, self.ignore_index
        if isinstance(inputs, VoxelBatch):
            num_voxels = len(inputs.features_VC)
            yield voxel_side(labels, inputs.inverse_N, num_voxels, classes, ignore_index=ignored)
        elif tuple(labels.shape[1:]) == self.sizes.labels:
            for align_corners in self.conventions:
                yield label_side(
                    labels,
                    classes,
                    self.sizes.features,
                    ignore_index=ignored,
                    align_corners=align_corners,
                )


@torch.no_grad()
def map_sizes(model: nn.Module, tap: FeatureTap, inputs: Any, labels: Tensor) -> MapSizes:
    """Sizes of the features that a loss gets for a batch, and of the labels.

    The network runs once, in eval mode; neither its statistics nor the random state change.

    Args:
        model: The network.
        tap: Its tap on the features.
        inputs: The inputs of a batch.
        labels: Its labels.
    """
    if isinstance(inputs, VoxelBatch):
        return MapSizes((), ())
    training = {module: module.training for module in model.modules()}
    with torch.random.fork_rng(devices=[]):
        model.eval()(network_input(inputs))
    for module, was_training in training.items():
        module.training = was_training
    features = within(tap.features, labels)
    return MapSizes(tuple(features.shape[2:]), tuple(labels.shape[1:]))
