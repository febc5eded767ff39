"""A variant: a method's text, with what else differs, on top of what all share."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, get_type_hints

from equiseg.study.search import split_outside
from equiseg.training.config import TrainConfig


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
            text: A method ("ceco"), or a name with changes to the base configuration:
                "strong:method=cross_entropy + center_collapse(weight=0.8),optimizer.lr=1e-3".
            base: What the others share.

        Raises:
            ValueError: If a change names no field, or its value has the wrong type.
        """
        name, _, changes = text.partition(":")
        if not re.fullmatch(r"[\w.+-]+", name):
            raise ValueError(
                f"methods: a name is made of letters, digits, '_', '.', '+' and '-', got {name!r}; "
                f"give it one, as in 'mine:method={text}'"
            )
        config = base if changes else _changed(base, "method", name, text)
        for change in split_outside(changes):
            key, equals, value = change.partition("=")
            if not equals:
                raise ValueError(f"methods: {change!r} in {text!r} must read field=value")
            config = _changed(config, key.strip(), value.strip(), text)
        return cls(name, config)


def _changed(config: Any, key: str, value: str, text: str) -> Any:
    """A configuration with one (nested) field replaced by the parsed text."""
    head, _, rest = key.partition(".")
    hints = get_type_hints(type(config))
    if head not in hints:
        raise ValueError(f"methods: {key!r} in {text!r} is none of the fields {sorted(hints)}")
    if rest:
        return dataclasses.replace(
            config, **{head: _changed(getattr(config, head), rest, value, text)}
        )
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hints[head])
    try:
        parsed = parser.parse_args([f"--value={value}"]).value
    except ArgumentError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"methods: {key}={value!r} in {text!r} does not fit: {reason}") from error
    return dataclasses.replace(config, **{head: parsed})
