"""Lazy imports: names of a package that are imported on first use (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str], extras: Mapping[str, tuple[str, str]] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` for a package whose names are defined in its modules.

    If the extra of a name is missing, ``from package import name`` raises ``ImportError``, and
    ``package.name`` raises ``AttributeError``, so that ``hasattr`` works; both messages name the
    package to install.

    Args:
        package: ``__name__`` of the package.
        homes: Module of each name.
        extras: For names that need more than the package's own dependencies: the module that must
            be installed, and the requirement that installs it.

    Returns:
        The two functions.
    """
    needed = extras or {}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, requirement = needed.get(name, ("", ""))
        if module and find_spec(module) is None:
            message = f'{package}.{name} needs {module}: pip install "{requirement}"'
            # A from-import would replace the message of an AttributeError.
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if "importlib" in caller:
                raise ImportError(message, name=module)
            raise AttributeError(message)
        found = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, found)  # later uses are plain look-ups
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names
