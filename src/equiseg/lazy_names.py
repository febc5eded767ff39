"""Names of a package that are imported when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str], extras: Mapping[str, tuple[str, str]] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package whose names are defined in its modules.

    ``from package import name`` of a name whose extra is missing raises ``ImportError``, and
    ``package.name`` raises ``AttributeError``, so that ``hasattr`` answers; both say what to
    install.

    Args:
        package: ``__name__`` of the package.
        homes: Module of each name.
        extras: For names that need more than the package's own dependencies: the module that must
            be installed, and the requirement that installs it.
    """
    needed = extras or {}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, requirement = needed.get(name, ("", ""))
        if module and find_spec(module) is None:
            message = f'{package}.{name} needs {module}: pip install "{requirement}"'
            # A from-import would replace the words of an AttributeError by its own.
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
