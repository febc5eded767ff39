"""The options of a verb: the parameters of its function and the fields of its dataclasses."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from equiseg.cli.docstrings import described
from equiseg.typed_options import OptionError, read_options

# The fields of these parameters are options without a prefix: --epochs, not --config.epochs.
_SPREAD = ("config", "options")
_REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Option:
    """One option of a verb.

    Attributes:
        name: Dotted: "data.augment.flip".
        kind: Its type.
        default: Its value where none is given.
        help: Its line of the docstring.
        old_names: Older names that are still taken.
        positional: Whether it is given without its name.
    """

    name: str
    kind: Any
    default: Any
    help: str
    old_names: tuple[str, ...] = ()
    positional: bool = False

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is _REQUIRED


def options_of(
    function: Callable[..., Any], positional: Sequence[str], renamed: Mapping[str, str]
) -> list[Option]:
    """The options of a function, in the order of its parameters.

    Args:
        function: Of a verb; its docstring and its dataclasses explain the options.
        positional: Names of options that are given without their names, in their order.
        renamed: New name of each old one, whole or the beginning of dotted names.
    """

    def complete(option: Option) -> Option:
        old = tuple(
            before + option.name.removeprefix(now)
            for before, now in renamed.items()
            if option.name == now or option.name.startswith(f"{now}.")
        )
        return dataclasses.replace(option, old_names=old, positional=option.name in positional)

    return [complete(option) for option in _all_options(function)]


def _all_options(function: Callable[..., Any]) -> Iterator[Option]:
    hints, told = get_type_hints(function), described(function)
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints[name]
        if dataclasses.is_dataclass(kind):
            instance = None if parameter.default is _REQUIRED else parameter.default
            yield from _fields(kind, instance, "" if name in _SPREAD else f"{name}.")
        else:
            yield Option(name, kind, parameter.default, told.get(name, ""))


def _fields(kind: Any, instance: Any, prefix: str) -> Iterator[Option]:
    """The options of a dataclass; of dataclasses in it likewise."""
    hints, told = get_type_hints(kind), described(kind)
    for field in dataclasses.fields(kind):
        default = _REQUIRED if instance is None else getattr(instance, field.name)
        if instance is None and field.default is not dataclasses.MISSING:
            default = field.default
        if instance is None and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        name = prefix + field.name
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _fields(hints[field.name], default, f"{name}.")
        else:
            yield Option(name, hints[field.name], default, told.get(field.name, ""))


def typed_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a function out of options.

    Args:
        function: Of a verb.
        given: Nested options, as a YAML file holds them.

    Raises:
        OptionError: If a value is not allowed.
    """
    hints = get_type_hints(function)
    arguments: dict[str, Any] = {}
    for name in inspect.signature(function).parameters:
        kind = hints[name]
        if name in _SPREAD and dataclasses.is_dataclass(kind):
            fields = [field.name for field in dataclasses.fields(kind)]
            arguments[name] = read_options(kind, {f: given[f] for f in fields if f in given})
        elif name in given:
            arguments[name] = read_options(kind, given[name], name)
    return arguments


def check_required(options: Sequence[Option], given: Mapping[str, Any]) -> None:
    """Refuse a line that lacks what a verb cannot do without.

    Raises:
        OptionError: Naming all that is missing, with its meaning.
    """
    missing = [option for option in options if option.required and option.name not in given]
    if missing:
        told = (f"{shown_name(option)} is required: {meaning(option)}" for option in missing)
        raise OptionError("; ".join(told))


def shown_name(option: Option) -> str:
    """How an option is written on the line: ``--out``, ``DATA``."""
    return option.name.upper() if option.positional else f"--{option.name}"


def meaning(option: Option) -> str:
    """The first sentence of its help, to follow a colon."""
    sentence = option.help.partition(". ")[0].rstrip(".")
    capitals = sentence[:2].isupper()  # an abbreviation
    return sentence if capitals else sentence[:1].lower() + sentence[1:]
