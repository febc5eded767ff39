"""How the objects of the built-in pictures look: one short function per class.

Every function takes the pixel centers of an object's box as `u` (1, w), from 0 at its left to 1 at
its right, `v` (h, 1), from 0 at its top to 1 at its bottom, and a random generator. It returns the
parts of the object from back to front, each a mask and a colour: bool, (h, w) or broadcastable to
it, and RGB in [0, 1], (3, h, w) or broadcastable to it. The object is the union of its parts.

Classes that are easily confused take their colours from the same palette (vase and mug, book and
remote, sofa and cushion, table and chair), so that only shape and detail distinguish them.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from equiseg.data.synthetic.pictures.drawing import (
    DARK,
    FABRIC,
    FUR,
    GLAZE,
    LEAVES,
    PALE,
    SKY,
    SPINES,
    WOOD,
    Array,
    box,
    disc,
    grain,
    textured,
    tint,
)

Parts = list[tuple[Array, Array]]
Draw = Callable[[Array, Array, Generator], Parts]


def _wood(u: Array, v: Array, rng: Generator, palette: Array = WOOD) -> Array:
    """Wood of one tone (3, h, w), its veins along v bent by smooth noise."""
    veins = np.sin(40 * u + 3 * grain((v.shape[0], u.shape[1]), rng, soft=True))
    return textured(tint(rng, palette), 0.07 * veins)


def window(u: Array, v: Array, rng: Generator) -> Parts:
    """Frame, glass with a sky and sometimes hills, glazing bars, sometimes curtains with folds."""
    sky = textured(tint(rng, SKY), 0.25 * (v - 0.5))
    bar = rng.uniform(0.25, 0.5)
    glass = box(u, v, 0.07, 0.07, 0.93, 0.93)
    parts = [(box(u, v, 0, 0, 1, 1), tint(rng, PALE)), (glass, sky)]
    if rng.random() < 0.6:
        hills = v > 0.72 + 0.09 * np.sin(5 * u + 6 * rng.random())
        parts.append((glass & hills, tint(rng, LEAVES) * 0.8))
    parts.append((glass & ((np.abs(u - 0.5) < 0.03) | (np.abs(v - bar) < 0.03)), parts[0][1]))
    if rng.random() < 0.5:
        folds = textured(tint(rng, FABRIC), 0.18 * np.sin(75 * u))
        parts.append((np.abs(u - 0.5) > 0.31 + 0.06 * v, folds))
    return parts


def rug(u: Array, v: Array, rng: Generator) -> Parts:
    """A flat oval or a box in perspective, with a border and rings, stripes or lozenges."""
    x, y = 2 * u - 1, 2 * v - 1
    slant = np.abs(x) / (0.85 + 0.15 * y)
    radius = np.sqrt(x**2 + y**2) if rng.random() < 0.4 else np.maximum(slant, np.abs(y))
    waves = (np.sin(14 * radius), np.sin(16 * x), np.sin(9 * x) * np.sin(7 * y))
    weave = 0.3 * np.sign(waves[rng.integers(3)]) + 0.05 * grain((v.shape[0], u.shape[1]), rng)
    colour = tint(rng, FABRIC)
    return [(radius <= 1, tint(rng, FABRIC)), (radius <= 0.82, textured(colour, weave))]


def sofa(u: Array, v: Array, rng: Generator) -> Parts:
    """Feet, back, seat with a seam for each place, two arms."""
    colour = tint(rng, FABRIC)
    weave = 0.05 * grain((v.shape[0], u.shape[1]), rng) - 0.25 * (v - 0.4)
    cloth = textured(colour, weave)
    places = int(rng.integers(2, 4))
    seams = np.abs((u * places) % 1 - 0.5) > 0.46
    back = disc(u, v, (0.5, 0.45), (0.43, 0.45), 6)
    seat = box(u, v, 0.08, 0.56, 0.92, 0.76)
    arms = disc(np.abs(u - 0.5), v, (0.43, 0.62), (0.07, 0.3), 4)
    return [
        (box(np.abs(u - 0.5), v, 0.36, 0.85, 0.43, 1), DARK),
        (back, cloth),
        (back & seams, cloth * 0.8),
        (box(u, v, 0.06, 0.7, 0.94, 0.91), cloth * 0.82),
        (seat, cloth * 1.2),
        (seat & seams, cloth * 0.9),
        (arms, cloth * 1.05),
    ]


def table(u: Array, v: Array, rng: Generator) -> Parts:
    """Four thin legs under a top seen from above, with a front edge; round now and then."""
    wood = _wood(u, v, rng)
    x = np.abs(u - 0.5)
    if rng.random() < 0.35:
        stem = box(x, v, 0, 0.3, 0.05, 0.95)
        foot = disc(u, v, (0.5, 0.95), (0.25, 0.06))
        plate, edge = disc(u, v, (0.5, 0.2), (0.5, 0.19)), disc(u, v, (0.5, 0.27), (0.5, 0.19))
        return [(stem | foot, wood * 0.6), (edge, wood * 0.7), (plate, wood * 1.15)]
    plate = (v < 0.32) & (x < 0.4 + 0.1 * v / 0.32)
    return [
        (box(x, v, 0.32, 0.3, 0.37, 0.85), wood * 0.5),
        (box(x, v, 0.42, 0.35, 0.49, 1), wood * 0.75),
        (box(u, v, 0, 0.32, 1, 0.43), wood * 0.7),
        (plate, wood * 1.15),
    ]


def shelf(u: Array, v: Array, rng: Generator) -> Parts:
    """An open case of three rows, dark inside, sometimes with a middle post."""
    wood = _wood(u, v, rng)
    inside = box(u, v, 0.06, 0.03, 0.94, 0.97) & (np.abs((v * 3 + 0.5) % 1 - 0.5) > 0.09)
    if rng.random() < 0.4:
        inside = inside & (np.abs(u - 0.5) > 0.035)
    return [(box(u, v, 0, 0, 1, 1), wood), (inside, wood * 0.5)]


def door(u: Array, v: Array, rng: Generator) -> Parts:
    """A frame, a leaf with two or four sunk panels, a knob."""
    leaf = _wood(u, v, rng, np.concatenate([WOOD, PALE]))
    columns = 1 + int(rng.integers(2))
    across = np.abs((u - 0.1) / 0.8 * columns % 1 - 0.5) < 0.36
    panels = across & (box(u, v, 0.1, 0.1, 0.9, 0.45) | box(u, v, 0.1, 0.53, 0.9, 0.93))
    return [
        (box(u, v, 0, 0, 1, 1), tint(rng, PALE)),
        (box(u, v, 0.08, 0.04, 0.92, 1), leaf),
        (panels, leaf * 0.8),
        (disc(u, v, (0.84, 0.53), (0.06, 0.03)), GLAZE[4]),
    ]


def chair(u: Array, v: Array, rng: Generator) -> Parts:
    """A back of slats above a seat on four legs, in the tables' wood."""
    wood = _wood(u, v, rng)
    slats = np.abs((u - 0.1) * int(rng.integers(3, 5)) / 0.8 % 1 - 0.5) < 0.22
    seat = (v >= 0.5) & (v < 0.64) & (np.abs(u - 0.5) < 0.3 + 1.2 * (v - 0.5))
    return [
        (box(np.abs(u - 0.5), v, 0.22, 0.6, 0.3, 0.88), wood * 0.5),
        (box(np.abs(u - 0.5), v, 0.38, 0.6, 0.48, 1), wood * 0.8),
        (box(np.abs(u - 0.5), v, 0.3, 0, 0.4, 0.56), wood * 0.9),
        (slats & box(u, v, 0.1, 0.08, 0.9, 0.5), wood * 0.8),
        (box(u, v, 0.1, 0, 0.9, 0.1), wood),
        (seat, tint(rng, FABRIC) if rng.random() < 0.4 else wood * 1.2),
    ]


