"""Options for how often training samples are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SamplingConfig:
    """How often a training image (scan, block) is drawn. An epoch always has n draws of n samples.

    Attributes:
        by: "turn" draws each sample once. "repeat_factor" (Gupta et al., LVIS, CVPR 2019) draws
            samples more often if they contain classes that few samples contain. "rare_class" (Hoyer
            et al., DAFormer, CVPR 2022) draws a class first, much more often one with few pixels,
            then a sample that contains it.
        threshold: For "repeat_factor": a class in a share f of the samples has the repeat factor
            max(1, sqrt(threshold / f)); a sample has the largest factor of its classes. None takes
            the median of f over the classes, so that half of them count as rare in any data; LVIS
            uses 0.001 for 100 000 images of 1203 classes.
        temperature: For "rare_class": a class with a share f of the labelled pixels (points) is
            drawn in proportion to exp((1 - f) / temperature). 0.01 is DAFormer's value: the
            probabilities of classes below 1 % of the pixels differ by at most a factor of 3, and
            classes above 10 % are almost never drawn.
        min_pixels: For "rare_class": a sample is drawn for a class only if it has at least this
            many of its pixels (points); if no sample has, one pixel is enough. 16 fill one cell of
            a network of stride 4; DAFormer uses 3000 for images of 1024 x 512.
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
