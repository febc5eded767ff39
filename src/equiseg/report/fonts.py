"""Fonts for names in any script: matplotlib's own, then fonts of the system."""

from __future__ import annotations

import functools

from matplotlib.font_manager import findfont, fontManager, get_font

_OWN = "DejaVu Sans"  # part of matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew, symbols
_OF_SYSTEMS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "WenQuanYi Zen Hei"),
    *("IPAGothic", "Noto Sans Devanagari", "Noto Sans Thai"),  # Linux
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS"),  # macOS
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI"),  # Windows
)


@functools.cache
def families() -> tuple[str, ...]:
    """The fonts of this system, in the order in which a letter is looked up in them."""
    installed = {font.name for font in fontManager.ttflist}
    return (_OWN, *(name for name in _OF_SYSTEMS if name in installed))


def is_drawable(text: str) -> bool:
    """Whether one of the fonts has each letter of a text; others become boxes."""
    letters = {ord(letter) for letter in text}
    for name in families():
        letters -= get_font(findfont(name)).get_charmap().keys()
        if not letters:
            return True
    return not letters
