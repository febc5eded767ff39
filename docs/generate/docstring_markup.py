"""Docstrings for the reference: formulas become MathML, references to code become code.

Formulas are translated when the site is built, so that no page needs a script from elsewhere.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object
from latex2mathml.converter import convert

_BLOCK = re.compile(r"^\.\. math:: *(.+(?:\n +\S.*)*)", re.MULTILINE)
_INLINE = re.compile(r":math:`([^`]+)`")
_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([^`]+)`")


def as_markdown(text: str) -> str:
    """A docstring with its Sphinx markup replaced by Markdown."""
    text = _BLOCK.sub(lambda found: _math(found[1], "block"), text)
    text = _INLINE.sub(lambda found: _math(found[1], "inline"), text)
    return _ROLE.sub(r"`\1`", text)


def _math(formula: str, display: str) -> str:
    return str(convert(" ".join(formula.split()), display=display))


class DocstringMarkup(Extension):
    """Changes every docstring that is read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called by griffe for every object of the source."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
