"""ObjectCounts: objects found, missed, matched and false, by class and size."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from equiseg.imbalance.connected import Regions, map_regions, overlaps, voxel_regions
from equiseg.imbalance.regions import Integers

COCO_SIZES = (32**2, 96**2)
"""The limits of COCO between small, medium and large objects, in pixels."""
_ONE = 1 << 32  # IoUs are summed as integers, so that the order of batches and ranks is no matter
_MOST_CACHED = 1 << 26  # bytes of label regions, of some thousand images

FindRegions = Callable[[Integers, int], Regions]


@dataclass(frozen=True, eq=False)
class ObjectCounts:
    """Counts of objects; ``+`` adds those of parts of a data set.

    S - 1 limits in pixels make S sizes; an object of exactly a limit belongs to the larger ones.

    Attributes:
        found_KS: (K, S) int64 labelled objects with a match, by their own size.
        missed_KS: (K, S) int64 labelled objects without.
        matched_KS: (K, S) int64 predicted objects with a match, by their own size.
        false_KS: (K, S) int64 predicted objects without.
        iou_units_K: (K,) int64 sums of the IoUs of all matches, in units of 2^-32.
        pixels_K: (K,) int64 labelled pixels.
    """

    found_KS: Tensor
    missed_KS: Tensor
    matched_KS: Tensor
    false_KS: Tensor
    iou_units_K: Tensor
    pixels_K: Tensor

    @classmethod
    def zeros(cls, num_classes: int, num_sizes: int) -> ObjectCounts:
        """Counts before any object was seen."""
        counts_KS = (torch.zeros(num_classes, num_sizes, dtype=torch.int64) for _ in range(4))
        return cls(*counts_KS, *(torch.zeros(num_classes, dtype=torch.int64) for _ in range(2)))

    @classmethod
    def of_maps(
        cls,
        predicted: Tensor,
        truth: Tensor,
        num_classes: int,
        size_limits: Sequence[int] = COCO_SIZES,
        label_regions: FindRegions = map_regions,
    ) -> ObjectCounts:
        """Counts of images or volumes, each one on its own.

        Args:
            predicted: (B, *spatial) class ids.
            truth: (B, *spatial) class ids; K and above where there is no label.
            num_classes: Number of classes K.
            size_limits: Ascending sizes that divide small from larger objects.
            label_regions: Finds the regions of the labels; :class:`RegionCache` remembers them.
        """
        total = cls.zeros(num_classes, len(size_limits) + 1)
        pairs = zip(predicted.cpu().numpy(), truth.cpu().numpy(), strict=True)
        for guesses, labels in pairs:
            labelled = label_regions(labels, num_classes)
            total += cls._of(labelled, map_regions(guesses, num_classes), num_classes, size_limits)
        return total

    @classmethod
    def of_voxels(
        cls,
        predicted_V: Tensor,
        truth_V: Tensor,
        coordinates_V4: Tensor,
        num_classes: int,
        size_limits: Sequence[int] = COCO_SIZES,
    ) -> ObjectCounts:
        """Counts of the voxels of scans; arguments as :meth:`of_maps`.

        Args:
            predicted_V: (V,) class ids.
            truth_V: (V,) class ids.
            coordinates_V4: (V, 4) scan and x, y, z of each voxel, each once.
            num_classes: Number of classes K.
            size_limits: Ascending sizes in voxels.
        """
        places = coordinates_V4.cpu().numpy()
        labelled, guessed = (
            voxel_regions(places, ids.cpu().numpy(), num_classes) for ids in (truth_V, predicted_V)
        )
        return cls._of(labelled, guessed, num_classes, size_limits)

    def __add__(self, other: ObjectCounts) -> ObjectCounts:
        """Counts of both parts together."""
        names = [field.name for field in fields(self)]
        return ObjectCounts(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def ious_K(self) -> Tensor:
        """(K,) float64 sums of the IoUs of all matches."""
        return self.iou_units_K.double() / _ONE

    @classmethod
    def _of(
        cls, labelled: Regions, predicted: Regions, num_classes: int, limits: Sequence[int]
    ) -> ObjectCounts:
        """Counts of one image, or of the scans of a batch."""
        label_P, guess_P, pixels_P = overlaps(labelled, predicted)
        # A region meets the places without a label once at most.
        unlabelled = (label_P < 0) & (guess_P >= 0)
        unlabelled_G = np.zeros(len(predicted.sizes_G), np.int64)
        unlabelled_G[guess_P[unlabelled]] = pixels_P[unlabelled]
        both = (label_P >= 0) & (guess_P >= 0)
        label_P, guess_P, pixels_P = label_P[both], guess_P[both], pixels_P[both]
        alike = labelled.classes_G[label_P] == predicted.classes_G[guess_P]
        label_P, guess_P, pixels_P = label_P[alike], guess_P[alike], pixels_P[alike]
        guessed_P = predicted.sizes_G[guess_P] - unlabelled_G[guess_P]
        unions_P = labelled.sizes_G[label_P] + guessed_P - pixels_P
        match = 2 * pixels_P > unions_P
        found_G = np.zeros(len(labelled.sizes_G), bool)
        matched_G = np.zeros(len(predicted.sizes_G), bool)
        found_G[label_P[match]] = matched_G[guess_P[match]] = True
        ignored_G = ~matched_G & (2 * unlabelled_G > predicted.sizes_G)

        def counted(regions: Regions, chosen_G: np.ndarray) -> Tensor:
            counts_KS = np.zeros((num_classes, len(limits) + 1), np.int64)
            sizes = np.searchsorted(limits, regions.sizes_G[chosen_G], side="right")
            np.add.at(counts_KS, (regions.classes_G[chosen_G], sizes), 1)
            return torch.from_numpy(counts_KS)

        units_K, pixels_K = np.zeros((2, num_classes), np.int64)
        units = np.rint(_ONE * (pixels_P[match] / unions_P[match])).astype(np.int64)
        np.add.at(units_K, labelled.classes_G[label_P[match]], units)
        np.add.at(pixels_K, labelled.classes_G, labelled.sizes_G)
        return cls(
            counted(labelled, found_G),
            counted(labelled, ~found_G),
            counted(predicted, matched_G),
            counted(predicted, ~matched_G & ~ignored_G),
            torch.from_numpy(units_K),
            torch.from_numpy(pixels_K),
        )


class RegionCache:
    """Regions of label maps by their content: labels are the same at every validation."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Regions] = OrderedDict()
        self._bytes = 0

    def __call__(self, labels: Integers, num_classes: int) -> Regions:
        """The regions of a map, computed once."""
        small = np.ascontiguousarray(labels, np.uint16 if num_classes < 1 << 16 else np.int64)
        key = hashlib.blake2b(repr(small.shape).encode() + small.tobytes()).digest()
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        found = self._known[key] = map_regions(small, num_classes)
        self._bytes += _size(found)
        while self._bytes > _MOST_CACHED and len(self._known) > 1:
            self._bytes -= _size(self._known.popitem(last=False)[1])
        return found


def _size(regions: Regions) -> int:
    return sum(part.nbytes for part in regions if isinstance(part, np.ndarray))
