"""LabelFacts: what is counted in the labels of one sample, small enough to be remembered."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from equiseg.data.errors import DataError
from equiseg.data.points.voxels import majority_labels, voxelize
from equiseg.data.sample import DataSpec
from equiseg.data.survey.asking import Question
from equiseg.data.survey.samples import size_and_counts
from equiseg.imbalance import ContextStatistics
from equiseg.imbalance.regions import Layout, mask_layout, voxel_layout


class ContextFacts(NamedTuple):
    """Regions and neighbours in one sample, for the classes that occur.

    Attributes:
        ids: The C classes that occur; for point clouds, as the class of most points of a voxel.
        regions: Regions of each, (C,).
        pairs: Classes of neighbours, as place in a flat (C, C) table of the classes above.
        adjacency: Number of neighbours of each pair.
    """

    ids: list[int]
    regions: list[int]
    pairs: list[int]
    adjacency: list[int]

    @classmethod
    def of(cls, layout: Layout) -> ContextFacts:
        """The facts of a layout."""
        ids = np.flatnonzero(layout.counts_K)
        adjacency = layout.adjacency_KK[np.ix_(ids, ids)].ravel()
        pairs = np.flatnonzero(adjacency)
        return cls(
            ids.tolist(), layout.regions_K[ids].tolist(), pairs.tolist(), adjacency[pairs].tolist()
        )

    def add_to(self, context: ContextStatistics) -> None:
        """Add the facts to the counts of a data set, in place."""
        ids = np.array(self.ids, np.int64)
        both = ids[:, None], ids
        adjacency = np.zeros(len(ids) ** 2, np.int64)
        adjacency[np.array(self.pairs, np.int64)] = self.adjacency
        context.regions_K.numpy()[ids] += np.array(self.regions, np.int64)
        context.adjacency_KK.numpy()[both] += adjacency.reshape(len(ids), len(ids))
        context.cooccurrence_KK.numpy()[both] += 1
        context.num_images += 1


class LabelFacts(NamedTuple):
    """Counts of the labels of one sample.

    Attributes:
        size: (H, W) of an image, (N,) of a point cloud.
        ids: The classes that occur.
        counts: Pixels (points) of each.
        context: Regions and neighbours; None if they were not counted.
    """

    size: tuple[int, ...]
    ids: list[int]
    counts: list[int]
    context: ContextFacts | None = None

    @classmethod
    def from_json(cls, value: Any) -> LabelFacts:
        """The facts from their lists in JSON."""
        size, ids, counts, context = value
        return cls(tuple(size), ids, counts, None if context is None else ContextFacts(*context))


def _facts(data: Any, index: int, *, context: bool) -> LabelFacts:
    """The facts of one sample; of an image only the labels are read, if possible."""
    reads_labels = hasattr(data, "labels")
    sample: Any = None if reads_labels else data[index]
    labels: Tensor = data.labels(index) if reads_labels else sample.labels
    try:
        facts = LabelFacts(*size_and_counts(labels, len(data.classes), data.ignore_index))
        if context:
            facts = facts._replace(context=ContextFacts.of(_layout(data, sample, labels)))
    except (TypeError, ValueError) as error:
        name = data[index].name if sample is None else sample.name
        raise DataError(f"{name}: {error}") from error
    return facts


def _layout(data: Any, sample: Any, labels: Tensor) -> Layout:
    """Regions and neighbours in one sample.

    Raises:
        ValueError: If labels of an image are not (H, W), or points lie too far apart.
    """
    num_classes, voxel = len(data.classes), DataSpec.of(data).voxel_size
    if voxel is not None:
        voxels = voxelize(sample.xyz_N3, voxel)
        majority_V = majority_labels(labels, voxels, num_classes, data.ignore_index)
        coordinates = voxels.coordinates_V3.numpy()
        return voxel_layout(coordinates, majority_V.numpy(), num_classes)
    if labels.ndim != 2:
        raise ValueError(f"labels must be one mask (H, W), got shape {tuple(labels.shape)}")
    return mask_layout(labels.numpy(), num_classes)


LABELS = Question("labels", 1, partial(_facts, context=False))
CONTEXT = Question("context", 1, partial(_facts, context=True))
