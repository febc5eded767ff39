"""Reading YAML files; errors name the file and the line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiseg.data.errors import DataError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def read_yaml(file: Path | Traversable) -> Any:
    """Read a YAML file.

    Args:
        file: A file on disk or in the package.

    Raises:
        DataError: If the file cannot be read or is not valid YAML.
        ImportError: If PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise ImportError('YAML files need PyYAML: pip install "equiseg[data]"') from error
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: cannot be read ({error}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
    except yaml.MarkedYAMLError as error:
        reason = " ".join(part for part in (error.context, error.problem) if part)
        line = "" if error.problem_mark is None else f" (line {error.problem_mark.line + 1})"
        raise DataError(f"{file}: not valid YAML: {reason}{line}") from error
    except yaml.YAMLError as error:
        raise DataError(f"{file}: not valid YAML: {error}") from error
