"""The samples of a training epoch: views of images or scans, and how often each is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from equiseg.data.images.transforms import AugmentConfig
from equiseg.data.loading import TrainingView
from equiseg.data.points.training_view import PointTrainingView
from equiseg.data.sampling import expected_draws
from equiseg.progress import Track
from equiseg.training.config import TrainConfig
from equiseg.training.frozen_views import KeptViews
from equiseg.training.opened_data import OpenedData


@dataclass(frozen=True)
class TrainingSamples:
    """Training samples by key, and how often each is drawn.

    Attributes:
        views: Augmented images, what frozen stages make of them, or augmented scans.
        counts_SK: (S, K) labels of each class in each sample, where something goes by them.
        draws_S: (S,) expected draws of each sample in an epoch; None for once each.
    """

    views: TrainingView | KeptViews | PointTrainingView
    counts_SK: Tensor | None
    draws_S: Tensor | None


def training_samples(
    config: TrainConfig, model: nn.Module, data: OpenedData, track: Track
) -> TrainingSamples:
    """Open the training split as the configuration asks for it.

    Args:
        config: The run.
        model: Its network; what frozen stages see may be kept.
        data: All splits.
        track: Shows the progress over samples.

    Raises:
        ValueError: If options do not suit the data or one another.
    """
    points, sampling = config.data.points, config.data.sampling
    _check(config, data, model)
    train: Any = data.splits["train"]
    sampled = sampling.by != "turn"
    counts_SK = data.counts_SK if sampled or config.data.chooses_by_class else None
    draws_S = expected_draws(sampling, counts_SK) if sampled and counts_SK is not None else None
    if data.spec.holds_points:
        scans = PointTrainingView(
            train, points.augment, points.crop, config.seed, counts_SK, draws_S
        )
        return TrainingSamples(scans, counts_SK, draws_S)
    images = TrainingView(train, config.data.augment, config.seed, counts_SK)
    if not config.model.keep_views:
        return TrainingSamples(images, counts_SK, draws_S)
    encoder: Any = model.encoder
    kept = KeptViews(
        images,
        encoder,
        config.model.freeze,
        config.model.keep_views,
        track,
    )
    return TrainingSamples(kept, counts_SK, draws_S)


def _check(config: TrainConfig, data: OpenedData, model: nn.Module) -> None:
    """Refuse what does not suit the data, or would do nothing."""
    if data.spec.holds_points:
        if config.model.keep_views:
            raise ValueError(
                f"model.keep_views is for images, got {config.model.keep_views}; use 0"
            )
        return
    sizes = sorted(data.splits["train"].sizes)
    augment = config.data.augment
    if len(sizes) > 1 and augment.crop is None:
        raise ValueError(
            f"training images come in {len(sizes)} sizes (from {sizes[0]} to {sizes[-1]}) and a "
            "batch holds one; resize them with data.size or cut them with data.augment.crop, "
            "as in --data.augment.crop '[512, 512]'"
        )
    if augment.rare and all(_is_whole(size, augment) for size in sizes):
        raise ValueError(
            f"data.augment.rare has no effect where the crop is the whole image, got "
            f"{augment.rare} with images of up to {sizes[-1]}; set data.augment.crop below that"
        )
    if config.model.keep_views and not (
        config.model.freeze and hasattr(getattr(model, "encoder", None), "frozen_maps")
    ):
        raise ValueError(
            f"model.keep_views={config.model.keep_views} needs frozen stages to keep (model.freeze "
            "of 1 or more) and a model with separate stages (fpn-small, fpn-lite0), got "
            f"model.freeze={config.model.freeze} and {config.model.name}"
        )


def _is_whole(size: tuple[int, ...], augment: AugmentConfig) -> bool:
    """Whether even the smallest window holds all of an image."""
    smallest = (side / augment.scale[1] for side in augment.crop or size)
    return all(round(window) >= side for window, side in zip(smallest, size, strict=True))
