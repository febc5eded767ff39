"""The built-in scans, as options."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equiseg.data.synthetic.scans.kinds import KINDS
from equiseg.data.synthetic.scans.variants import MOST_CLASSES
from equiseg.data.synthetic.streams import check_dials, long_tail


@dataclass(frozen=True)
class ScansConfig:
    """The built-in scans.

    Attributes:
        num_classes: 4 to 200. The first so many of the forty hand-made classes, and beyond forty
            variants of them ("chair 2"), which make fine classes.
        imbalance: Points of the commonest class over those of the rarest, 10 to 3000; the classes
            between follow a geometric series. The default, 300, is the pictures'.
        context: Share of things that keep to their host, 0 (anywhere) to 1 (never elsewhere). The
            default, 0.9, lets the place help without telling all.
        points: Mean number of points of a room, at least 1000. At the default the rarest things
            have some 30 points.
        seed: Picks the rooms; changes neither the frequencies nor the context.

    Raises:
        ValueError: If a value is out of its range.
    """

    num_classes: int = len(KINDS)
    imbalance: float = 300.0
    context: float = 0.9
    points: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 4 <= self.num_classes <= MOST_CLASSES:
            raise ValueError(
                f"num_classes must be 4 to {MOST_CLASSES}, the classes of the built-in scans, "
                f"got {self.num_classes}; use point files for data of your own"
            )
        if self.points < 1000:
            raise ValueError(
                f"points must be at least 1000 a room, got {self.points}; below that a mug is one "
                "point, the default is 20000"
            )
        check_dials(self.imbalance, self.context, self.seed)

    @property
    def shares(self) -> np.ndarray:
        """The share of points meant for each class, (K,) float64: geometric, summing to 1."""
        return long_tail(self.num_classes, self.imbalance)
