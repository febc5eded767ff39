"""A variant: a method's text, with what else differs, on top of what all share."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, get_type_hints

from equiseg.study.search_ranges import split_outside
from equiseg.training.config import TrainConfig
from equiseg.training.renamed import new_name
from equiseg.typed_options import OptionError, read_options, text_value


def name_of(text: str) -> str:
    """How a variant is called, as :meth:`Variant.parse` takes it: "cross_entropy+dice"."""
    return "".join(text.partition(":")[0].split())


@dataclass(frozen=True)
class Variant:
    """One of the things compared.

    Attributes:
        name: How tables call it, and the name of its folder.
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
            base: What the others share.

        Raises:
            ValueError: If a change names no field, or its value has the wrong type.
        """
        name, changes = name_of(text), text.partition(":")[2]
        if not re.fullmatch(r"[\w.+-]+", name):
            raise ValueError(
                f"methods: a name is made of letters, digits, '_', '.', '+' and '-', got {name!r}; "
                f"give it one, as in 'mine:{changes or 'method=' + text}'"
            )
        values: dict[str, str] = {} if changes else {"method": text}
        for change in split_outside(changes):
            key, equals, value = change.partition("=")
            if not equals:
                raise ValueError(f"methods: {change!r} in {text!r} must read field=value")
            values[new_name(key.strip())] = value.strip()
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