def plant(u: Array, v: Array, rng: Generator) -> Parts:
    """A pot and a fan of five to eight leaves."""
    green = tint(rng, LEAVES)
    parts: Parts = [(box(u, v, 0.46, 0.3, 0.54, 0.75), green * 0.6)]
    for angle in np.linspace(-1.25, 1.25, rng.integers(5, 9), dtype=np.float32):
        x, y = u - 0.5, v - 0.66
        along, across = x * np.sin(angle) - y * np.cos(angle), x * np.cos(angle) + y * np.sin(angle)
        length = 0.24 + 0.09 * np.cos(angle)
        leaf = disc(along, across, (length, 0), (length, 0.1))
        parts.append((leaf, green * np.float32(rng.uniform(0.75, 1.3))))
    pot = (v > 0.68) & (np.abs(u - 0.5) < 0.28 - 0.25 * (v - 0.68))
    colour = tint(rng, GLAZE)
    return [*parts, (pot, colour), (pot & (v < 0.76), colour * 0.8)]


def picture(u: Array, v: Array, rng: Generator) -> Parts:
    """A frame, a mount and a landscape, a sun or stripes: close to a small window."""
    sheet = box(u, v, 0.2, 0.2, 0.8, 0.8)
    motif = (v > 0.52 + 0.1 * np.sin(9 * u), disc(u, v, (0.5, 0.5), (0.2, 0.2)), np.sin(25 * u) > 0)
    return [
        (box(u, v, 0, 0, 1, 1), tint(rng, np.concatenate([WOOD, SPINES[:1]]))),
        (box(u, v, 0.1, 0.1, 0.9, 0.9), tint(rng, PALE)),
        (sheet, tint(rng, np.concatenate([SKY, FABRIC]))),
        (sheet & motif[rng.integers(3)], tint(rng, np.concatenate([LEAVES, GLAZE]))),
    ]


