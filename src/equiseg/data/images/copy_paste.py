"""CopyPaste: regions of rare classes from other images, pasted into the training image.

Simple copy-paste (Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for
Instance Segmentation", CVPR 2021) for masks without instances: an object is a connected region of
one class. As in the paper, pasted edges are not blended.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.data.class_draw import ClassDraw, below
from equiseg.data.sample import Sample, SegmentationData
from equiseg.imbalance.regions import region_at

MOST_SHARE = 0.25  # of the picture: a larger region hides too much of it


class CopyPaste:
    """Pastes regions of randomly drawn classes, rare classes more often.

    For each region, a class is drawn, an image that contains it, a pixel of the class, and the
    connected region of this pixel. The region is resized and mirrored at random, then pasted at a
    random place where it fits completely. A region that does not fit, or would cover more than a
    quarter of the picture, is skipped.

    Args:
        data: The images to cut from.
        draw: Draws classes and images.
        scale: Range of the random resize, drawn log-uniformly.
        flip: Probability of a left-right flip.
        regions: Largest number of regions to paste; the number is drawn uniformly from 1 to this
            one.
    """

    def __init__(
        self,
        data: SegmentationData,
        draw: ClassDraw,
        scale: tuple[float, float],
        flip: float,
        regions: int,
    ) -> None:
        self.data = data
        self.draw = draw
        self.scale = scale
        self.flip = flip
        self.regions = regions

    def __call__(self, image: Tensor, labels: Tensor, generator: torch.Generator) -> None:
        """Paste into a picture, in place.

        Args:
            image: uint8 or floating point in [0, 1], (C, H, W), or a part of one.
            labels: Its labels (H, W); they change where a region is pasted and nowhere else.
            generator: The only source of randomness.
        """
        for _ in range(1 + below(self.regions, generator)):
            index, class_id = self.draw(generator)
            most = MOST_SHARE * labels.numel()
            found = self._thing(self.data[index], class_id, tuple(labels.shape), most, generator)
            if found is None:
                continue
            thing, mask = found
            top, left = (
                below(have - need + 1, generator)
                for have, need in zip(labels.shape, mask.shape, strict=True)
            )
            rows, columns = slice(top, top + len(mask)), slice(left, left + mask.shape[1])
            image[:, rows, columns] = torch.where(mask, thing, image[:, rows, columns])
            labels[rows, columns] = labels[rows, columns].masked_fill(mask, class_id)

    def _thing(
        self,
        sample: Sample,
        class_id: int,
        room: tuple[int, ...],
        most: float,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor] | None:
        """The box around a region, (C, h, w), and the mask of the region in it, bool (h, w).

        None if it would be larger than ``room`` (H, W) or have more than ``most`` pixels; this is
        checked before anything is resized.
        """
        row, column = pixel_of(sample, class_id, generator)
        region = torch.from_numpy(region_at(sample.labels.numpy(), row, column))
        low, high = self.scale
        scale = low * (high / low) ** torch.rand((), generator=generator).item()
        mirrored = torch.rand((), generator=generator).item() < self.flip

        box = tuple(
            slice(int(places[0]), int(places[-1]) + 1)
            for places in (region.any(1).nonzero(), region.any(0).nonzero())
        )
        mask, thing = region[box].float()[None, None], sample.image[:, box[0], box[1]].float()[None]
        size = [max(round(side * scale), 1) for side in mask.shape[2:]]
        pixels = float(mask.mean()) * math.prod(size)
        if size[0] > room[0] or size[1] > room[1] or pixels > most:
            return None
        mask = F.interpolate(mask, size, mode="nearest-exact")[0, 0].bool()
        thing = F.interpolate(thing, size, mode="bilinear", antialias=True)[0]
        if sample.image.dtype == torch.uint8:
            thing = thing.round().clamp(0, 255).to(torch.uint8)
        return (thing.flip(-1), mask.flip(-1)) if mirrored else (thing, mask)


def pixel_of(sample: Sample, class_id: int, generator: torch.Generator) -> tuple[int, int]:
    """Row and column of a random pixel of this class, all equally likely.

    Raises:
        ValueError: If the image has no such pixel.
    """
    places = (sample.labels == class_id).flatten().nonzero().flatten()
    if not len(places):
        raise ValueError(
            f"counts_SK must count the labels of each sample, got pixels of class {class_id} for "
            f"{sample.name!r}, which has none; count the images of this data set"
        )
    place = int(places[below(len(places), generator)])
    return divmod(place, sample.labels.shape[1])
