"""Texts from outside, as messages, terminals and spreadsheets may show them."""

from __future__ import annotations

import unicodedata

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters of a formula in a spreadsheet

_CONTROL = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, line separators


def short(value: object, most: int = 80, *, keep_spaces: bool = False) -> str:
    """A value for a message: on one line, at most 80 characters.

    Args:
        value: The value.
        most: The most characters.
        keep_spaces: Whether several spaces in a row stay several, as at the start of a line.
    """
    try:
        text = str(value)
    except ValueError:  # Python does not write numbers of more than 4,300 digits
        return "a number of thousands of digits"
    if not keep_spaces:
        text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def printable(text: object) -> str:
    r"""A text from outside as a terminal may show it: control characters become escapes.

    A file may be named so that its name moves the cursor or recolours the screen.

    Example:
        >>> printable("a\x1b[31mb")
        'a\\x1b[31mb'
    """
    shown = str(text)
    return "".join(c if c.isprintable() or c == " " else _escaped(c) for c in shown)


def has_control(text: str) -> bool:
    r"""Whether a text has a line break or another control character, which no name needs.

    Example:
        >>> has_control("traffic sign"), has_control("traffic\tsign")
        (False, True)
    """
    return any(unicodedata.category(character) in _CONTROL for character in text)


def _escaped(character: str) -> str:
    if unicodedata.category(character) in (*_CONTROL, "Cf"):
        return character.encode("unicode_escape").decode()
    return character


def csv_cell(value: object) -> object:
    """A cell of a CSV file that no spreadsheet takes for a formula: a quote comes before it.

    Numbers, also negative ones, stay as they are.

    Example:
        >>> csv_cell("=1+2"), csv_cell(-0.5), csv_cell("-0.5"), csv_cell("road")
        ("'=1+2", -0.5, '-0.5', 'road')
    """
    if not isinstance(value, str) or _is_number(value):
        return value
    return f"'{value}" if value.lstrip("'").startswith(_FORMULA) else value


def text_of_cell(text: str) -> str:
    """The text that :func:`csv_cell` wrote."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
