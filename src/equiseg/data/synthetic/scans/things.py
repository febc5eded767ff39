"""How the objects of the built-in scans look: the bodies of each and their palettes.

Coordinates are shares of the object's box: x across, y from the back to the front, z up; see
`shapes`. Classes that are easily confused share palettes, as in the pictures: bottle and vase, mug
and cup, phone and remote, sofa and armchair, table and desk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equiseg.data.synthetic.pictures import drawing
from equiseg.data.synthetic.scans.shapes import Part, ball, body, box

Palette = np.ndarray  # (n, 3) RGB in [0, 1], float32


def _colours(palette: np.ndarray) -> Palette:
    return np.ascontiguousarray(palette.reshape(-1, 3))


WOOD, FABRIC, GLAZE = map(_colours, (drawing.WOOD, drawing.FABRIC, drawing.GLAZE))
SPINES, PALE, PAPER = map(_colours, (drawing.SPINES, drawing.PALE, drawing.PAPER))
LEAVES, FUR, SKY, DARK = map(_colours, (drawing.LEAVES, drawing.FUR, drawing.SKY, drawing.DARK))
CARTONS = np.array([[0.70, 0.54, 0.36], [0.62, 0.47, 0.31]], np.float32)
BLACK = SPINES[[0, 6, 2]]  # of screens and keys
SHADES = np.concatenate([GLAZE, PALE])
CLOTH_OR_WOOD = np.concatenate([WOOD, FABRIC])
PAINT = np.concatenate([WOOD, PALE])


@dataclass(frozen=True, eq=False)
class Look:
    """The bodies of an object, and a palette for each of their colour numbers."""

    parts: tuple[Part, ...]
    palettes: tuple[Palette, ...]


def _legs(top: float, thick: float = 0.07, colour: int = 0) -> tuple[Part, ...]:
    ends = ((0.0, thick), (1 - thick, 1.0))
    return tuple(box(x, y, (0, top), colour) for x in ends for y in ends)


def _frame(width: float, colour: int = 0) -> tuple[Part, ...]:
    """Four bars around an object on a wall."""
    return (
        box((0, width), (0, 1), (0, 1), colour),
        box((1 - width, 1), (0, 1), (0, 1), colour),
        box((width, 1 - width), (0, 1), (0, width), colour),
        box((width, 1 - width), (0, 1), (1 - width, 1), colour),
    )


def _wall() -> tuple[Part, ...]:
    """Four papered panels, each with a skirting below."""
    parts = []
    for z0, z1, colour, waves in ((0.04, 1, 0, 9), (0, 0.04, 1, 0)):
        for end in (0, 1):
            parts.append(box((0, 1), (end, end), (z0, z1), colour, (waves, 0, 0)))
            parts.append(box((end, end), (0, 1), (z0, z1), colour, (0, waves, 0)))
    return tuple(parts)


SHELF_LEVELS = (0.02, 0.26, 0.5, 0.74)

WALL = Look(
    _wall(),
    (PAPER, PALE),
)
FLOOR = Look(
    (box((0, 1), (0, 1), (0, 0), 0, (14, 0, 0)),),
    (np.concatenate([WOOD, WOOD, FABRIC, PALE]),),
)
CEILING = Look(
    (box((0, 1), (0, 1), (1, 1)),),
    (PALE,),
)
WINDOW = Look(
    (
        *_frame(0.07),
        box((0.47, 0.53), (0, 0.9), (0.07, 0.93)),
        box((0.07, 0.93), (0, 0.4), (0.07, 0.35), 2),
        box((0.07, 0.93), (0, 0.4), (0.35, 0.93), 1),
    ),
    (PALE, SKY, np.concatenate([SKY, LEAVES * 0.8])),
)
RUG = Look(
    (box((0, 1), (0, 1), (0, 0.8)), box((0.1, 0.9), (0.1, 0.9), (0.5, 1), 1, (5, 0, 0))),
    (FABRIC, FABRIC),
)
SOFA = Look(
    (
        box((0, 1), (0, 1), (0.06, 0.4)),
        box((0, 0.11), (0, 1), (0.4, 0.72)),
        box((0.89, 1), (0, 1), (0.4, 0.72)),
        box((0.11, 0.89), (0, 0.28), (0.4, 1)),
        box((0.12, 0.495), (0.28, 0.98), (0.4, 0.52)),
        box((0.505, 0.88), (0.28, 0.98), (0.4, 0.52)),
        *_legs(0.06, 0.06, 1),
    ),
    (FABRIC, DARK),
)
TABLE = Look(
    (box((0, 1), (0, 1), (0.94, 1)), *_legs(0.94)),
    (WOOD,),
)
SHELF = Look(
    (
        box((0, 0.04), (0, 1), (0, 1)),
        box((0.96, 1), (0, 1), (0, 1)),
        box((0.04, 0.96), (0, 0.05), (0, 1)),
        *(box((0.04, 0.96), (0, 1), (z - 0.02, z)) for z in (*SHELF_LEVELS, 1)),
    ),
    (WOOD,),
)
DOOR = Look(
    (
        box((0, 0.08), (0, 1), (0, 1), 1),
        box((0.92, 1), (0, 1), (0, 1), 1),
        box((0.08, 0.92), (0, 1), (0.96, 1), 1),
        box((0.08, 0.92), (0, 0.5), (0, 0.96)),
        box((0.2, 0.8), (0.4, 0.75), (0.1, 0.42)),
        box((0.2, 0.8), (0.4, 0.75), (0.52, 0.88)),
        ball((0.8, 0.87), (0.5, 1.5), (0.46, 0.49), 2),
    ),
    (PAINT, PALE, DARK),
)
BED = Look(
    (
        *_legs(0.16, 0.06),
        box((0, 1), (0, 1), (0.16, 0.34)),
        box((0, 1), (0, 0.03), (0.3, 1)),
        box((0.02, 0.98), (0.03, 0.99), (0.34, 0.54), 1),
        box((0, 1), (0.36, 1), (0.4, 0.6), 2),
    ),
    (WOOD, PALE, FABRIC),
)
CHAIR = Look(
    (
        *_legs(0.48, 0.09),
        box((0, 1), (0, 1), (0.48, 0.54), 1),
        box((0, 0.1), (0, 0.09), (0.54, 1)),
        box((0.9, 1), (0, 0.09), (0.54, 1)),
        box((0.1, 0.9), (0.01, 0.08), (0.62, 0.74)),
        box((0.1, 0.9), (0.01, 0.08), (0.82, 1)),
    ),
    (WOOD, CLOTH_OR_WOOD),
)
CABINET = Look(
    (
        box((0, 1), (0.02, 0.95), (0.08, 1)),
        *_legs(0.08, 0.06),
        box((0.03, 0.49), (0.95, 1), (0.12, 0.95), 1),
        box((0.51, 0.97), (0.95, 1), (0.12, 0.95), 1),
    ),
    (WOOD, PAINT),
)
DESK = Look(
    (
        box((0, 1), (0, 1), (0.95, 1)),
        box((0, 0.04), (0, 1), (0, 0.95)),
        box((0.66, 1), (0.1, 0.97), (0.06, 0.95), 1),
        box((0.04, 0.66), (0.02, 0.06), (0.5, 0.95)),
    ),
    (WOOD, PAINT),
)
CURTAIN = Look(
    tuple(body((x / 5, (x + 1) / 5), ((x % 2) / 3, 0.67 + (x % 2) / 3), (0, 1)) for x in range(5)),
    (FABRIC,),
)
ARMCHAIR = Look(
    (
        box((0, 1), (0, 1), (0.08, 0.36)),
        box((0, 0.18), (0, 1), (0.36, 0.64)),
        box((0.82, 1), (0, 1), (0.36, 0.64)),
        box((0.18, 0.82), (0, 0.26), (0.36, 1)),
        box((0.19, 0.81), (0.26, 0.98), (0.36, 0.48)),
        *_legs(0.08, 0.1, 1),
    ),
    (FABRIC, DARK),
)
PLANT = Look(
    (
        body((0.27, 0.73), (0.27, 0.73), (0, 0.3), 1, 1.35),
        body((0.46, 0.54), (0.46, 0.54), (0.3, 0.75), 2),
        ball((0.3, 0.7), (0.3, 0.7), (0.66, 1)),
        ball((0, 0.48), (0.2, 0.62), (0.5, 0.76)),
        ball((0.52, 1), (0.38, 0.8), (0.46, 0.74)),
        ball((0.24, 0.68), (0, 0.46), (0.4, 0.68)),
        ball((0.32, 0.78), (0.54, 1), (0.5, 0.82)),
    ),
    (LEAVES, GLAZE, WOOD),
)
PICTURE = Look(
    (
        *_frame(0.09),
        box((0.09, 0.91), (0, 0.6), (0.09, 0.91), 1),
        box((0.2, 0.8), (0.2, 0.75), (0.2, 0.5), 2),
        box((0.2, 0.8), (0.2, 0.75), (0.5, 0.8), 3),
    ),
    (np.concatenate([WOOD, SPINES[:1]]), PALE, np.concatenate([LEAVES, GLAZE]), SKY),
)
LAMP = Look(
    (body((0.47, 0.53), (0.47, 0.53), (0.38, 1), 1), body((0, 1), (0, 1), (0, 0.4), 0, 0.3)),
    (SHADES, DARK),
)
RADIATOR = Look(
    (
        *(box((x / 8 + 0.02, x / 8 + 0.105), (0.3, 1), (0, 1)) for x in range(8)),
        box((0, 1), (0.45, 0.8), (0.08, 0.16)),
        box((0, 1), (0.45, 0.8), (0.84, 0.92)),
    ),
    (PALE,),
)
MIRROR = Look(
    (*_frame(0.07), box((0.07, 0.93), (0, 0.5), (0.07, 0.93), 1)),
    (np.concatenate([WOOD, GLAZE]), SKY[[3, 3, 0]]),
)
TELEVISION = Look(
    (
        box((0, 1), (0.35, 0.65), (0.1, 1), 1),
        box((0.03, 0.97), (0.65, 0.7), (0.14, 0.97)),
        box((0.25, 0.75), (0, 1), (0, 0.04), 1),
        box((0.45, 0.55), (0.4, 0.6), (0.04, 0.1), 1),
    ),
    (BLACK, DARK),
)
CUSHION = Look(
    (ball((0, 1), (0, 1), (0, 1), 0, (3, 0, 0)),),
    (np.concatenate([FABRIC, PALE]),),
)
STOOL = Look(
    (
        body((0, 1), (0, 1), (0.88, 1), 1),
        *_legs(0.88, 0.12),
        box((0.1, 0.9), (0.45, 0.55), (0.3, 0.36)),
    ),
    (WOOD, CLOTH_OR_WOOD),
)
FLOOR_LAMP = Look(
    (
        body((0.15, 0.85), (0.15, 0.85), (0, 0.02), 1),
        body((0.47, 0.53), (0.47, 0.53), (0.02, 0.8), 1),
        body((0, 1), (0, 1), (0.78, 1), 0, 0.6),
    ),
    (SHADES, DARK),
)
PILLOW = Look(
    (ball((0, 1), (0, 1), (0, 1)),),
    (np.concatenate([PALE, PALE, FABRIC]),),
)
CARTON = Look(
    (box((0, 1), (0, 1), (0, 0.98)), box((0.44, 0.56), (0, 1), (0.9, 1), 1)),
    (CARTONS, PALE),
)
MONITOR = Look(
    (
        box((0, 1), (0.45, 0.65), (0.25, 1), 1),
        box((0.03, 0.97), (0.65, 0.7), (0.28, 0.97)),
        body((0.46, 0.54), (0.4, 0.6), (0.04, 0.3), 1),
        body((0.25, 0.75), (0, 1), (0, 0.05), 1),
    ),
    (BLACK, DARK),
)
BAG = Look(
    (
        box((0, 1), (0, 0.75), (0, 0.8)),
        ball((0, 1), (0, 0.75), (0.6, 1)),
        box((0.12, 0.88), (0.75, 1), (0.08, 0.5), 1),
    ),
    (np.concatenate([SPINES, FABRIC]), np.concatenate([SPINES, FABRIC])),
)
BOOK = Look(
    (
        box((0, 0.22), (0, 1), (0, 0.85)),
        box((0.24, 0.52), (0, 0.95), (0, 1), 1),
        box((0.54, 0.74), (0, 1), (0, 0.75), 2),
        box((0.76, 1), (0, 0.9), (0, 0.92), 1),
    ),
    (SPINES, SPINES, SPINES),
)
DESK_LAMP = Look(
    (
        body((0.1, 0.9), (0, 0.6), (0, 0.06), 1),
        body((0.45, 0.55), (0.22, 0.34), (0.06, 0.86), 1),
        box((0.45, 0.55), (0.24, 0.7), (0.84, 0.9), 1),
        body((0, 1), (0.35, 1), (0.62, 0.88), 0, 0.4),
    ),
    (SHADES, DARK),
)
CAT = Look(
    (
        ball((0.18, 0.8), (0.05, 0.95), (0.15, 0.75), 0, (4, 0, 0)),
        ball((0, 0.32), (0.2, 0.85), (0.5, 0.94)),
        body((0.05, 0.12), (0.25, 0.4), (0.85, 1), 0, 0.2),
        body((0.18, 0.25), (0.6, 0.75), (0.85, 1), 0, 0.2),
        box((0.22, 0.34), (0.1, 0.9), (0, 0.3)),
        box((0.62, 0.76), (0.1, 0.9), (0, 0.3)),
        body((0.75, 1), (0.42, 0.58), (0.4, 0.54), axis=0),
    ),
    (FUR,),
)
BIN = Look(
    (body((0, 1), (0, 1), (0, 0.95), 0, 1.3), body((0.02, 0.98), (0.02, 0.98), (0.93, 1), 1)),
    (np.concatenate([SPINES, PALE]), DARK),
)
CLOCK = Look(
    (
        body((0, 1), (0, 0.8), (0, 1), 0, axis=1),
        body((0.1, 0.9), (0.7, 0.9), (0.1, 0.9), 1, axis=1),
        box((0.48, 0.53), (0.9, 1), (0.48, 0.84), 2),
        box((0.48, 0.76), (0.9, 1), (0.47, 0.52), 2),
    ),
    (np.concatenate([WOOD, SPINES]), PALE, DARK),
)
VASE = Look(
    (
        body((0.15, 0.85), (0.15, 0.85), (0, 0.2), 0, 1.4),
        ball((0, 1), (0, 1), (0.1, 0.72)),
        body((0.28, 0.72), (0.28, 0.72), (0.6, 1), 1, 1.3),
    ),
    (GLAZE, GLAZE),
)
BOWL = Look(
    (body((0, 1), (0, 1), (0.1, 1), 0, 2.2), body((0.3, 0.7), (0.3, 0.7), (0, 0.12), 1)),
    (GLAZE, WOOD),
)
BOTTLE = Look(
    (
        body((0, 1), (0, 1), (0, 0.6)),
        body((0, 1), (0, 1), (0.6, 0.75), 0, 0.35),
        body((0.32, 0.68), (0.32, 0.68), (0.75, 0.94)),
        body((0.28, 0.72), (0.28, 0.72), (0.94, 1), 1),
    ),
    (np.concatenate([GLAZE, LEAVES]), DARK),
)
MUG = Look(
    (
        body((0, 0.7), (0, 1), (0, 1)),
        box((0.68, 1), (0.4, 0.6), (0.75, 0.85)),
        box((0.68, 1), (0.4, 0.6), (0.2, 0.3)),
        box((0.9, 1), (0.4, 0.6), (0.3, 0.75)),
    ),
    (GLAZE,),
)
CUP = Look(
    (body((0, 1), (0, 1), (0, 0.15), 1, 1.3), body((0.2, 0.8), (0.2, 0.8), (0.1, 1), 0, 1.6)),
    (SHADES, SHADES),
)
PHONE = Look(
    (box((0, 1), (0, 1), (0, 0.9)), box((0.05, 0.95), (0.05, 0.95), (0.8, 1), 1)),
    (SPINES, BLACK),
)
REMOTE = Look(
    (box((0, 1), (0, 1), (0, 0.85)), box((0.15, 0.85), (0.15, 0.7), (0.8, 1), 1, (0, 3, 0))),
    (SPINES[[0, 6, 0, 2]], PALE * 0.75),
)
