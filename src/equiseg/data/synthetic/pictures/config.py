"""Options of the built-in pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equiseg.data.synthetic.pictures.layout import KINDS
from equiseg.data.synthetic.streams import check_dials, long_tail


@dataclass(frozen=True)
class PicturesConfig:
    """The built-in pictures.

    Attributes:
        num_classes: 4 to 20; the first classes of the list wall, floor, ceiling, window, ...
            remote.
        image_size: Height and width in pixels, at least 48 each. At the default size, an image
            takes a few milliseconds and the rarest objects have about 50 pixels.
        imbalance: Pixels of the most common class over pixels of the rarest, 10 to 3000; the
            frequencies form a geometric series. The default, 300, is close to Cityscapes (374) and
            leaves every class in enough of a few hundred images to be learned.
        context: Share of objects placed on or at their host class, 0 (anywhere) to 1 (always at the
            host). At the default, 0.9, the context helps but does not determine the class.
        seed: Seed of the rooms; it changes neither the frequencies nor the context.

    Raises:
        ValueError: If a value is out of its range.
    """

    num_classes: int = len(KINDS)
    image_size: tuple[int, int] = (96, 128)
    imbalance: float = 300.0
    context: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        if not 4 <= self.num_classes <= len(KINDS):
            raise ValueError(
                f"num_classes must be 4 to {len(KINDS)}, the classes of the built-in pictures, "
                f"got {self.num_classes}; use image folders for data of your own"
            )
        if len(self.image_size) != 2 or min(self.image_size) < 48:
            raise ValueError(
                "image_size must be (height, width) of at least 48 pixels each, got "
                f"{self.image_size}; below that a mug is a dot, the default is (96, 128)"
            )
        check_dials(self.imbalance, self.context, self.seed)

    @property
    def shares(self) -> np.ndarray:
        """The share of pixels meant for each class, (K,) float64: geometric, summing to 1."""
        return long_tail(self.num_classes, self.imbalance)
