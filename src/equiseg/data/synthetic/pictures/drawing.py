"""Drawing of the built-in pictures: palettes, textures, masks by formula, the room, the light."""

import numpy as np
from numpy.random import Generator

Array = np.ndarray


def _palette(*codes: str) -> Array:
    """RGB in [0, 1], float32 (n, 3, 1, 1), from hexadecimal codes."""
    rgb = np.array([list(bytes.fromhex(code)) for code in codes], np.float32)
    return np.asarray(rgb[:, :, None, None] / 255)


WOOD = _palette("8a5a34", "b58150", "d3ae7d", "5c3b26", "a0704a", "c9b8a0")
FABRIC = _palette("5f7a8c", "9c4a3e", "c8b28a", "56704f", "7c5d86", "8d8a86", "d0963f", "34566b")
GLAZE = _palette("2f6f8f", "c65f3c", "e9dcc3", "6f9277", "d9a441", "4b4f77", "b64a5a")
SPINES = _palette("24262b", "7d2b2b", "2c4a6e", "3d5a3c", "c9a24a", "553a5f", "3a3a3a")
PALE = _palette("f1ede2", "e2e4e3", "faf6ea", "d7cdb9")
PAPER = _palette("e4d9c3", "b9c7b4", "a9bccb", "d8b3a3", "c9c6c1", "8fa39a", "e7d8a4", "b7a2b4")
LEAVES = _palette("3f7d3a", "5c9a48", "2c5d3a", "7aa35a")
FUR = _palette("c9803c", "3b3836", "8c8883", "d9cbb3", "6b4a33")
SKY = _palette("9ed0f0", "f4c79a", "1f2d4d", "c9d6dc")
DARK = _palette("211f1f")[0]

_TILE = 256
_GRAIN = np.random.default_rng(0).standard_normal((_TILE, _TILE)).astype(np.float32)
_SHIFTS = [(i, j) for i in range(5) for j in range(5)]
_SOFT: Array = np.sum([np.roll(_GRAIN, shift, (0, 1)) for shift in _SHIFTS], axis=0) / 5


def tint(rng: Generator, palette: Array, jitter: float = 0.05) -> Array:
    """One random colour (3, 1, 1) of the palette, float32, with a little noise."""
    colour = palette[rng.integers(len(palette))] + jitter * rng.standard_normal(
        (3, 1, 1), np.float32
    )
    return np.asarray(np.clip(colour, 0.04, 0.96))


def textured(colour: Array, pattern: Array) -> Array:
    """The colour (3, 1, 1) times 1 + pattern (h, w), a pattern around 0."""
    return np.asarray(colour * (1 + pattern))


def grain(shape: tuple[int, int], rng: Generator, soft: bool = False) -> Array:
    """A (h, w) window of fixed unit noise, white or smooth; a copy, so it is cheap."""
    top, left = rng.integers(_TILE, size=2)
    field: Array = _SOFT if soft else _GRAIN
    if top + shape[0] <= _TILE and left + shape[1] <= _TILE:
        return np.asarray(field[top : top + shape[0], left : left + shape[1]])
    rows = (np.arange(shape[0]) + top) % _TILE
    columns = (np.arange(shape[1]) + left) % _TILE
    return np.asarray(field[rows[:, None], columns])


def box(u: Array, v: Array, left: float, top: float, right: float, bottom: float) -> Array:
    """Mask of an upright box."""
    return (u >= left) & (u < right) & (v >= top) & (v < bottom)


def disc(
    u: Array,
    v: Array,
    middle: tuple[float, float],
    radii: tuple[float, float],
    power: int = 2,
) -> Array:
    """Mask of an ellipse; with power 4 and more, of a box with round corners."""
    (x, y), (rx, ry) = middle, radii
    return np.asarray(np.abs((u - x) / rx) ** power + np.abs((v - y) / ry) ** power <= 1)


