"""The resolved configuration as YAML, and back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from equiseg.data.yaml_file import read_yaml
from equiseg.foreign_files import FileError, check_file
from equiseg.foreign_text import short
from equiseg.training.config import TrainConfig
from equiseg.training.renamed_options import tell_once, with_new_names
from equiseg.typed_options import OptionError, read_options
from equiseg.whole_files import replace_text


def write_config(config: TrainConfig, path: Path) -> None:
    """Save a configuration as it was resolved; ``--config PATH`` takes it back."""
    replace_text(path, yaml.safe_dump(plain(config), sort_keys=False))


def read_config(path: Path, base: TrainConfig | None = None) -> TrainConfig:
    """Read a configuration.

    Args:
        path: The file.
        base: Holds what the file does not say; None takes the defaults.

    Raises:
        ValueError: If the file is missing or does not describe a run.
    """
    if not path.exists():
        raise FileError(f"{path}: no such configuration")
    said = read_yaml(path) or {}
    if not isinstance(said, dict):
        raise FileError(f"{path}: must hold options, as 'epochs: 12', got {said!s:.80}")
    said, notes = with_new_names(said)
    tell_once(notes, path)
    given = said if base is None else _over(plain(base), said)
    try:
        config: TrainConfig = read_options(TrainConfig, given)
    except OptionError as error:
        raise FileError(f"{path}: {error}") from None
    return config


def plain(value: Any) -> Any:
    """A dataclass as nested dictionaries and lists, as YAML and JSON hold them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def check_same(config: TrainConfig, folder: Path) -> None:
    """Refuse a folder that holds a run of another configuration.

    Raises:
        FileError: If its config.yaml is damaged.
        ValueError: If options differ; the message names them.
    """
    file = folder / "config.yaml"
    if not file.exists():
        return
    if not check_file(file):
        raise FileError(
            f"{file}: is empty, so damaged; remove it and repeat the command: its checkpoints "
            "contain the configuration too"
        )
    _refuse(differences(read_config(file), config), folder)


def check_same_values(said: Any, config: TrainConfig, file: Path) -> None:
    """Refuse a checkpoint of another configuration.

    Args:
        said: The configuration in the checkpoint, as :func:`plain` makes it.
        config: The one that is asked for.
        file: The checkpoint.

    Raises:
        FileError: If the configuration in the checkpoint cannot be read.
        ValueError: If options differ; the message names them.
    """
    try:
        there = read_options(TrainConfig, with_new_names(said)[0])
    except (ValueError, AttributeError, TypeError) as error:
        raise FileError(f"{file}: its configuration is damaged ({short(error)})") from None
    _refuse(differences(there, config), file)


def _refuse(changes: list[str], place: Path) -> None:
    if changes:
        raise ValueError(
            f"out: {place} holds a run of another configuration ({'; '.join(changes)}); choose "
            "another folder"
        )


def _over(below: Any, above: Any) -> Any:
    """Nested dictionaries, one laid over the other."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _over(below.get(key), value) for key, value in above.items()}


def differences(there: Any, here: Any, name: str = "") -> list[str]:
    """Which fields two configurations set differently, as "name is A there, B here"."""
    if dataclasses.is_dataclass(here):
        prefix = f"{name}." if name else ""
        return [
            line
            for field in dataclasses.fields(here)
            for line in differences(
                getattr(there, field.name), getattr(here, field.name), prefix + field.name
            )
        ]
    return [] if there == here else [f"{name} is {there} there, {here} here"]
