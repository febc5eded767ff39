"""Reading YAML files of any origin: limits first, and errors that name the file and the line."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiseg.data.errors import DataError
from equiseg.foreign_files import FileError, read_text
from equiseg.foreign_text import short

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

MOST_YAML = 4 << 20
"""Bytes of a YAML file: 4 MiB. Longer lists of names belong in text files, which are read 100 times
as fast."""
_MOST_NODES = 200_000  # values and names: some seconds, and 200 MB
_MOST_DEPTH = 40
_MOST_COPIES = 10_000  # values that aliases may add; 700 bytes of text can add 400 million
_MOST_BITS = 128  # of a whole number
_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(file: Path | Traversable) -> Any:
    """Read a YAML file.

    Args:
        file: A file on disk or in the package, in UTF-8 with or without a byte-order mark.

    Raises:
        DataError: If the file cannot be read, is not valid YAML, names a key twice, or is larger or
            deeper than any card or list of options.
        ImportError: If PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise ImportError('YAML files need PyYAML: pip install "equiseg[data]"') from error
    try:
        if isinstance(file, Path):
            text = read_text(file, MOST_YAML)
        else:  # in the package, which may be a ZIP file
            text = file.read_text(encoding="utf-8")
        _check_limits(text)
        return yaml.load(text, _loader())
    except FileError as error:
        raise DataError(str(error)) from error
    except yaml.MarkedYAMLError as error:
        reason = " ".join(part for part in (error.context, error.problem) if part)
        line = "" if error.problem_mark is None else f" (line {error.problem_mark.line + 1})"
        raise DataError(f"{file}: not valid YAML: {short(reason, 200)}{line}") from error
    except (yaml.YAMLError, RecursionError, OSError, ValueError) as error:
        raise DataError(f"{file}: not valid YAML: {short(error, 200)}") from error


def _check_limits(text: str) -> None:
    """Count values, depth and copies before anything is made of them."""
    import yaml

    nodes = copies = 0
    sizes: dict[str | None, int] = {}
    above: list[tuple[str | None, int]] = []  # lists and mappings around a value
    for event in yaml.parse(text, _base()):
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in above):
                raise _error("an alias inside the value that it names", event.start_mark)
            copies += sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = above.pop()
            if anchor is not None:
                sizes[anchor] = nodes + copies - before
        elif isinstance(event, yaml.NodeEvent):
            if isinstance(event, yaml.CollectionStartEvent):
                above.append((event.anchor, nodes + copies))
            elif event.anchor is not None:
                sizes[event.anchor] = 1
            nodes += 1
        else:
            continue
        if copies > _MOST_COPIES:
            raise _error(f"aliases add more than {_MOST_COPIES:,} values", event.start_mark)
        if nodes > _MOST_NODES:
            raise _error(
                f"more than {_MOST_NODES:,} values; write long lists of names into text files",
                event.start_mark,
            )
        if len(above) > _MOST_DEPTH:
            raise _error(f"nested deeper than {_MOST_DEPTH} levels", event.start_mark)


def _base() -> Any:
    """A safe loader; the one in C, which not every PyYAML has, is ten times as fast."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _error(problem: str, mark: Any) -> Exception:
    import yaml

    error: Exception = yaml.constructor.ConstructorError(None, None, problem, mark)
    return error


@cache
def _loader() -> Any:
    """A safe loader that also refuses repeated keys and names the line of each problem."""

    class Loader(_base()):  # type: ignore[misc]
        """Refuses keys given twice, and names the line of values that cannot be read."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[Hashable] = set()
            for key_node, _ in getattr(node, "value", ()):
                if key_node.tag == _MERGE:
                    continue
                key = self.construct_object(key_node, deep=True)
                if isinstance(key, Hashable) and key in seen:
                    raise _error(f"key {short(repr(key))} is given twice", key_node.start_mark)
                if isinstance(key, Hashable):
                    seen.add(key)
            return super().construct_mapping(node, deep)

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            try:
                value = super().construct_object(node, deep)
            except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
                reason = f"cannot read {short(node.value)!r} as {node.tag}: {short(error)}"
                raise _error(reason, node.start_mark) from error
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                raise _error(f"a number of more than {_MOST_BITS} bits", node.start_mark)
            return value

    return Loader
