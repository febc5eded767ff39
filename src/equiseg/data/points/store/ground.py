"""Height above ground, computed from the points by a simple morphological filter."""

from __future__ import annotations

import math

import numpy as np

try:
    from scipy import ndimage
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('height above ground needs scipy: pip install "equiseg[points]"') from error

_POINTS_A_CELL = 4  # on average: most cells under a canopy then have a point on the ground
_FINEST = 0.5  # m
_MOST_CELLS = 4096  # along a side: bounds the memory if a stray point is far away
_STEEPEST = 0.15  # slope of the terrain; the default of Pingel et al.
_WIDEST = 25.0  # m, half the width of the widest building
_TOO_LOW = 1.5  # m below all its neighbours: a stray echo, not a pit


class Ground:
    """The surface of the ground on a grid, from the lowest point of each cell.

    The surface is opened by squares of growing width. Cells above the opened surface by more than
    the terrain can rise over that width are objects, and their ground height is taken from the
    cells around them. This follows the simple morphological filter of Pingel, Clarke & McBride, "An
    improved simple morphological filter for the terrain classification of airborne LIDAR data",
    ISPRS Journal 77 (2013). No labels are used.

    Args:
        lower_2: (2,) smallest x and y of the points, in meters.
        upper_2: (2,) largest x and y.
        num_points: Number of points, which determines the cell size.
    """

    def __init__(self, lower_2: np.ndarray, upper_2: np.ndarray, num_points: int) -> None:
        size_2 = np.asarray(upper_2, np.float64) - lower_2
        area = max(float(size_2.prod()), _FINEST**2)
        cell = math.sqrt(area * _POINTS_A_CELL / max(num_points, 1))
        self.cell = max(cell, _FINEST, float(size_2.max()) / _MOST_CELLS)
        self._lower_2 = np.asarray(lower_2, np.float64)
        self._lowest_XY = np.full((size_2 // self.cell).astype(int) + 1, np.inf, np.float32)
        self._ground_XY: np.ndarray | None = None

    def add(self, xyz_N3: np.ndarray) -> None:
        """Add some of the points."""
        cells_N2 = ((xyz_N3[:, :2] - self._lower_2) // self.cell).astype(int)
        # A point rounded to float32 may be slightly outside.
        cells_N2 = cells_N2.clip(0, np.array(self._lowest_XY.shape) - 1)
        np.minimum.at(self._lowest_XY, tuple(cells_N2.T), xyz_N3[:, 2].astype(np.float32))
        self._ground_XY = None

    def heights(self, xyz_N3: np.ndarray) -> np.ndarray:
        """Meters above the ground, from the points added so far, (N,) float32."""
        if self._ground_XY is None:
            self._ground_XY = _without_things(self._lowest_XY, self.cell)
        # Cell heights apply to the middles of cells; between middles they are interpolated.
        places_N2 = (xyz_N3[:, :2] - self._lower_2) / self.cell - 0.5
        below_N = ndimage.map_coordinates(self._ground_XY, places_N2.T, order=1, mode="nearest")
        heights_N: np.ndarray = (xyz_N3[:, 2] - below_N).astype(np.float32)
        return heights_N


def height_above_ground(xyz_N3: np.ndarray) -> np.ndarray:
    """Meters above ground of every point of a scan; see :class:`Ground` for scans in parts.

    Args:
        xyz_N3: (N, 3) coordinates in meters, z up; at least one point.

    Returns:
        (N,) float32; slightly below 0 where the ground is rough.
    """
    xyz_N3 = np.asarray(xyz_N3, dtype=np.float64)
    ground = Ground(xyz_N3[:, :2].min(axis=0), xyz_N3[:, :2].max(axis=0), len(xyz_N3))
    ground.add(xyz_N3)
    return ground.heights(xyz_N3)


def _without_things(lowest_XY: np.ndarray, cell: float) -> np.ndarray:
    """The ground without objects; cells without points are infinite in the input."""
    surface_XY = _filled(lowest_XY, np.isinf(lowest_XY))
    too_low_XY = ndimage.grey_closing(surface_XY, 3) - surface_XY > _TOO_LOW
    surface_XY = _filled(surface_XY, too_low_XY)
    thing_XY = np.zeros(surface_XY.shape, dtype=bool)
    opened_XY, reach = surface_XY, 1
    while True:
        before_XY, opened_XY = opened_XY, ndimage.grey_opening(opened_XY, 2 * reach + 1)
        thing_XY |= before_XY - opened_XY > _STEEPEST * reach * cell
        if reach * cell >= _WIDEST:
            break
        reach = min(2 * reach, math.ceil(_WIDEST / cell))
    return _filled(surface_XY, thing_XY)


def _filled(surface_XY: np.ndarray, holes_XY: np.ndarray) -> np.ndarray:
    """The surface with holes filled by the height of the nearest other cell."""
    if not holes_XY.any() or holes_XY.all():
        return surface_XY
    nearest = ndimage.distance_transform_edt(holes_XY, return_distances=False, return_indices=True)
    filled: np.ndarray = surface_XY[tuple(nearest)]
    return filled
