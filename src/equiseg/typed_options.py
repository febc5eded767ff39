"""Read options from text and YAML into dataclasses, with readable errors."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
    NoneType: "null",
}
_ABSENT = object()
LARGEST = 1 << 63
"""Numbers are finite and below it: no option is larger, and torch and numpy count in 64 bits."""


class OptionError(ValueError):
    """Invalid options; the message names each option, its value and the allowed values."""


def read_options(kind: Any, given: Any, name: str = "") -> Any:
    """Convert values from YAML or a command line to a type.

    Args:
        kind: A dataclass, or any type that a field of a dataclass may have.
        given: Nested dictionaries for dataclasses; numbers may be text.
        name: Dotted name of the option; error messages start with it. Empty for all options.

    Raises:
        OptionError: If a field does not exist, a value has the wrong type, or its dataclass rejects
            it.
        ImportError: If pydantic is not installed.
    """
    try:
        from pydantic import ValidationError
    except ImportError as error:
        raise ImportError('options need pydantic: pip install "equiseg[train]"') from error
    fitting = _fitting(kind, given, name)
    try:
        return _adapter(kind).validate_python(fitting)
    except ValidationError as error:
        told = (_in_words(kind, fitting, name, e) for e in error.errors(include_url=False))
        # A union gives one error for each of its types; they have the same text.
        raise OptionError("; ".join(dict.fromkeys(told))) from None


def text_value(text: str, kind: Any) -> Any:
    """Parse the text of an option: lists, mappings and null as YAML, other text unchanged."""
    members = _members(kind)
    if text in ("null", "None") and NoneType in members:
        return None
    if text[:1] in ("[", "{") and any(_holds_more(member) for member in members):
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            return text  # raises the same error as any other wrong text
    return text


def type_words(kind: Any) -> str:
    """The values that a type allows, in words: "a whole number or null"."""
    return either(dict.fromkeys(words for member in _members(kind) for words in _words(member)))


def either(choices: Iterable[str]) -> str:
    """Join choices with commas and "or": "a, b or c"."""
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


def nearest(name: str, known: Iterable[str]) -> str:
    """``" (did you mean NAME?)"`` if a known name is similar, else an empty text."""
    near = get_close_matches(name, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


@functools.cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    """The fields of a dataclass with their types."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _is_dataclass(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _holds_more(kind: Any) -> bool:
    return _is_dataclass(kind) or get_origin(kind) in (list, tuple, dict, Mapping)


def _words(kind: Any) -> Iterable[str]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return map(str, arguments)
    if origin is tuple and Ellipsis not in arguments:
        return (f'{len(arguments)} values, as "[{", ".join("abcdef"[: len(arguments)])}]"',)
    if origin in (tuple, list):
        return ('a list, as "[a, b]"',)
    if _holds_more(kind):
        return ('a mapping, as "{a: b}"',)
    return (_WORDS.get(kind, str(kind)),)


def _inner(kind: Any, key: Any) -> Any:
    """The type of a field of a dataclass or of a mapping's values; None if there is none."""
    for member in _members(kind):
        if _is_dataclass(member):
            return _hints(member).get(key)
        if get_origin(member) in (dict, Mapping):
            return get_args(member)[1]
    return None


def _fitting(kind: Any, given: Any, name: str) -> Any:
    """Check for errors that pydantic does not report: unknown fields, true as a number.

    Raises:
        OptionError: If there is such an error.
    """
    if isinstance(given, Mapping):
        result = {}
        for key, value in given.items():
            inner = _inner(kind, key)
            option = f"{name}.{key}" if name else str(key)
            if inner is None and any(map(_is_dataclass, _members(kind))):
                known = next(_hints(m) for m in _members(kind) if _is_dataclass(m))
                raise OptionError(f"unknown option {option}{nearest(str(key), known)}")
            result[key] = value if inner is None else _fitting(inner, value, option)
        return result
    members = _members(kind)
    if isinstance(given, bool) and bool not in members and {int, float} & set(members):
        raise OptionError(f"{name} must be {type_words(kind)}, got {given}")
    if {int, float} & set(_number_kinds(kind)):
        _check_numbers(given, name, kind)
    if isinstance(given, (int, float)) and any(str(given) in get_args(m) for m in members):
        return str(given)  # YAML reads 32 as a number where the text "32" is meant ("32" or "bf16")
    return given


def _number_kinds(kind: Any) -> Iterable[Any]:
    """The types in a type, also those in its lists."""
    for member in _members(kind):
        if get_origin(member) in (list, tuple):
            for inner in get_args(member):
                yield from _number_kinds(inner)
        else:
            yield member


def _check_numbers(given: Any, name: str, kind: Any) -> None:
    """Refuse numbers that are infinite, NaN or too large, also as text and in lists.

    Raises:
        OptionError: If there is one.
    """
    if isinstance(given, (list, tuple)):
        for value in given:
            _check_numbers(value, name, kind)
        return
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        return
    if isinstance(given, str) and str in _number_kinds(kind):
        return  # a text that may look like a number
    value: float = 0
    if not isinstance(given, str):
        value = given
    else:
        with suppress(ValueError):  # words are refused by their type
            value = float(given.lower().replace(".nan", "nan").replace(".inf", "inf"))  # as in YAML
    if not abs(value) < LARGEST:
        raise OptionError(f"{name} must be a finite number below 2^63, got {given!s:.80}")


def _in_words(kind: Any, given: Any, name: str, error: Any) -> str:
    """Describe an error of pydantic by its place and kind, not by its message."""
    for key in error["loc"]:
        inner = _inner(kind, key)
        if inner is None:
            break
        name = f"{name}.{key}" if name else str(key)
        kind, given = inner, given.get(key, _ABSENT)
    if given is _ABSENT:
        return f"{name} is required"
    if error["type"] == "value_error":
        return _with_name(str(error["ctx"]["error"]), kind, name)
    return f"{name} must be {type_words(kind)}, got {given!s:.80}"


def _with_name(message: str, kind: Any, name: str) -> str:
    """Replace the field name at the start of a dataclass's message by the full option name."""
    first = message.replace(",", " ").split(" ")[0]
    if not name or first.startswith(name.partition(".")[0]):
        return message
    own = _hints(kind) if _is_dataclass(kind) else {}
    return f"{name}.{message}" if first in own else f"{name}: {message}"
