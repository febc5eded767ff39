"""CopyPaste: things of rare classes cut out of other images and laid into this one.

Simple copy-paste (Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for
Instance Segmentation", CVPR 2021) for masks that know no instances: a thing is a connected region
of one class. As there, pasted edges are not blended.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.data.class_draw import ClassDraw, below
from equiseg.data.sample import Sample, SegmentationData
from equiseg.imbalance.regions import region_at

MOST_SHARE = 0.25  # of the picture: a larger region hides more than it shows
_EDGE = 1  # pixels around the region that its smooth resize may look at


class CopyPaste:
    """Pastes regions of classes drawn by how rare they are.

    Each time: a class, an image that holds it, a pixel of it, and the connected region around that
    pixel; resized and mirrored at random, then laid at a random place where it fits whole. A region
    that does not fit, or would cover more than a quarter of the picture, is left out.

    Args:
        data: The images to cut from.
        draw: Draws classes and images.
        scale: Range of the random resize, drawn log-uniformly.
        flip: Probability of a left-right flip.
        regions: Most regions to paste; from 1 to so many, all numbers alike.
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
            image: uint8 (3, H, W), or a part of one.
            labels: Its labels (H, W); they change where something was pasted and nowhere else.
            generator: The only source of randomness.
        """
        for _ in range(1 + below(self.regions, generator)):
            index, class_id = self.draw(generator)
            thing, mask = self._thing(self.data[index], class_id, generator)
            height, width = mask.shape
            free = labels.shape[0] - height, labels.shape[1] - width
            if min(free) < 0 or not 0 < int(mask.sum()) <= MOST_SHARE * labels.numel():
                continue
            top, left = (below(places + 1, generator) for places in free)
            rows, columns = slice(top, top + height), slice(left, left + width)
            image[:, rows, columns] = torch.where(mask, thing, image[:, rows, columns])
            labels[rows, columns] = labels[rows, columns].masked_fill(mask, class_id)

    def _thing(
        self, sample: Sample, class_id: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A region with its surroundings, uint8 (3, h, w), and where it lies there, bool (h, w)."""
        row, column = pixel_of(sample, class_id, generator)
        region = torch.from_numpy(region_at(sample.labels.numpy(), row, column))
        low, high = self.scale
        scale = low * (high / low) ** torch.rand((), generator=generator).item()
        mirrored = torch.rand((), generator=generator).item() < self.flip

        around = tuple(
            slice(max(int(places[0]) - _EDGE, 0), int(places[-1]) + 1 + _EDGE)
            for places in (region.any(1).nonzero(), region.any(0).nonzero())
        )
        mask = region[around].float()[None, None]
        thing = sample.image[:, around[0], around[1]].float()[None]
        size = [max(round(side * scale), 1) for side in mask.shape[2:]]
        mask = F.interpolate(mask, size, mode="nearest-exact")[0, 0].bool()
        thing = F.interpolate(thing, size, mode="bilinear", antialias=True)[0]
        thing = thing.round().clamp(0, 255).to(torch.uint8)
        return (thing.flip(-1), mask.flip(-1)) if mirrored else (thing, mask)


def pixel_of(sample: Sample, class_id: int, generator: torch.Generator) -> tuple[int, int]:
    """Row and column of a pixel of this class, all alike.

    Raises:
        ValueError: If the image has none.
    """
    places = (sample.labels == class_id).flatten().nonzero().flatten()
    if not len(places):
        raise ValueError(
            f"counts_SK must tell the classes of each sample, got pixels of class {class_id} for "
            f"{sample.name!r}, which has none; count the images of this data set"
        )
    place = int(places[below(len(places), generator)])
    return divmod(place, sample.labels.shape[1])
