"""Search: values to try, written into the text of a method, and random draws of them."""

from __future__ import annotations

import math
import random
import re

_RANGE = re.compile(r"(?P<default>\[[^\]]*\]|[^\s,(=]+)\s+or\s+(?P<kind>\w+)\((?P<values>[^()]*)\)")
_KINDS = ("uniform", "loguniform", "choice")


def has_ranges(text: str) -> bool:
    """Whether the text holds a value to search for, as "focal(gamma=2 or uniform(0.5, 5))"."""
    return " or " in text


def with_defaults(text: str) -> str:
    """The text with the first of each pair: "focal(gamma=2)".

    Raises:
        ValueError: If a range cannot be read.
    """
    return _replaced(text, None)


def drawn(text: str, seed: int) -> str:
    """The text with a random value in place of each range.

    Args:
        text: With ranges ``DEFAULT or uniform(low, high)``, ``loguniform(low, high)`` or
            ``choice(a, b, ...)``.
        seed: Of the draw; another text draws other values from it.

    Raises:
        ValueError: If a range cannot be read.
    """
    return _replaced(text, random.Random(f"{seed} {text}"))


def split_outside(text: str) -> list[str]:
    """Split at commas outside brackets; empty parts are left out."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[(") - (character in "])")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _replaced(text: str, generator: random.Random | None) -> str:
    def value(found: re.Match[str]) -> str:
        kind, values = found["kind"], split_outside(found["values"])
        if kind not in _KINDS or not values:
            raise _refused(found[0])
        if kind == "choice":
            return found["default"] if generator is None else generator.choice(values)
        try:
            low, high = (float(v) for v in values)
        except ValueError:
            raise _refused(found[0]) from None
        if not -math.inf < low < high < math.inf or (kind == "loguniform" and low <= 0):
            raise _refused(found[0])
        if generator is None:
            return found["default"]
        share = generator.random()
        number = low + share * (high - low) if kind == "uniform" else low * (high / low) ** share
        return f"{number:.4g}"

    replaced = _RANGE.sub(value, text)
    if has_ranges(replaced):
        raise _refused(text)
    return replaced


def _refused(text: str) -> ValueError:
    return ValueError(
        f"methods: cannot read the range in {text!r}; write 'DEFAULT or uniform(low, high)', "
        "'DEFAULT or loguniform(low, high)' with low > 0, or 'DEFAULT or choice(a, b)'"
    )
