"""Crops of a scan around a point: spheres and square columns, never empty."""

from __future__ import annotations

import math

from torch import Tensor

from equiseg.data.points.sample import PointSample


def sphere_crop(
    sample: PointSample, center_3: Tensor, radius: float = math.inf, *, most: int | None = None
) -> PointSample:
    """The points within a radius.

    Args:
        sample: A scan.
        center_3: (3,) center in meters.
        radius: Radius in meters; infinite by default, so that ``most`` alone limits the crop.
        most: Largest number of points, the nearest are kept; None keeps all.

    Returns:
        The points in their order; only the nearest point if none is within the radius.

    Raises:
        ValueError: If the radius or ``most`` is not positive, or the scan has no points.
    """
    offsets_N3 = sample.xyz_N3 - center_3.to(sample.xyz_N3)
    return _nearest(sample, offsets_N3.square().sum(1).sqrt(), radius, most, "radius", radius)


def block_crop(
    sample: PointSample, center_3: Tensor, side: float, *, most: int | None = None
) -> PointSample:
    """The points in a square column, at any height, for airborne scans.

    Args:
        sample: A scan.
        center_3: (3,) center in meters; its height does not matter.
        side: Side of the square, in meters.
        most: Largest number of points; a smaller square around the same center keeps so many;
            None keeps all.

    Returns:
        The points in their order; only the nearest point if none is in the square.

    Raises:
        ValueError: If the side or ``most`` is not positive, or the scan has no points.
    """
    offsets_N2 = sample.xyz_N3[:, :2] - center_3.to(sample.xyz_N3)[:2]
    return _nearest(sample, offsets_N2.abs().amax(1), side / 2, most, "side", side)


def _nearest(
    sample: PointSample, distance_N: Tensor, reach: float, most: int | None, name: str, size: float
) -> PointSample:
    """The points within reach, at least one and at most ``most``."""
    if not reach > 0:
        raise ValueError(f"{name} must be above 0 m, got {size}")
    if most is not None and most < 1:
        raise ValueError(f"most must be at least 1, got {most}; None keeps all points")
    if not len(distance_N):
        raise ValueError(f"sample {sample.name!r} has no points to crop; leave it out")
    if most is not None and most < len(distance_N):
        reach = min(reach, distance_N.kthvalue(most).values.item())
    rows = (distance_N <= max(reach, distance_N.min().item())).nonzero().flatten()
    if most is not None and len(rows) > most:  # at equal distance, the first points are kept
        rows = rows[distance_N[rows].argsort(stable=True)[:most]].sort().values
    return PointSample(
        sample.xyz_N3[rows], sample.features_NC[rows], sample.labels_N[rows], sample.name
    )
