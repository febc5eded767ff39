"""The forty hand-made classes of the built-in scans: size, look and host."""

from __future__ import annotations

from dataclasses import dataclass

from equiseg.data.synthetic.scans import things
from equiseg.data.synthetic.scans.things import SHELF_LEVELS, Look


@dataclass(frozen=True)
class Spot:
    """A level patch of an object on which guests rest, in shares of the object's box."""

    x0: float
    x1: float
    y0: float
    y1: float
    z: float


@dataclass(frozen=True, eq=False)
class Kind:
    """Properties of a class of the built-in scans.

    Attributes:
        name: The class name.
        host: The class that it belongs to, in any variant; its own name for the shell of the room.
        size: Natural width, depth and height in meters; the shell has the size of the room.
        most: Largest mean number per room; beyond it, objects get more points instead.
        look: Its bodies and palettes.
        bottom: Range in meters of the height of its lower edge; None: on its host.
        turn: Largest turn in degrees, either way.
        against: Whether its back is against a wall.
        spots: Patches on which its guests rest.
        holds: Mean number of guests that it has space for.
        base: For a variant, its original class, whose guests it takes.
    """

    name: str
    host: str
    size: tuple[float, float, float]
    most: float
    look: Look
    bottom: tuple[float, float] | None = None
    turn: float = 5.0
    against: bool = False
    spots: tuple[Spot, ...] = ()
    holds: float = 0
    base: str = ""


_ROOM = (4.0, 5.0, 2.6)

# From the most common to the rarest. A host comes before its guests, so the first K form a room.
KINDS = (
    Kind("wall", "wall", _ROOM, 1, things.WALL, holds=9),
    Kind("floor", "floor", _ROOM, 1, things.FLOOR, holds=16),
    Kind("ceiling", "ceiling", _ROOM, 1, things.CEILING, holds=2),
    Kind(
        "window",
        "wall",
        (1.4, 0.08, 1.3),
        2,
        things.WINDOW,
        bottom=(0.8, 1.0),
        turn=0,
        spots=(Spot(0, 0, 1.5, 1.5, 0), Spot(1, 1, 1.5, 1.5, 0)),
        holds=2,
    ),
    Kind(
        "rug",
        "floor",
        (2.2, 1.5, 0.025),
        1,
        things.RUG,
        turn=15,
        spots=(Spot(0.05, 0.95, 0.05, 0.95, 1),),
        holds=1.5,
    ),
    Kind(
        "sofa",
        "floor",
        (2.0, 0.9, 0.85),
        1,
        things.SOFA,
        against=True,
        spots=(Spot(0.12, 0.88, 0.28, 0.98, 0.52),),
        holds=4,
    ),
    Kind(
        "table",
        "floor",
        (1.5, 0.9, 0.75),
        1,
        things.TABLE,
        turn=10,
        spots=(Spot(0.03, 0.97, 0.03, 0.97, 1),),
        holds=6,
    ),
    Kind(
        "shelf",
        "floor",
        (0.9, 0.32, 1.85),
        1,
        things.SHELF,
        against=True,
        spots=tuple(Spot(0.05, 0.95, 0.08, 1, z) for z in (*SHELF_LEVELS, SHELF_LEVELS[2], 1)),
        holds=9,
    ),
    Kind("door", "wall", (0.95, 0.07, 2.05), 1, things.DOOR, bottom=(0, 0), turn=0),
    Kind(
        "bed",
        "floor",
        (1.5, 2.05, 0.95),
        1,
        things.BED,
        against=True,
        spots=(Spot(0.05, 0.95, 0.04, 0.33, 0.54),),
        holds=2.5,
    ),
    Kind("chair", "floor", (0.45, 0.48, 0.9), 3, things.CHAIR, turn=60),
    Kind(
        "cabinet",
        "floor",
        (1.2, 0.45, 0.8),
        1,
        things.CABINET,
        against=True,
        spots=(Spot(0.03, 0.97, 0.05, 0.97, 1),),
        holds=5,
    ),
    Kind(
        "desk",
        "floor",
        (1.35, 0.7, 0.74),
        1,
        things.DESK,
        against=True,
        spots=(Spot(0.03, 0.97, 0.03, 0.97, 1),),
        holds=5,
    ),
    Kind("curtain", "window", (0.5, 0.14, 2.1), 3, things.CURTAIN, bottom=(0.05, 0.2), turn=0),
    Kind("armchair", "floor", (0.85, 0.85, 0.9), 1, things.ARMCHAIR, turn=40),
    Kind("plant", "floor", (0.65, 0.65, 1.15), 2, things.PLANT, turn=180),
    Kind("picture", "wall", (0.7, 0.04, 0.55), 3, things.PICTURE, bottom=(1.2, 1.6), turn=0),
    Kind("lamp", "ceiling", (0.45, 0.45, 0.75), 2, things.LAMP, turn=180),
    Kind("radiator", "wall", (1.0, 0.1, 0.6), 1, things.RADIATOR, bottom=(0.1, 0.2), turn=0),
    Kind("mirror", "wall", (0.6, 0.04, 1.1), 1, things.MIRROR, bottom=(0.7, 1.0), turn=0),
    Kind("television", "cabinet", (1.1, 0.22, 0.7), 1, things.TELEVISION),
    Kind("cushion", "sofa", (0.44, 0.42, 0.18), 3, things.CUSHION, turn=30),
    Kind("stool", "floor", (0.38, 0.38, 0.47), 2, things.STOOL, turn=180),
    Kind("floor lamp", "floor", (0.42, 0.42, 1.65), 1, things.FLOOR_LAMP, turn=180),
    Kind("pillow", "bed", (0.62, 0.4, 0.16), 2, things.PILLOW, turn=10),
    Kind("carton", "floor", (0.45, 0.36, 0.32), 2, things.CARTON, turn=45),
    Kind("monitor", "desk", (0.58, 0.2, 0.46), 2, things.MONITOR),
    Kind("bag", "floor", (0.36, 0.24, 0.48), 1, things.BAG, turn=180),
    Kind("book", "shelf", (0.24, 0.17, 0.26), 4, things.BOOK),
    Kind("desk lamp", "desk", (0.22, 0.3, 0.45), 1, things.DESK_LAMP, turn=60),
    Kind("cat", "rug", (0.48, 0.22, 0.3), 1, things.CAT, turn=180),
    Kind("bin", "floor", (0.28, 0.28, 0.36), 1, things.BIN, turn=180),
    Kind("clock", "wall", (0.32, 0.06, 0.32), 2, things.CLOCK, bottom=(1.6, 1.9), turn=0),
    Kind("vase", "shelf", (0.17, 0.17, 0.32), 3, things.VASE, turn=180),
    Kind("bowl", "table", (0.28, 0.28, 0.11), 2, things.BOWL, turn=180),
    Kind("bottle", "table", (0.09, 0.09, 0.3), 3, things.BOTTLE, turn=180),
    Kind("mug", "table", (0.13, 0.09, 0.11), 3, things.MUG, turn=180),
    Kind("cup", "cabinet", (0.15, 0.15, 0.08), 3, things.CUP, turn=180),
    Kind("phone", "desk", (0.08, 0.17, 0.02), 2, things.PHONE, turn=60),
    Kind("remote", "sofa", (0.06, 0.22, 0.03), 2, things.REMOTE, turn=60),
)
SHELL = 3  # wall, floor and ceiling come first
