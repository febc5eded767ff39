"""Options of the built-in scans."""

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
        num_classes: 4 to 200: the first of the forty hand-made classes; above forty, also variants
            of them ("chair 2") as fine-grained classes.
        imbalance: Points of the most common class over points of the rarest, 10 to 3000; the
            frequencies form a geometric series. The default, 300, is the same as for pictures.
        context: Share of objects placed on or at their host class, 0 (anywhere) to 1 (always at the
            host). At the default, 0.9, the context helps but does not determine the class.
        points: Mean number of points per room, at least 1000. At the default, the rarest objects
            have about 30 points.
        seed: Seed of the rooms; it changes neither the frequencies nor the context.

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