def room(
    ceiling_W: Array,
    floor_W: Array,
    sides_W: Array,
    size: tuple[int, int],
    rng: Generator,
) -> Array:
    """Paint the empty room: a wall with a skirting, boards, tiles or carpet, and a pale ceiling.

    Args:
        ceiling_W: (W,) row in pixels at which the ceiling ends.
        floor_W: (W,) row in pixels at which the floor begins.
        sides_W: (W,) bool, the columns that belong to a side wall.
        size: Height and width in pixels.
        rng: Random generator.

    Returns:
        RGB around [0, 1], float32 (3, H, W).
    """
    H, W = size
    rows, columns = (
        np.arange(H, dtype=np.float32)[:, None] + 0.5,
        np.arange(W, dtype=np.float32) + 0.5,
    )
    soft = grain((H, W), rng, soft=True)
    shade = 0.02 * soft - np.float32(0.14) * sides_W
    wave = 2 * np.pi * rng.uniform(5, 12) / H
    paper = rng.integers(3)
    if paper == 1:
        shade += 0.06 * np.sign(np.sin(wave * columns))
    elif paper == 2:
        shade += np.float32(0.12) * (np.cos(wave * columns) * np.cos(wave * rows) > 0.6)
    canvas = textured(tint(rng, PAPER), shade)
    skirting = (rows > floor_W - 0.025 * H) & (rows <= floor_W)
    np.copyto(canvas, tint(rng, PALE), where=skirting)

    _lay_floor(canvas, rows, columns, floor_W, rng)

    end = int(np.ceil(ceiling_W.max()))
    shade = 0.01 * soft[:end] - 0.1 * rows[:end] / H - np.float32(0.1) * sides_W
    plaster = textured(tint(rng, PALE, 0.03), shade)
    np.copyto(canvas[:, :end], plaster, where=rows[:end] < ceiling_W)
    return canvas


def _lay_floor(canvas: Array, rows: Array, columns: Array, floor_W: Array, rng: Generator) -> None:
    """Paint boards, tiles or a carpet below ``floor_W``, in place."""
    H, W = canvas.shape[1:]
    start = int(floor_W.min())
    # Lines of the floor meet in a vanishing point above its far edge.
    depth = rows[start:] - (start - 0.35 * H)
    across = (columns - W * rng.uniform(0.2, 0.8)) * (5 / depth)
    flooring = rng.integers(3)
    if flooring == 0:
        boards = 1.5 * across
        shade = 0.12 * np.sin(37 * np.floor(boards)) - np.float32(0.25) * (boards % 1 < 0.1)
    elif flooring == 1:
        shade = 0.18 * np.sign(np.sin(np.pi * across) * np.sin(np.pi * 4 * H / depth))
    else:
        shade = 0.06 * grain((H - start, W), rng)
    colour = tint(rng, WOOD if flooring == 0 else np.concatenate([WOOD, FABRIC, PALE]))
    np.copyto(canvas[:, start:], textured(colour, shade), where=rows[start:] > floor_W)


def shadow(canvas: Array, left: float, right: float, bottom: float) -> None:
    """Paint a soft shadow under an object whose lower edge is at `bottom`, in place."""
    middle, rx = (left + right) / 2, 0.55 * (right - left)
    ry = 0.2 * rx
    top, low = max(int(bottom - ry), 0), min(int(bottom + ry) + 1, canvas.shape[1])
    first, last = max(int(middle - rx), 0), min(int(middle + rx) + 1, canvas.shape[2])
    v = (np.arange(top, low, dtype=np.float32)[:, None] + 0.5 - bottom) / ry
    u = (np.arange(first, last, dtype=np.float32) + 0.5 - middle) / rx
    canvas[:, top:low, first:last] *= 1 - 0.45 * np.maximum(1 - u**2 - v**2, 0)


def finish(canvas: Array, rng: Generator) -> Array:
    """Add the effects of light, lens and sensor: exposure, tint, falloff to one side, blur, noise.

    Args:
        canvas: RGB, float32 (3, H, W).
        rng: Random generator.

    Returns:
        The photograph, uint8 (3, H, W).
    """
    H, W = canvas.shape[1:]
    u, v = np.linspace(-1, 1, W, dtype=np.float32), np.linspace(-1, 1, H, dtype=np.float32)[:, None]
    falloff = rng.uniform(-0.2, 0.2) * u + rng.uniform(-0.1, 0.15) * v
    warmth = rng.uniform(-0.1, 0.1)
    cast = np.array([[[1 + warmth]], [[1]], [[1 - warmth]]], np.float32)
    image = canvas * (rng.uniform(0.65, 1.1) * (1 + falloff)) * cast
    blur = np.float32(rng.uniform(0.05, 0.2))  # share of each neighbour, along both axes
    image[:, 1:-1] += blur * (image[:, :-2] + image[:, 2:] - 2 * image[:, 1:-1])
    image[..., 1:-1] += blur * (image[..., :-2] + image[..., 2:] - 2 * image[..., 1:-1])
    image += np.float32(rng.uniform(0.01, 0.04)) * rng.standard_normal(image.shape, np.float32)
    return np.asarray(np.clip(image, 0, 1) * 255 + 0.5, np.uint8)
