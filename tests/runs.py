"""The smallest run that goes through everything."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from equiseg.data.config import DataConfig
from equiseg.data.images.transforms import AugmentConfig
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.training.config import TrainConfig


def tiny_config(**changes: Any) -> TrainConfig:
    data = DataConfig(
        synthetic=SyntheticConfig(
            pictures=PicturesConfig(num_classes=6, image_size=(48, 64)), num_samples=(12, 4, 4)
        ),
        augment=AugmentConfig(scale=(0.8, 1.25)),
    )
    return TrainConfig(**({"data": data, "epochs": 2, "batch_size": 4, "threads": 1} | changes))


def write_street(folder: Path, sizes: tuple[tuple[int, int], ...]) -> None:
    """A card with two images a split, of the given (H, W), without a test split."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "annotations"):
            (folder / kind / split).mkdir(parents=True)
        for number, size in enumerate(sizes):
            labels = rng.integers(0, 3, size, dtype=np.uint8)
            pixels = np.stack([labels * 80] * 3, -1)
            Image.fromarray(pixels).save(folder / "images" / split / f"{number}.png")
            Image.fromarray(labels).save(folder / "annotations" / split / f"{number}.png")
    (folder / "street.yaml").write_text(
        "name: street\nroot: .\nclasses: [road, car, sign]\nsplits: {train: train, val: val}\n"
    )
