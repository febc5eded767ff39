"""The command that a page names as its origin: the typed line, or the call from Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_WRITTEN: ContextVar[str | None] = ContextVar("written_command", default=None)


@contextmanager
def written_command(text: str) -> Iterator[None]:
    """Inside, pages name ``text`` as the command that made them."""
    token = _WRITTEN.set(text)
    try:
        yield
    finally:
        _WRITTEN.reset(token)


def command_text(name: str, *arguments: Any) -> str:
    """The line that was typed, or else ``commands.NAME(ARGUMENTS)``."""
    call = f"commands.{name}({', '.join(map(_short, arguments))})"
    return _WRITTEN.get() or call


def _short(value: Any) -> str:
    """A value as Python writes it; a dataclass without the fields that have their defaults."""
    if isinstance(value, Path):
        return repr(str(value))
    if not dataclasses.is_dataclass(value):
        return repr(value)
    told = []
    for field in dataclasses.fields(value):
        given, default = getattr(value, field.name), field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if given != default:
            told.append(f"{field.name}={_short(given)}")
    return f"{type(value).__name__}({', '.join(told)})"
