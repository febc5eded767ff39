"""Look up user code by name: one syntax for losses, models, data, transforms and formats."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from equiseg.foreign_text import short


def is_dotted(name: str) -> bool:
    """Whether a name refers to user code: "my_module.MyThing" or "file.py:MyThing"."""
    place, _, attribute = name.replace(":", ".").rpartition(".")
    return bool(place) and attribute.isidentifier() and not name.endswith((".yaml", ".yml"))


def find_object(name: str, what: str) -> Any:
    """Import the object with this name.

    Modules are searched in the current folder first, then on Python's path. A file may import
    modules from its own folder.

    Args:
        name: "my_module.MyThing", "package.module:MyThing" or "folder/file.py:MyThing".
        what: The option that holds the name ("method", "model.name"); error messages start with it.

    Raises:
        ValueError: If the name has another form, the module cannot be imported, or the object is
            not in it.
    """
    place, colon, attribute = name.rpartition(":")
    if not colon:
        place, _, attribute = name.rpartition(".")
    if not place or not attribute.isidentifier():
        raise ValueError(
            f"{what} must be a dotted name (my_module.MyThing) or a file and a name "
            f"(file.py:MyThing), got {name!r:.80}"
        )
    module = _file(Path(place), what) if place.endswith(".py") else _module(place, what)
    if not hasattr(module, attribute):
        raise ValueError(
            f"{what}: no {short(attribute)!r} in {short(place, 200)}; check the spelling"
        )
    return getattr(module, attribute)


def absolute_name(name: str, folder: Path | None = None) -> str:
    """Make the file path in a name absolute, so that the name works from any folder.

    Args:
        name: A dotted name, or a file and a name; any other text is returned unchanged.
        folder: Start of relative paths; None takes the current folder.
    """
    place, colon, attribute = name.rpartition(":")
    if not (colon and place.endswith(".py")):
        return name
    return f"{(folder or Path.cwd()).joinpath(place).resolve()}:{attribute}"


def _file(path: Path, what: str) -> ModuleType:
    path = path.resolve()
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
        raise ValueError(f"{what}: no file {short(path, 200)}; check the path")
    _search(path.parent)
    # Worker processes import classes by module name, so they must be able to import this name.
    # It must not replace another module of that name (as for a file called random.py).
    name = path.stem
    for name in (path.stem, f"{path.stem}_{path.parent.name}"):
        known = sys.modules.get(name)
        if known is None:
            break
        if getattr(known, "__file__", None) == str(path):
            return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{what}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise ValueError(f"{what}: {path} failed: {type(error).__name__}: {error}") from error
    return module


def _module(name: str, what: str) -> ModuleType:
    _search(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{what}: {short(error, 200)}; start in the folder of the module, put that "
            "folder on PYTHONPATH, or give its file (file.py:MyThing)"
        ) from error
    except Exception as error:
        raise ValueError(f"{what}: {name} failed: {type(error).__name__}: {error}") from error


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
