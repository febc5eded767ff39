"""What a Google docstring says of a function and of each of its arguments or attributes."""

from __future__ import annotations

import inspect
from typing import Any

_SECTIONS = ("Args:", "Attributes:")
_OTHER_SECTIONS = ("Returns:", "Raises:", "Yields:", "Example:", "Examples:", "Note:")


def summary(thing: Any) -> str:
    """The first line."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def description(thing: Any) -> list[str]:
    """The paragraphs between the first line and the first section, each in one line."""
    paragraphs = (inspect.getdoc(thing) or "").split("\n\n")[1:]
    told = []
    for paragraph in paragraphs:
        if paragraph.partition("\n")[0] in _SECTIONS + _OTHER_SECTIONS:
            break
        told.append(" ".join(paragraph.split()))
    return told


def described(thing: Any) -> dict[str, str]:
    """The line of each argument of a function, or of each attribute of a dataclass."""
    told: dict[str, str] = {}
    inside, name = False, ""
    for line in (inspect.getdoc(thing) or "").splitlines():
        if not line.startswith(" ") and line.strip():
            inside = line.strip() in _SECTIONS
        elif inside and line.startswith("    ") and not line.startswith("     "):
            name, _, text = line.strip().partition(": ")
            told[name] = text.strip()
        elif inside and line.strip():
            told[name] += f" {line.strip()}"
    return told