def lamp(u: Array, v: Array, rng: Generator) -> Parts:
    """A cord from the ceiling, a cone or a globe, the bulb's light below."""
    cord = (np.abs(u - 0.5) < 0.04) & (v < 0.6)
    glow = np.array([[[1.15]], [[1.05]], [[0.8]]], np.float32)
    if rng.random() < 0.3:
        return [(cord, DARK), (disc(u, v, (0.5, 0.72), (0.34, 0.28)), tint(rng, PALE) * glow)]
    shade = (v > 0.45) & (v < 0.86) & (np.abs(u - 0.5) < 0.12 + 0.9 * (v - 0.45))
    lit = textured(tint(rng, np.concatenate([GLAZE, PALE])), 0.5 * (v - 0.5))
    return [(cord, DARK), (disc(u, v, (0.5, 0.86), (0.22, 0.14)), glow), (shade, lit)]


def cushion(u: Array, v: Array, rng: Generator) -> Parts:
    """A soft square, a lozenge or a disc of the sofas' cloth, plain, striped or dotted."""
    x, y = 2 * u - 1, 2 * v - 1
    outlines = (x**4 + y**4, (np.abs(x) + np.abs(y)) ** 1.5, x**2 + y**2)
    inside = outlines[rng.integers(3)]
    waves = np.sin(rng.uniform(6, 12) * (x + y * int(rng.integers(-1, 2))))
    dots = np.sin(9 * x) * np.sin(9 * y)
    pattern = (0.0, 0.35 * np.sign(waves), np.float32(0.5) * (dots > 0.5))[rng.integers(3)]
    colour = tint(rng, np.concatenate([FABRIC, PALE]))
    return [
        (inside <= 1, colour * 0.65),
        (inside <= 0.78, textured(colour, pattern + 0.05 * grain((v.shape[0], u.shape[1]), rng))),
    ]


def book(u: Array, v: Array, rng: Generator) -> Parts:
    """A row of two to five spines of unequal height, or one closed book lying on its side."""
    if rng.random() < 0.35:
        cover, lying = tint(rng, SPINES), box(u, v, 0, 0.4, 1, 1)
        return [(lying, cover), (lying & box(u, v, 0.08, 0.55, 1, 0.85), tint(rng, PALE))]
    edges = np.linspace(0, 1, rng.integers(3, 7), dtype=np.float32)
    parts: Parts = []
    for left, right in pairwise(edges):
        spine = box(u, v, left, rng.uniform(0, 0.3), right - 0.03, 1)
        cover = tint(rng, SPINES)
        parts += [(spine, cover), (spine & box(u, v, 0, 0.42, 1, 0.54), cover * 0.5 + 0.4)]
    return parts


