"""Methods and search ranges as YAML mappings, read as the texts of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from equiseg.study.variant import changes_of, name_of

Methods = Sequence[str] | Mapping[str, Any]
Search = Sequence[str] | Mapping[str, Any]


def method_texts(methods: Methods, search: Search = ()) -> list[str]:
    """The text of each method, as :meth:`Variant.parse` and :class:`Plan` take it.

    A mapping says the same as a list of texts::

        cross_entropy:                               # the name is the method
        focal: focal(gamma=2 or uniform(0.5, 4))     # a name for a method
        sampled:                                     # a name for changes of the configuration
          method: cross_entropy
          data.sampling.by: rare_class               # or nested: data: {sampling: {by: ...}}

    Args:
        methods: Texts, or a mapping from the name of each method to its text, to its changes, or
            to nothing.
        search: Changes with ranges that every method gets: "field=value" texts or a mapping.

    Raises:
        ValueError: If a mapping cannot be written as a text.
    """
    if not isinstance(methods, Mapping):
        texts = [*methods]
    else:
        texts = [_text(str(name), changes) for name, changes in methods.items()]
    shared = [*search]
    if isinstance(search, Mapping):
        values = _flat(search)
        shared = [f"{field}={value}" for field, value in values.items()]
        _check_same("search", changes_of(f"all:{','.join(shared)}"), values)
    return [_with(text, shared) for text in texts]


def _text(name: str, changes: Any) -> str:
    """The text of one method of a mapping."""
    if changes is None or changes == {}:
        return name
    values = _flat(changes if isinstance(changes, Mapping) else {"method": changes})
    text = f"{name}:{', '.join(f'{field}={value}' for field, value in values.items())}"
    if name_of(text) != name:
        raise ValueError(f"methods: a name has neither ':' nor spaces, got {name!r:.80}")
    _check_same(f"methods.{name}", changes_of(text), values)
    return text


def _check_same(where: str, read: dict[str, str], written: dict[str, str]) -> None:
    """Refuse values that do not survive as a text, such as one cut at its comma by YAML."""
    if read != written:
        differing = next(key for key in written if read.get(key) != written[key])
        raise ValueError(
            f"{where}: cannot read {differing}: {written[differing]!r:.80}; inside {{...}} YAML "
            "needs quotes around a value with a comma, and brackets must be closed"
        )


def _flat(changes: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Dotted fields and their values as texts."""
    fields: dict[str, str] = {}
    for key, value in changes.items():
        if isinstance(value, Mapping):
            fields |= _flat(value, f"{above}{key}.")
        else:
            fields[f"{above}{key}"] = _as_text(value)
    return fields


def _as_text(value: Any) -> str:
    """A value as the command line takes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_as_text, value))}]"
    return str(value).strip()


def _with(text: str, shared: Sequence[str]) -> str:
    """A method with the changes that every method gets."""
    if shared and ":" not in text:
        text = f"{name_of(text)}:method={text}"
    return ",".join((text, *shared))
