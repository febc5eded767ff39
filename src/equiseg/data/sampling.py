"""Which training samples an epoch draws: each in turn, or those with rare classes more often."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingConfig:
    """How often a training image (or scan, or block) is drawn. An epoch stays n draws of n samples.

    Attributes:
        by: "turn" draws each once. "repeat_factor" (Gupta et al., LVIS, CVPR 2019) draws samples
            with classes that few samples hold more often. "rare_class" (Hoyer et al., DAFormer,
            CVPR 2022) draws a class first, those with few pixels by far more often, then a sample
            that holds it.
        threshold: For "repeat_factor": a class in a share f of the samples is repeated
            max(1, sqrt(threshold / f)) times, a sample as often as the class it holds that is
            repeated most. None takes the median of f over the classes, so that half of them count
            as rare, whatever the data; LVIS has 0.001 for 100 000 images of 1203 classes.
        temperature: For "rare_class": a class with a share f of the labelled pixels (points) is
            drawn in proportion to exp((1 - f) / temperature). 0.01 is DAFormer's: classes below a
            hundredth of the pixels come up alike within a factor of 3, those above a tenth almost
            never.
        min_pixels: For "rare_class": least pixels (points) of the class a sample must have to be
            drawn for it; where none has so many, any pixel will do. 16 fill one cell of a network
            of stride 4; DAFormer has 3000, of images of 1024 x 512.
    """

    by: Literal["turn", "repeat_factor", "rare_class"] = "turn"
    threshold: float | None = None
    temperature: float = 0.01
    min_pixels: int = 16

    def __post_init__(self) -> None:
        if self.by not in ("turn", "repeat_factor", "rare_class"):
            raise ValueError(
                f"by must be 'turn', 'repeat_factor' or 'rare_class', got {self.by!r}; 'turn' "
                "draws each sample once"
            )
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(
                f"threshold must be a share of the samples in (0, 1], got {self.threshold}; None "
                "takes the median over the classes"
            )
        if not 0 < self.temperature < math.inf:
            raise ValueError(
                f"temperature must be above 0, got {self.temperature}; 0.01 favours the rare, 1 "
                "draws all classes about alike"
            )
        if self.min_pixels < 1:
            raise ValueError(
                f"min_pixels must be at least 1, got {self.min_pixels}; 1 takes any sample that "
                "holds the class"
            )
        default = SamplingConfig
        for name, by in (
            ("threshold", "repeat_factor"),
            ("temperature", "rare_class"),
            ("min_pixels", "rare_class"),
        ):
            value = getattr(self, name)
            if self.by != by and value != getattr(default, name):
                raise ValueError(
                    f"{name} has no effect where samples are drawn by {self.by!r}, got {value}; "
                    f"set by to {by!r}, or leave {name} out"
                )


def expected_draws(config: SamplingConfig, counts_SK: Tensor) -> Tensor:
    """How often each sample is drawn in an epoch, on average: (S,) float64 that sum to S.

    Args:
        config: How.
        counts_SK: (S, K) labelled pixels (points) of each class in each of the S samples.

    Raises:
        ValueError: If nothing is labelled, or nothing would be drawn more often than in turn.
    """
    num_samples = len(counts_SK)
    if not counts_SK.any():
        raise ValueError(
            "counts_SK must hold labels of some class, got 0 of every class; check ignore_index"
        )
    counts_SK = counts_SK[:, counts_SK.any(0)].double()  # a class that no sample holds is no class
    if config.by == "turn":
        return torch.ones(num_samples, dtype=torch.float64)
    weights_S = (_repeats if config.by == "repeat_factor" else _by_class)(config, counts_SK)
    return weights_S * (num_samples / weights_S.sum())


def _repeats(config: SamplingConfig, counts_SK: Tensor) -> Tensor:
    """Largest repeat factor of the classes a sample holds; 1 where it holds none."""
    holds_SK = counts_SK > 0
    shares_K = holds_SK.double().mean(0)
    threshold = float(shares_K.quantile(0.5)) if config.threshold is None else config.threshold
    repeats_K = (threshold / shares_K).sqrt().clamp(min=1)
    repeats_S = torch.where(holds_SK, repeats_K, 1.0).amax(1)
    if bool((repeats_S == repeats_S[0]).all()):
        rarest = float(shares_K.min())
        if threshold <= rarest < 1:
            cure = "set a threshold above that, or draw"
        else:
            cure = "all samples share one factor at any threshold: draw"
        raise ValueError(
            f"threshold repeats no sample more often than another, got {threshold:.3g} where the "
            f"rarest class is in {rarest:.3g} of the samples; {cure} by "
            "'rare_class', which goes by pixels"
        )
    return repeats_S


def _by_class(config: SamplingConfig, counts_SK: Tensor) -> Tensor:
    """Chance of each sample: of its classes, each split evenly among the samples that hold it."""
    shares_K = counts_SK.sum(0) / counts_SK.sum()
    chances_K = torch.softmax((1 - shares_K) / config.temperature, 0)
    enough_SK = counts_SK >= config.min_pixels
    chosen_SK = torch.where(enough_SK.any(0), enough_SK, counts_SK > 0).double()
    return (chosen_SK / chosen_SK.sum(0)) @ chances_K
