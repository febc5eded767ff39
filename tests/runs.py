"""The smallest run that goes through everything."""

from typing import Any

from equiseg.data.scenes import SceneConfig
from equiseg.data.transforms import AugmentConfig
from equiseg.training.config import DataConfig, TrainConfig


def tiny_config(**changes: Any) -> TrainConfig:
    data = DataConfig(
        scenes=SceneConfig(num_classes=6, image_size=(48, 64)),
        num_scenes=(12, 4, 4),
        augment=AugmentConfig(scale=(0.8, 1.25)),
    )
    return TrainConfig(**({"data": data, "epochs": 2, "batch_size": 4, "threads": 1} | changes))
