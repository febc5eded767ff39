"""Joint transforms of points, their features and labels, from one seeded generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equiseg.data.points.sample import PointSample

_COLOURS = ("red", "green", "blue")
_NORMAL = ("normal_x", "normal_y", "normal_z")
_NOISE_NODES = 48  # a side of the elastic noise, which repeats beyond: cost does not follow extent
_FLOOR = 0.01  # share of points below the "floor": a few stray returns lie under the ground


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


def augment_points(
    sample: PointSample,
    config: PointAugmentConfig,
    generator: torch.Generator,
    channels: Sequence[str],
    other: Callable[[], PointSample] | None = None,
) -> PointSample:
    """A scan thinned, turned, bent and recoloured, every label on its point.

    Args:
        sample: A scan; it is left as it is.
        config: Ranges of the changes.
        generator: The only source of randomness.
        channels: Names of the C feature channels. "red", "green", "blue" are recoloured,
            "normal_x", "normal_y", "normal_z" turn with the scan, "height" scales with it; all
            others stay.
        other: Gives the second scan; called where one is mixed in, as ``config.mix`` has it.

    Returns:
        The scan about its old middle, with at least one point.

    Raises:
        ValueError: If the scan has no points or the channels do not fit its features.
    """
    mixed = other is not None and _between(0, 1, generator) < config.mix
    augmented = _augment(sample, config, generator, channels)
    if other is None or not mixed:
        return augmented
    return mix_points(augmented, _augment(other(), config, generator, channels))


def mix_points(first: PointSample, second: PointSample) -> PointSample:
    """Both scans as one, the second moved so that middle and floor coincide with the first's."""
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
    """Rows of the points that stay, in their old order."""
    gone = int(_between(0, drop, generator) * num_points)
    stays_N = torch.ones(num_points, dtype=torch.bool)
    stays_N[torch.randperm(num_points, generator=generator)[:gone]] = False
    return stays_N.nonzero().flatten()


def _turn(config: PointAugmentConfig, generator: torch.Generator) -> Tensor:
    """Mirror, then turn about the vertical, then tilt: orthogonal, (3, 3) float64."""
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
    """Smoothed unit noise on the whole numbers of the axes, interpolated at places: (N, 3)."""
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
    """Contrast, then one shift for all points, then noise on each; or no colours at all."""
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
