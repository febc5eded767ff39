"""Colours of the standard classes of LAS files, by ASPRS code."""

from __future__ import annotations

from collections.abc import Mapping

# Names of LAS 1.4 R15, table 17; colours as usual in viewers of lidar: brown ground, green plants,
# red buildings, blue water, grey roads.
ASPRS_COLORS: Mapping[int, str] = {
    0: "#b4b4b4",  # never classified
    1: "#8c8c8c",  # unclassified
    2: "#a0693c",  # ground
    3: "#b4dc78",  # low vegetation
    4: "#5ab446",  # medium vegetation
    5: "#1e7832",  # high vegetation
    6: "#dc3c32",  # building
    7: "#ff00c8",  # low point (noise)
    8: "#6e6432",  # model key-point
    9: "#2878dc",  # water
    10: "#5a4678",  # rail
    11: "#5f6970",  # road surface
    12: "#d2d2aa",  # overlap
    13: "#ffe650",  # wire - guard (shield)
    14: "#ffbe00",  # wire - conductor (phase)
    15: "#a000a0",  # transmission tower
    16: "#e68cff",  # wire-structure connector
    17: "#f08c28",  # bridge deck
    18: "#c80096",  # high noise
    19: "#c86450",  # overhead structure
    20: "#c8aa8c",  # ignored ground
    21: "#e6f5ff",  # snow
    22: "#646464",  # temporal exclusion
}
"""Colour of each standard code in the form "#rrggbb"; codes from 64 are defined by users."""
