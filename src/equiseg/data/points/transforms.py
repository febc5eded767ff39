"""Joint random transforms of points, features and labels, from one seeded generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from equiseg.data.points.config import PointAugmentConfig as PointAugmentConfig
from equiseg.data.points.sample import PointSample

_COLOURS = ("red", "green", "blue")
_NORMAL = ("normal_x", "normal_y", "normal_z")
_NOISE_NODES = 48  # nodes per side of the elastic noise, which repeats
_FLOOR = 0.01  # share of points below the "floor", because of stray returns under the ground


def augment_points(
    sample: PointSample,
    config: PointAugmentConfig,
    generator: torch.Generator,
    channels: Sequence[str],
    other: Callable[[], PointSample] | None = None,
) -> PointSample:
    """Thin, rotate, bend and recolour a scan; every label stays with its point.

    Args:
        sample: A scan; it is not changed.
        config: Ranges of the changes.
        generator: The only source of randomness.
        channels: Names of the C feature channels. "red", "green", "blue" are recoloured,
            "normal_x", "normal_y", "normal_z" rotate with the scan, "height" scales with it; all
            others stay unchanged.
        other: Returns a second scan; called with probability ``config.mix``.

    Returns:
        The changed scan around the same middle, with at least one point.

    Raises:
        ValueError: If the scan has no points or the channels do not fit its features.
    """
    mixed = other is not None and _between(0, 1, generator) < config.mix
    augmented = _augment(sample, config, generator, channels)
    if other is None or not mixed:
        return augmented
    return mix_points(augmented, _augment(other(), config, generator, channels))


def mix_points(first: PointSample, second: PointSample) -> PointSample:
    """Both scans as one; the second is moved to the middle and the floor of the first."""
    shift_3 = _foot(first.xyz_N3) - _foot(second.xyz_N3)
    return PointSample(
        torch.cat([first.xyz_N3, second.xyz_N3 + shift_3]),
        torch.cat([first.features_NC, second.features_NC]),
        torch.cat([first.labels_N, second.labels_N]),
        f"{first.name}+{second.name}",
    )


def _augment(
    sample: PointSample,
    config: PointAugmentConfig,
    generator: torch.Generator,
    channels: Sequence[str],
) -> PointSample:
    if not len(sample.xyz_N3) or len(channels) != sample.features_NC.shape[1]:
        raise ValueError(
            f"sample {sample.name!r} must have points and a feature for each channel of "
            f"{tuple(channels)}, got features of shape {tuple(sample.features_NC.shape)}"
        )
    rows = _kept(len(sample.xyz_N3), config.drop, generator)
    xyz_N3, features_NC = sample.xyz_N3[rows], sample.features_NC[rows]
    turn_33 = _turn(config, generator)
    scale = config.scale[0] * (config.scale[1] / config.scale[0]) ** _between(0, 1, generator)

    middle_3 = (xyz_N3.amin(0) + xyz_N3.amax(0)) / 2
    xyz_N3 = (xyz_N3 - middle_3) @ (scale * turn_33).T.to(xyz_N3) + middle_3
    sigma, largest = config.jitter
    if sigma:
        noise_N3 = torch.randn(xyz_N3.shape, generator=generator) * sigma
        xyz_N3 += noise_N3.clamp_(-largest, largest)
    for granularity, magnitude in config.elastic:
        xyz_N3 += magnitude * _smooth_noise(xyz_N3 / granularity, generator)

    if len(normal := _columns(channels, _NORMAL)) == 3:
        features_NC[:, normal] = features_NC[:, normal] @ turn_33.T.to(features_NC)
    if height := _columns(channels, ("height",)):
        features_NC[:, height] *= scale
    if colours := _columns(channels, _COLOURS):
        features_NC[:, colours] = _recoloured(features_NC[:, colours], config, generator)
    return PointSample(xyz_N3, features_NC, sample.labels_N[rows], sample.name)


def _kept(num_points: int, drop: float, generator: torch.Generator) -> Tensor:
    """Rows of the points to keep, in their order."""
    gone = int(_between(0, drop, generator) * num_points)
    stays_N = torch.ones(num_points, dtype=torch.bool)
    stays_N[torch.randperm(num_points, generator=generator)[:gone]] = False
    return stays_N.nonzero().flatten()


def _turn(config: PointAugmentConfig, generator: torch.Generator) -> Tensor:
    """Orthogonal (3, 3) float64 matrix: mirror, rotate about the vertical, then tilt."""
    mirrored = torch.rand(2, generator=generator) < config.flip
    matrix_33 = torch.eye(3, dtype=torch.float64)
    matrix_33[[0, 1], [0, 1]] -= 2 * mirrored.double()
    for axis, most in ((2, config.rotate), (0, config.tilt), (1, config.tilt)):
        angle = math.radians(_between(-most, most, generator))
        matrix_33 = _rotation(axis, angle) @ matrix_33
    return matrix_33


def _rotation(axis: int, angle: float) -> Tensor:
    matrix_33 = torch.eye(3, dtype=torch.float64)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix_33[i, i] = matrix_33[j, j] = math.cos(angle)
    matrix_33[j, i] = math.sin(angle)
    matrix_33[i, j] = -math.sin(angle)
    return matrix_33


def _smooth_noise(places_N3: Tensor, generator: torch.Generator) -> Tensor:
    """Smoothed unit noise at integer coordinates, interpolated at the places: (N, 3)."""
    side = _NOISE_NODES
    noise = torch.randn(side, side, side, 3, generator=generator)
    for axis in (0, 1, 2) * 2:
        noise = (noise + noise.roll(1, axis) + noise.roll(-1, axis)) / 3
    table = noise.view(-1, 3)
    corner_N3 = places_N3.floor()
    upper_N3 = places_N3 - corner_N3
    nodes_2N3 = torch.stack([corner_N3, corner_N3 + 1]).long().remainder_(side)
    weights_2N3 = torch.stack([1 - upper_N3, upper_N3])
    total_N3 = torch.zeros_like(places_N3)
    for x in (0, 1):
        for y in (0, 1):
            for z in (0, 1):
                plane_N = nodes_2N3[x, :, 0] * side + nodes_2N3[y, :, 1]
                weight_N = weights_2N3[x, :, 0] * weights_2N3[y, :, 1] * weights_2N3[z, :, 2]
                values_N3 = table[plane_N * side + nodes_2N3[z, :, 2]]
                total_N3.addcmul_(weight_N.unsqueeze(1), values_N3)
    return total_N3


def _recoloured(
    colours_NC: Tensor, config: PointAugmentConfig, generator: torch.Generator
) -> Tensor:
    """Colours with more contrast, a common shift and noise on each point, or all 0."""
    if _between(0, 1, generator) < config.contrast:
        low_C, high_C = colours_NC.aminmax(dim=0)
        stretched_NC = (colours_NC - low_C) / (high_C - low_C).clamp_min(1e-6)
        colours_NC = colours_NC.lerp(stretched_NC, _between(0, 1, generator))
    shift_C = torch.rand(colours_NC.shape[1], generator=generator) * 2 - 1
    colours_NC = colours_NC + config.colour_shift * shift_C
    if config.colour_jitter:
        noise_NC = torch.randn(colours_NC.shape, generator=generator)
        colours_NC += config.colour_jitter * noise_NC
    if _between(0, 1, generator) < config.colour_drop:
        colours_NC = torch.zeros_like(colours_NC)
    return colours_NC.clamp_(0, 1)


def _foot(xyz_N3: Tensor) -> Tensor:
    """Middle of the scan seen from above, at the height of its floor."""
    foot_3 = (xyz_N3.amin(0) + xyz_N3.amax(0)) / 2
    foot_3[2] = xyz_N3[:, 2].kthvalue(1 + int(_FLOOR * len(xyz_N3))).values
    return foot_3


def _columns(channels: Sequence[str], names: Sequence[str]) -> list[int]:
    return [channels.index(name) for name in names if name in channels]


def _between(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * torch.rand((), generator=generator).item()
