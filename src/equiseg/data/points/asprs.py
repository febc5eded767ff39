"""The standard classes of LAS files: ASPRS codes, their names, and colours that suit them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Names of LAS 1.4 R15, table 17; colours as usual in viewers of lidar: brown ground, green plants,
# red buildings, blue water, grey roads.
_CLASSES = (
    (0, "never classified", "#b4b4b4"),
    (1, "unclassified", "#8c8c8c"),
    (2, "ground", "#a0693c"),
    (3, "low vegetation", "#b4dc78"),
    (4, "medium vegetation", "#5ab446"),
    (5, "high vegetation", "#1e7832"),
    (6, "building", "#dc3c32"),
    (7, "low point (noise)", "#ff00c8"),
    (8, "model key-point", "#6e6432"),
    (9, "water", "#2878dc"),
    (10, "rail", "#5a4678"),
    (11, "road surface", "#5f6970"),
    (12, "overlap", "#d2d2aa"),
    (13, "wire - guard (shield)", "#ffe650"),
    (14, "wire - conductor (phase)", "#ffbe00"),
    (15, "transmission tower", "#a000a0"),
    (16, "wire-structure connector", "#e68cff"),
    (17, "bridge deck", "#f08c28"),
    (18, "high noise", "#c80096"),
    (19, "overhead structure", "#c86450"),
    (20, "ignored ground", "#c8aa8c"),
    (21, "snow", "#e6f5ff"),
    (22, "temporal exclusion", "#646464"),
)
ASPRS_NAMES: Mapping[int, str] = {code: name for code, name, _ in _CLASSES}
"""Name of each standard code."""
ASPRS_COLORS: Mapping[int, str] = {code: color for code, _, color in _CLASSES}
"""Colour of each standard code in the form "#rrggbb"."""


def asprs_colors(codes: Sequence[int]) -> list[str | None]:
    """The colour of each code of a LAS file; None for codes that users define (64 to 255).

    Example:
        >>> asprs_colors([2, 6, 66])
        ['#a0693c', '#dc3c32', None]
    """
    return [ASPRS_COLORS.get(code) for code in codes]
