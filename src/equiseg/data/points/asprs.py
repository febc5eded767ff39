"""The usual colours of the standard point classes of LAS (ASPRS LAS 1.4, table 17)."""

ASPRS_COLORS: dict[int, str] = {
    0: "#b4b4b4",  # never classified
    1: "#aaaaaa",  # unclassified
    2: "#a5733c",  # ground
    3: "#aad26e",  # low vegetation
    4: "#5fb446",  # medium vegetation
    5: "#1e823c",  # high vegetation
    6: "#dc5046",  # building
    7: "#f03cf0",  # low noise
    8: "#d2aa6e",  # model key point
    9: "#3278dc",  # water
    10: "#785a8c",  # rail
    11: "#787882",  # road surface
    12: "#e6e68c",  # overlap
    13: "#f0d23c",  # wire guard
    14: "#ffaa00",  # wire conductor
    15: "#8c3cb4",  # transmission tower
    16: "#e67828",  # wire connector
    17: "#5a96a5",  # bridge deck
    18: "#ff8cdc",  # high noise
    19: "#c88296",  # overhead structure
    20: "#8c6e50",  # ignored ground
    21: "#dcf0ff",  # snow
    22: "#c8c8ff",  # temporal exclusion
}
"""Code of a class -> "#rrggbb"; codes above 22 have no usual colour."""
