"""YAML as people write it: what is wrong is said with its line, and the file."""

from __future__ import annotations

from typing import Any

from equiseg.data.errors import DataError


def read_yaml(text: str, source: object) -> Any:
    """What a text says.

    Args:
        text: The YAML.
        source: What the error names: its file.

    Raises:
        DataError: If it is no YAML.
        ImportError: Without PyYAML.
    """
    try:
        import yaml
    except ImportError as error:
        raise ImportError('YAML files need PyYAML: pip install "equiseg[data]"') from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
        raise DataError(f"{source}: not valid YAML: {reason}") from error
