"""Variant: a method and its other changes to the common configuration."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, get_type_hints

from equiseg.study.search_ranges import split_outside
from equiseg.training.config import TrainConfig
from equiseg.training.renamed_options import new_name
from equiseg.typed_options import OptionError, read_options, text_value

_FILE = re.compile(r"^[^:=+]*\.py:|(?<=[+*=])[^:=+]*\.py:")  # "my_losses.py:" before a loss


def name_of(text: str) -> str:
    """The name of a variant: "dice" of "dice:epochs=3", "cross_entropy+dice" of the plain sum.

    A loss in a file of your own (``my_losses.py:MyLoss``) counts by its own name.
    """
    return "".join(_FILE.sub("", text).partition(":")[0].split())


def changes_of(text: str) -> dict[str, str]:
    """The fields that a variant changes, each with its value as text.

    Raises:
        ValueError: If a change does not read field=value.
    """
    named, changes = _FILE.sub("", text), text.partition(":")[2]
    if ":" not in named or not changes:
        return {"method": text}
    values: dict[str, str] = {}
    for change in split_outside(changes):
        key, equals, value = change.partition("=")
        if not equals:
            raise ValueError(f"methods: {change!r} in {text!r} must read field=value")
        values[key.strip()] = value.strip()
    return values


@dataclass(frozen=True)
class Variant:
    """One of the variants that are compared.

    Attributes:
        name: Its name in tables, and of its folder.
        config: Its configuration, for any seed.
    """

    name: str
    config: TrainConfig

    @classmethod
    def parse(cls, text: str, base: TrainConfig) -> Variant:
        """A variant from the command line.

        Args:
            text: A sum of losses, which is its own name ("cross_entropy + dice"), or a name with
                changes to the base
                configuration: "strong:method=cross_entropy + center_collapse(weight=0.8),
                optimizer.lr=1e-3".
            base: The common configuration.

        Raises:
            ValueError: If a change names no field, or its value has the wrong type.
        """
        name = name_of(text)
        values = {new_name(field): value for field, value in changes_of(text).items()}
        if not re.fullmatch(r"[\w.+-]+", name):
            changes = ", ".join(f"{field}={value}" for field, value in values.items())
            raise ValueError(
                f"methods: a name is made of letters, digits, '_', '.', '+' and '-', got {name!r}; "
                f"write a name first, as in 'mine:{changes}'"
            )
        if "seed" in values:
            raise ValueError(f"methods: {text!r} sets a seed; give them to all methods by --seeds")
        return cls(name, _changed(base, values, text))


def _changed(config: Any, values: dict[str, str], text: str) -> Any:
    """A configuration with (nested) fields replaced, all at once: they may depend on each other."""
    hints = get_type_hints(type(config))
    fields: dict[str, Any] = {}
    for head in dict.fromkeys(key.partition(".")[0] for key in values):
        if head not in hints:
            raise ValueError(f"methods: {head!r} in {text!r} is none of the fields {sorted(hints)}")
        inner = {k.partition(".")[2]: v for k, v in values.items() if k.partition(".")[0] == head}
        if "" in inner:
            fields[head] = _parsed(head, inner[""], hints[head], text)
        else:
            fields[head] = _changed(getattr(config, head), inner, text)
    try:
        return dataclasses.replace(config, **fields)
    except ValueError as error:
        raise ValueError(f"methods: {text!r}: {error}") from error


def _parsed(field: str, value: str, type_: Any, text: str) -> Any:
    try:
        return read_options(type_, text_value(value, type_), field)
    except OptionError as error:
        raise ValueError(f"methods: in {text!r}: {error}") from None
