"""Options for random changes and crops of training scans."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from equiseg.data.rare_options import check_rare


@dataclass(frozen=True)
class PointAugmentConfig:
    """Random changes to a training scan.

    The defaults are the settings that Pointcept's MinkUNet-like baselines share between ScanNet and
    SemanticKITTI; where the two differ, the milder one. Two changes that they use for rooms only
    are off: ``elastic`` (``((0.2, 0.4), (0.8, 1.6))`` for rooms, also in MinkowskiEngine's ScanNet
    training and Mix3D; it would also bend streets and roofs) and ``mix`` (0.8 for rooms; it nearly
    doubles the points of a step).

    Attributes:
        rotate: Largest rotation about the vertical, degrees either way. 180 allows any direction,
            because scans have no preferred one.
        tilt: Largest rotation about each horizontal axis, degrees either way. 2.8 (pi / 64) is a
            slightly sloping floor; with more, "up" would lose its meaning.
        scale: Range of the resize, drawn log-uniformly; it also scales the channel "height".
        flip: Probability of mirroring along x, and again along y.
        jitter: Standard deviation and largest size, in meters, of the noise on each coordinate;
            (0, 0) adds none. The default, 5 mm and 2 cm, is used for rooms and roads.
        elastic: Pairs (granularity, magnitude) in meters, applied in turn: noise at the nodes of a
            grid, smoothed twice and interpolated (Simard et al. 2003, in 3D). Each coordinate moves
            by about a ninth of the magnitude.
        colour_shift: Largest change of a colour channel over the whole scan, for colours in [0, 1],
            like another lamp.
        colour_jitter: Standard deviation of the noise on each point's colours.
        contrast: Probability of stretching the colours towards the full range, by a random share.
        colour_drop: Probability of setting all colours to 0, so that only the shape remains. Off by
            default; 0.2 is usual.
        drop: Largest share of points to remove. 0.1 removes 5 % on average, about as many as
            Pointcept's 20 % in one of five scans.
        mix: Probability of overlaying a second scan (Mix3D, Nekrasov et al. 2021), if the data set
            has one.
    """

    rotate: float = 180.0
    tilt: float = 2.8
    scale: tuple[float, float] = (0.9, 1.1)
    flip: float = 0.5
    jitter: tuple[float, float] = (0.005, 0.02)
    elastic: tuple[tuple[float, float], ...] = ()
    colour_shift: float = 0.05
    colour_jitter: float = 0.05
    contrast: float = 0.2
    colour_drop: float = 0.0
    drop: float = 0.1
    mix: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rotate", "tilt"):
            if not 0 <= getattr(self, name) <= 180:
                raise ValueError(
                    f"{name} must be 0..180 degrees either way, got {getattr(self, name)}; 0 does "
                    "not turn"
                )
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(
                f"scale must be 0 < low <= high, got {self.scale}; (1, 1) does not resize"
            )
        if len(self.jitter) != 2 or not 0 <= self.jitter[0] <= self.jitter[1]:
            raise ValueError(
                "jitter must be 0 <= standard deviation <= largest, in meters, got "
                f"{self.jitter}; (0, 0) leaves points where they are"
            )
        for pair in self.elastic:
            if len(pair) != 2 or not (pair[0] > 0 and pair[1] >= 0):
                raise ValueError(
                    "elastic must be pairs (granularity, magnitude) in meters, granularity above "
                    f"0, got {pair}; () bends nothing"
                )
        for name in ("flip", "contrast", "colour_drop", "mix"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} must be a probability in [0, 1], got {getattr(self, name)}; 0 never "
                    "does it"
                )
        for name in ("colour_shift", "colour_jitter", "drop"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be in [0, 1), got {getattr(self, name)}; 0 leaves all as it is"
                )


@dataclass(frozen=True)
class PointCropConfig:
    """Options for the part of a scan in a training step.

    Attributes:
        shape: "sphere" (rooms), "block" (a square column, for scans from the air) or "none".
        size: Radius of the sphere or side of the block in meters; None for shape "none".
        most: Largest number of points; the nearest to the center are kept, which bounds the memory
            of a step. None keeps all. Pointcept uses 100 000 for rooms with voxels of 2 cm.
        rare: Probability of choosing scan and center by class: a class is drawn, then a scan that
            contains it, then a point of the class. With 0, scans come in turn and any labelled
            point is the center, so classes appear as often as they occur.
        rare_power: Classes are drawn with probability proportional to (1 / number of points) **
            power: 0 draws all equally often, 1 favours the rarest.
    """

    shape: Literal["none", "sphere", "block"] = "none"
    size: float | None = None
    most: int | None = 100_000
    rare: float = 0.0
    rare_power: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in ("none", "sphere", "block"):
            raise ValueError(f"shape must be 'none', 'sphere' or 'block', got {self.shape!r}")
        if self.shape == "none" and self.size is not None:
            raise ValueError(
                f"size has no effect on shape 'none', got {self.size}; choose 'sphere' or 'block', "
                "or leave size out"
            )
        if self.shape != "none" and (self.size is None or not 0 < self.size < math.inf):
            raise ValueError(
                f"size must be above 0 m for shape {self.shape!r}, got {self.size}; a radius of 3 "
                "is most of a room"
            )
        if self.most is not None and self.most < 1:
            raise ValueError(f"most must be at least 1, got {self.most}; None keeps all points")
        check_rare("rare", self.rare, self.rare_power)
