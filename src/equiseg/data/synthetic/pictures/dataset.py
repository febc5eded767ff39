"""Built-in pictures: seeded images of rooms with a long tail, and two independent dials.

`imbalance` sets how many times more pixels the most common class has than the rarest; `context`
sets how strongly the neighbours and the place of an object predict its class.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from equiseg.data.sample import Sample
from equiseg.data.synthetic.pictures.config import PicturesConfig as PicturesConfig
from equiseg.data.synthetic.pictures.drawing import finish
from equiseg.data.synthetic.pictures.layout import KINDS, WALL, Plan, compose, paint
from equiseg.data.synthetic.streams import (
    BLOCK,
    CALIBRATION,
    SPLITS,
    generator,
    strata,
)


def _picture(
    config: PicturesConfig, plan: Plan, stream: int, index: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    """Canvas (3, H, W), labels (H, W), the area asked for each class (K,), and the generator."""
    rng = generator(config.seed, stream, index, 1)
    strata_2K = strata(len(KINDS), config.seed, stream, index // BLOCK)[index % BLOCK]
    scene = compose(plan, config.image_size, config.context, strata_2K, rng)
    return *paint(scene, config.image_size, rng), scene.asked_K, rng


@lru_cache(maxsize=64)
def _calibrated(config: PicturesConfig) -> Plan:
    """The plan whose painted labels have the planned shares.

    Only part of the area asked for a class is visible: shapes do not fill their boxes, objects
    cover one another and leave the frame. The visible part is therefore measured on rounds of
    pictures from a separate stream; earlier rounds are weighted down by 0.85 per round.
    """
    shares = config.shares
    shown_K = 6.0 * np.ones(config.num_classes)  # a weak prior: 60 % of ten pixels
    asked_K = 10.0 * np.ones(config.num_classes)
    for block in range(10):
        plan = Plan.of(shares * asked_K / shown_K)
        shown_K, asked_K = 0.85 * shown_K, 0.85 * asked_K
        for index in range(block * BLOCK, (block + 1) * BLOCK):
            _, labels, asked, _ = _picture(config, plan, CALIBRATION, index)
            shown_K += np.bincount(labels.ravel(), minlength=config.num_classes)
            asked_K += asked
        asked_K[WALL] = shown_K[WALL]  # the wall fills the rest
    return Plan.of(shares * asked_K / shown_K)


class RoomPictures:
    """Pictures of rooms; each depends on the config, the split and its index alone.

    The image at an index does not depend on the order of reading, the worker or the number of
    images. The first use of a combination of dials in a process calibrates them, about a second.

    Args:
        config: The dials.
        split: "train", "val" or "test": independent random streams.
        num_images: Length of the data set, at least 1.

    Attributes:
        classes: K names, from the most common to the rarest.
        ignore_index: 255; no pixel carries it.

    Raises:
        ValueError: If `split` is unknown or `num_images` is below 1.

    Examples:
        >>> data = RoomPictures(PicturesConfig(num_classes=6), "train", num_images=2)
        >>> data.classes
        ('wall', 'floor', 'ceiling', 'window', 'rug', 'sofa')
        >>> data[0].image.shape, data[0].labels.shape, data[1].name
        (torch.Size([3, 96, 128]), torch.Size([96, 128]), 'train-00001')
    """

    ignore_index = 255
    background: int | None = None

    def __init__(self, config: PicturesConfig, split: str, num_images: int) -> None:
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        if num_images < 1:
            raise ValueError(f"num_images must be at least 1, got {num_images}; a demo uses 300")
        self.config = config
        self.split = split
        self.num_images = num_images
        self.classes = tuple(kind.name for kind in KINDS[: config.num_classes])
        self._plan = _calibrated(replace(config, seed=0))  # the plan ignores the seed

    def __len__(self) -> int:
        return self.num_images

    def __getitem__(self, index: int) -> Sample:
        if not -self.num_images <= index < self.num_images:
            raise IndexError(
                f"index must be below {self.num_images}, the number of images, got {index}"
            )
        index %= self.num_images
        canvas, labels, _, rng = _picture(self.config, self._plan, SPLITS.index(self.split), index)
        image = torch.from_numpy(finish(canvas, rng))
        return Sample(image, torch.from_numpy(labels), f"{self.split}-{index:05d}")
