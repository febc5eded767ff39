"""PointCloud: the points of a scan, or of a part of it, as read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

# The attributes with a defined meaning, and their numbers of channels. Any other name is a scalar
# of the file, used unchanged.
CHANNELS = {"rgb": 3, "nir": 1, "intensity": 1, "returns": 2, "normal": 3, "height": 1}


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points with attributes and class codes, in the units of the file's coordinate system.

    Attributes:
        xyz_N3: (N, 3) float64. Projected coordinates reach 1e7 m, where float32 only resolves whole
            meters.
        attributes: (N, C) float32 by name. Colours and near infrared lie in [0, 1], and so does
            intensity stored as unsigned 8 or 16 bit; "returns" is (return number, number of
            returns) over 7, "normal" a unit vector.
        codes_N: (N,) int64 class codes of the file, not class ids; None without labels.
        withheld_N: (N,) bool: points that the maker of the file withdrew, such as noise of the
            sensor. They are not learned, scored or counted. None without such marks.
    """

    xyz_N3: np.ndarray
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)
    codes_N: np.ndarray | None = None
    withheld_N: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of points N."""
        return len(self.xyz_N3)
