"""Random changes to training scans and the parts a step sees, as options."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from equiseg.data.rare_options import check_rare


@dataclass(frozen=True)
class PointAugmentConfig:
    """Random changes to a training scan.

    The defaults are what Pointcept's MinkUNet-like baselines share between ScanNet and
    SemanticKITTI; where the two differ, the milder. What only rooms use there is off: ``elastic``
    (for rooms ``((0.2, 0.4), (0.8, 1.6))``, which also MinkowskiEngine's ScanNet training and
    Mix3D use, bends a street or a roof as well) and ``mix`` (0.8 in rooms; it nearly doubles the
    points of a step).

    Attributes:
        rotate: Largest turn about the vertical, degrees either way. 180 is any direction: scans
            have no preferred one.
        tilt: Largest turn about each horizontal axis, degrees either way. 2.8 (pi / 64) is a
            floor that slopes a little; more would take "up" away.
        scale: Range of the resize, drawn log-uniformly; also of the channel "height".
        flip: Probability of mirroring along x, and again along y.
        jitter: Standard deviation and largest size, in meters, of the noise on each coordinate;
            (0, 0) leaves it. 5 mm and 2 cm in rooms and on the road alike.
        elastic: (granularity, magnitude) in meters, one after the other: noise at the nodes of a
            grid, smoothed twice and interpolated (Simard et al. 2003, in 3D). Each coordinate
            moves by about a ninth of the magnitude.
        colour_shift: Largest change of a colour channel over the whole scan, of colours in
            [0, 1]: another lamp.
        colour_jitter: Standard deviation of the noise on each point's colours.
        contrast: Probability of stretching the colours towards the full range, by a random share.
        colour_drop: Probability of setting all colours to 0, so that shape alone has to do. Off;
            0.2 is the habit where it is used.
        drop: Largest share of points taken away. 0.1 takes a twentieth on average, about as many
            as Pointcept's a fifth, one time in five.
        mix: Probability of laying a second scan over the first (Mix3D, Nekrasov et al. 2021),
            where one is at hand.
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
    """The part of a scan that a training step sees.

    Attributes:
        shape: "sphere" (rooms), "block" (a square column, for scans from the air) or "none".
        size: Radius of the sphere or side of the block in meters; None without a shape.
        most: Points kept at most, the nearest to the center, which bounds the memory of a step;
            None keeps all. 100 000 is Pointcept's for rooms of 2 cm voxels.
        rare: Probability of choosing scan and center by class: a class first, then a scan that
            has it, then a point of it. 0 takes scans in turn and any labelled point, which shows
            classes as often as they occur.
        rare_power: Classes are drawn in proportion to one over their number of points, to this
            power: 0 all alike, 1 in favour of the rarest.
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