def cat(u: Array, v: Array, rng: Generator) -> Parts:
    """Tail, body, head with two ears and eyes; plain or tabby."""
    fur = textured(tint(rng, FUR), 0.3 * int(rng.integers(2)) * np.sign(np.sin(26 * u)))
    tail = disc(u, v, (0.88, 0.5), (0.12, 0.4)) & ~disc(u, v, (0.8, 0.5), (0.11, 0.36))
    x = np.abs(u - 0.24)
    ears = (v > 0.02) & (np.abs(x - 0.14) < 0.5 * (v - 0.02)) & (v < 0.25)
    head = disc(u, v, (0.24, 0.32), (0.22, 0.24))
    eyes = disc(x, v, (0.09, 0.29), (0.045, 0.05))
    return [
        (tail | disc(u, v, (0.53, 0.7), (0.38, 0.3)), fur),
        (box(u, v, 0.2, 0.7, 0.34, 1) | box(u, v, 0.68, 0.75, 0.84, 1), fur * 0.85),
        (ears | head, fur * 1.12),
        (eyes, LEAVES[3] * 1.3),
    ]


def vase(u: Array, v: Array, rng: Generator) -> Parts:
    """A glazed body of revolution with a neck, light on one side, often a band."""
    belly, depth = rng.uniform(0.5, 0.75), rng.uniform(0.1, 0.2)
    radius = 0.3 + depth * np.cos(2 * np.pi * (v - belly) / 0.95)
    body = np.abs(u - 0.5) < radius
    glaze = textured(tint(rng, GLAZE), 0.6 * (0.5 - u))
    parts = [(body, glaze), (body & (v < 0.1), glaze * 0.5)]
    if rng.random() < 0.6:
        parts.append((body & (np.abs(v - belly) < 0.08), tint(rng, GLAZE)))
    return parts


def clock(u: Array, v: Array, rng: Generator) -> Parts:
    """A round pale face in a dark or wooden rim, marks and two hands."""
    x, y = 2 * u - 1, 2 * v - 1
    radius = np.sqrt(x**2 + y**2)
    turn = np.arctan2(y, x)
    parts = [
        (radius <= 1, tint(rng, np.concatenate([WOOD, SPINES]))),
        (radius < 0.78, tint(rng, PALE)),
    ]
    parts.append(((radius < 0.76) & (radius > 0.6) & (np.cos(4 * turn) > 0.85), DARK))
    for length in (0.4, 0.62):
        hand = rng.uniform(0, 2 * np.pi)
        along, across = x * np.cos(hand) + y * np.sin(hand), y * np.cos(hand) - x * np.sin(hand)
        parts.append(((along > -0.1) & (along < length) & (np.abs(across) < 0.11), DARK))
    return parts


def mug(u: Array, v: Array, rng: Generator) -> Parts:
    """A straight body in the vases' glaze, a dark mouth, and a handle."""
    glaze = textured(tint(rng, GLAZE), 0.6 * (0.4 - u))
    body = box(u, v, 0, 0.1, 0.7, 0.92) | disc(u, v, (0.35, 0.9), (0.35, 0.1))
    handle = disc(u, v, (0.7, 0.5), (0.3, 0.3)) & ~disc(u, v, (0.7, 0.5), (0.14, 0.16))
    parts = [
        (handle, glaze * 0.85),
        (body, glaze),
        (disc(u, v, (0.35, 0.11), (0.35, 0.11)), DARK * 2),
    ]
    if rng.random() < 0.5:
        parts.append((box(u, v, 0, 0.45, 0.7, 0.62), tint(rng, GLAZE)))
    return parts


def remote(u: Array, v: Array, rng: Generator) -> Parts:
    """A dark bar, tilted a little, with rows of pale keys and a red one at its end."""
    slope = rng.uniform(-0.35, 0.35)
    y = v + slope * (u - 0.5)
    bar = disc(u, y, (0.5, 0.5), (0.5, 0.32), 6)
    keys = (np.abs(u * 6 % 1 - 0.5) < 0.28) & (np.abs(np.abs(y - 0.5) - 0.12) < 0.08)
    return [
        (bar, tint(rng, SPINES[[0, 6, 0, 2]])),
        (keys & (u > 0.15) & (u < 0.8), tint(rng, PALE) * 0.75),
        (disc(u, y, (0.88, 0.5), (0.06, 0.14)), GLAZE[6]),
    ]
