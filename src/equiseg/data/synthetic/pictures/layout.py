"""Layout of the built-in pictures: classes, numbers, positions and occlusion."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from equiseg.data.synthetic.pictures import drawing, things

Place = Literal["shell", "hangs", "opens", "drops", "lies", "stands", "rests"]


@dataclass(frozen=True)
class Kind:
    """Properties of a class of the built-in pictures.

    Attributes:
        name: The class name.
        host: The more common class that it belongs to; its own name for the shell of the room.
        place: Position at its host: hangs on the wall, opens in it from the floor up, drops from
            the ceiling, lies flat on the floor, stands on it, rests on another object.
        area: Natural size of its box, as a share of the image.
        aspect: Width over height of its box.
        most: Largest mean number per image; beyond it, objects become larger instead.
        draw: Its drawing function in `things`.
        levels: Heights in its own box, from 0 (top) to 1, on which other objects rest.
    """

    name: str
    host: str
    place: Place = "shell"
    area: float = 0.15
    aspect: float = 1.0
    most: int = 1
    draw: things.Draw | None = None
    levels: tuple[float, ...] = ()


# From the most common to the rarest. A host comes before its guests, so the first K form a room.
KINDS = (
    Kind("wall", "wall"),
    Kind("floor", "floor"),
    Kind("ceiling", "ceiling"),
    Kind("window", "wall", "hangs", 0.068, 1.1, 2, things.window),
    Kind("rug", "floor", "lies", 0.080, 3.4, 1, things.rug, (0.4, 0.6, 0.8)),
    Kind("sofa", "floor", "stands", 0.110, 2.0, 1, things.sofa, (0.62, 0.7)),
    Kind("table", "floor", "stands", 0.070, 1.8, 2, things.table, (0.14, 0.24)),
    Kind("shelf", "floor", "stands", 0.080, 0.7, 1, things.shelf, (0.01, 0.33, 0.65, 0.97)),
    Kind("door", "wall", "opens", 0.070, 0.45, 1, things.door),
    Kind("chair", "floor", "stands", 0.037, 0.62, 2, things.chair),
    Kind("plant", "floor", "stands", 0.031, 0.66, 2, things.plant),
    Kind("picture", "wall", "hangs", 0.017, 1.25, 3, things.picture),
    Kind("lamp", "ceiling", "drops", 0.0175, 0.7, 2, things.lamp),
    Kind("cushion", "sofa", "rests", 0.0107, 1.1, 3, things.cushion),
    Kind("book", "shelf", "rests", 0.0090, 1.3, 4, things.book),
    Kind("cat", "rug", "rests", 0.0175, 1.45, 2, things.cat),
    Kind("vase", "shelf", "rests", 0.0075, 0.55, 3, things.vase),
    Kind("clock", "wall", "hangs", 0.0081, 1.0, 2, things.clock),
    Kind("mug", "table", "rests", 0.0060, 1.15, 3, things.mug),
    Kind("remote", "sofa", "rests", 0.0057, 2.8, 2, things.remote),
)
WALL, FLOOR, CEILING = range(3)
HOST_K = tuple([kind.name for kind in KINDS].index(kind.host) for kind in KINDS)


@dataclass(frozen=True)
class Plan:
    """Mean number and size of the objects of each class in an image.

    Attributes:
        rate_K: Mean number per image; for the shell's parts, the probability of being in view.
        area_K: Mean area of one, as a share of the image; for objects, the area of the box.
    """

    rate_K: np.ndarray
    area_K: np.ndarray

    @classmethod
    def of(cls, supply_K: np.ndarray) -> "Plan":
        """The plan that draws shares `supply_K` of the image; beyond `most`, objects grow."""
        kinds = KINDS[: len(supply_K)]
        natural_K, most_K = np.array([k.area for k in kinds]), np.array([k.most for k in kinds])
        rate_K = np.minimum(most_K, supply_K / natural_K)
        return cls(rate_K, np.minimum(supply_K / rate_K, 0.6))


@dataclass(frozen=True)
class Thing:
    """An object in its box, in pixels; objects are painted in the order of `depth`."""

    k: int
    left: float
    top: float
    width: float
    height: float
    depth: float
    sunk: float  # share of its height hidden behind the edge it rests on
    flip: bool

    def overlap(self, other: "Thing") -> float:
        """Area of the intersection of the two boxes, in pixels."""
        right = min(self.left + self.width, other.left + other.width)
        bottom = min(self.top + self.height, other.top + other.height)
        across, down = right - max(self.left, other.left), bottom - max(self.top, other.top)
        return max(across, 0.0) * max(down, 0.0)


@dataclass(frozen=True)
class Scene:
    """A composed room before painting, with the area planned for each class in pixels."""

    ceiling_W: np.ndarray  # row at which the ceiling ends, float32
    floor_W: np.ndarray  # row at which the floor begins, float32
    sides_W: np.ndarray  # bool, columns of the side walls
    things: list[Thing]
    asked_K: np.ndarray


def compose(
    plan: Plan,
    size: tuple[int, int],
    context: float,
    strata: np.ndarray,
    rng: np.random.Generator,
) -> Scene:
    """Compose a room: the shell, then the objects of each class, common classes first.

    Args:
        plan: Mean numbers and sizes.
        size: Height and width in pixels.
        context: Share of objects placed at their host.
        strata: (2, K) numbers in [0, 1) that round the mean numbers to whole ones for this image.
        rng: Random generator.

    Returns:
        The room.
    """
    (H, W), num_classes = size, len(plan.rate_K)
    scene, count_K = _compose_shell(plan, size, strata[0], rng)
    asked_K = scene.asked_K
    wall_height = float((scene.floor_W - scene.ceiling_W).mean())
    for k in range(CEILING + 1, num_classes):
        kind, host, rate = KINDS[k], HOST_K[k], float(plan.rate_K[k])
        # Each host draws its share of the guests, so their number does not depend on the context.
        num_kept = int(context * rate * count_K[host] / plan.rate_K[host] + strata[0, k])
        num_free = int((1 - context) * rate + strata[1, k])
        count_K[k] = num_kept + num_free
        for i in range(count_K[k]):
            # A lognormal size whose mean is the planned one.
            area = float(plan.area_K[k]) * H * W * math.exp(0.4 * rng.standard_normal() - 0.08)
            asked_K[k] += area
            width, height = _fit(kind, area, size, wall_height)
            sunk = rng.uniform(0.1, 0.4) if kind.place == "rests" and rng.random() < 0.3 else 0.0
            flip = bool(rng.random() < 0.5)
            # An object takes the emptiest of a few spots on its host; elsewhere it takes any spot.
            kept = i < num_kept
            rivals = [thing for thing in scene.things if kept and HOST_K[thing.k] == host]
            place = _on_host if kept else _anywhere
            spots = []
            for _ in range(3 if rivals else 1):
                left, top, depth = place(k, width, height * (1 - sunk), size, scene, rng)
                spots.append(Thing(k, left, top, width, height, depth, sunk, flip))
            scene.things.append(min(spots, key=lambda spot: sum(map(spot.overlap, rivals))))
    return scene


def _compose_shell(
    plan: Plan, size: tuple[int, int], strata_K: np.ndarray, rng: np.random.Generator
) -> tuple[Scene, np.ndarray]:
    """A room without objects, and the number of each class (K,): wall, floor and ceiling."""
    (H, W), num_classes = size, len(plan.rate_K)
    count_K, asked_K = np.zeros(num_classes, int), np.zeros(num_classes)
    # A back wall between two side walls, or a corner if the back wall has no width.
    x = (np.arange(W, dtype=np.float32) + 0.5) / W
    side_W = np.maximum(np.abs(x - rng.uniform(0.1, 0.9)) - max(0.0, rng.uniform(-0.2, 0.45)), 0)
    slope_W = rng.uniform(0.1, 0.45) * (side_W - side_W.mean())
    count_K[WALL], edges = 1, {}
    for k, limit in ((FLOOR, 0.7), (CEILING, 0.35)):
        count_K[k] = strata_K[k] < plan.rate_K[k]
        share = min(float(plan.area_K[k]) * math.exp(0.15 * rng.standard_normal()), limit)
        asked_K[k] = count_K[k] * share * H * W
        edges[k] = np.maximum(H * (share - slope_W), 0) * np.float32(count_K[k])
    return Scene(edges[CEILING], H - edges[FLOOR], side_W > 0, [], asked_K), count_K


def _fit(kind: Kind, area: float, size: tuple[int, int], wall_height: float) -> tuple[float, float]:
    """Width and height of a box; objects on the wall are at most as high as the wall."""
    height = min(math.sqrt(area / kind.aspect), 0.95 * size[0])
    if kind.place in ("hangs", "opens"):
        height = min(height, max(0.9 * wall_height, 0.2 * size[0]))
    return min(area / height, 1.6 * kind.aspect * height, 0.95 * size[1]), height


def _anywhere(
    k: int,
    width: float,
    height: float,
    size: tuple[int, int],
    scene: Scene,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """Left, top and depth of an object placed anywhere."""
    left, top = rng.random() * (size[1] - width), rng.random() * (size[0] - height)
    return left, top, 2 * rng.random()


def _on_host(
    k: int,
    width: float,
    height: float,
    size: tuple[int, int],
    scene: Scene,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """Left, top and depth of an object at its host: wall 0-0.3, rug 0.9, floor 1-2."""
    (H, W), place, a, b = size, KINDS[k].place, rng.random(), rng.random()
    if place == "rests":
        hosts = [thing for thing in scene.things if thing.k == HOST_K[k]]
        host = hosts[rng.integers(len(hosts))]
        levels = KINDS[host.k].levels
        left = host.left + (0.1 + 0.8 * a) * host.width - width / 2
        bottom = host.top + levels[rng.integers(len(levels))] * host.height
        return left, bottom - height, max(host.depth, 1 + bottom / H) + 1e-3 * (1 + b)
    out = 0.0 if place == "hangs" else 0.15  # furniture and doors may leave the frame
    left = a * (W - (1 - 2 * out) * width) - out * width
    column = min(max(int(left + width / 2), 0), W - 1)
    high, far = float(scene.ceiling_W[column]), float(scene.floor_W[column])
    if place == "hangs":
        return left, high + (0.1 + 0.7 * b) * max(far - high - height, 0), 0.2 * b
    if place == "opens":
        return left, far + 0.02 * H - height, 0.3
    if place == "drops":
        return left, high * b, 0.5 + a
    if place == "lies":
        return left, far + b * max(H - far - height, 0), 0.9
    bottom = far + (0.05 + 0.95 * b**1.5) * (H - far)
    return left, bottom - height, 1 + bottom / H


def paint(
    scene: Scene, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paint the shell, then the objects from far to near.

    Args:
        scene: The composed room.
        size: Height and width in pixels.
        rng: Random generator.

    Returns:
        RGB around [0, 1], float32 (3, H, W), and labels, uint8 (H, W).
    """
    H, W = size
    rows = np.arange(H, dtype=np.float32)[:, None] + 0.5
    labels = np.full((H, W), WALL, np.uint8)
    labels[rows > scene.floor_W] = FLOOR
    labels[rows < scene.ceiling_W] = CEILING
    canvas = drawing.room(scene.ceiling_W, scene.floor_W, scene.sides_W, size, rng)
    for thing in sorted(scene.things, key=lambda thing: thing.depth):
        kind = KINDS[thing.k]
        if kind.place == "stands":
            foot = thing.top + thing.height
            drawing.shadow(canvas, thing.left, thing.left + thing.width, foot)
        top, bottom = max(round(thing.top), 0), min(round(thing.top + thing.height), H)
        left, right = max(round(thing.left), 0), min(round(thing.left + thing.width), W)
        if top >= bottom or left >= right or kind.draw is None:
            continue
        u = (np.arange(left, right, dtype=np.float32)[None] + 0.5 - thing.left) / thing.width
        v = (np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - thing.top) / thing.height
        region, ids = canvas[:, top:bottom, left:right], labels[top:bottom, left:right]
        above_edge = v < 1 - thing.sunk
        for part, colour in kind.draw(1 - u if thing.flip else u, v, rng):
            mask = part & above_edge if thing.sunk else part
            np.copyto(region, colour, where=mask)
            np.copyto(ids, np.uint8(thing.k), where=mask)
    return canvas, labels
