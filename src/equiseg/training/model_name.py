"""The name of the network of a run."""

from __future__ import annotations

from equiseg.data.sample import DataSpec
from equiseg.models import SPARSE_MODELS, model_names
from equiseg.training.config import ModelConfig


def model_name(config: ModelConfig, spec: DataSpec) -> str:
    """The name of the network: the one asked for, or the small one that suits the data.

    Raises:
        ValueError: If a network of images is asked for on point clouds, or the other way round.
    """
    name = config.name or ("minkunet-small" if spec.holds_points else "fpn-small")
    if (name in SPARSE_MODELS) != spec.holds_points:
        kinds = ("images", "point clouds")
        raise ValueError(
            f"model.name={name} takes {kinds[name in SPARSE_MODELS]}, the data are "
            f"{kinds[spec.holds_points]}; choose one of {', '.join(_names(spec.holds_points))}"
        )
    return name


def _names(of_points: bool) -> list[str]:
    return [name for name in model_names() if (name in SPARSE_MODELS) == of_points]
