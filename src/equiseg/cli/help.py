"""Help: of all verbs, of the options of a verb that matter most, and of all its options."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from equiseg.cli.docstrings import description, summary
from equiseg.cli.function_options import Option, shown_name
from equiseg.cli.verbs import Verb

_ABOUT = "Semantic segmentation of imbalanced data with center collapse regularization."
_KINDS = {int: "INT", float: "NUMBER", bool: "true|false", str: "TEXT", Path: "PATH"}


def overview(verbs: Mapping[str, Any]) -> str:
    """All verbs with their first lines."""
    rows = (f"  {name:<12}{summary(function)}" for name, function in verbs.items())
    return "\n".join(
        (
            "usage: equiseg VERB [options]",
            "",
            _ABOUT,
            "",
            "verbs:",
            *rows,
            "",
            "equiseg VERB --help shows the options that matter most, --help-all all of them.",
        )
    )


def verb_help(verb: Verb, options: Sequence[Option], everything: bool) -> str:
    """What a verb does, and its options.

    Args:
        verb: The verb.
        options: All that it has.
        everything: Whether to show all of them; else only ``verb.main_options``.
    """
    groups = _sections(options) if everything else _main(verb, options)
    paragraphs = [summary(verb.function), *description(verb.function)]
    lines = [_usage(verb, options), ""]
    for paragraph in paragraphs:
        lines += [*textwrap.wrap(paragraph, _width()), ""]
    for title, members in groups.items():
        lines.append(f"{title}:")
        for option in members:
            lines += _rows(option, everything)
        lines.append("")
    if not everything:
        more = len(options) - sum(map(len, groups.values()))
        also = f"{more} more option{'s' * (more > 1)} and " if more else ""
        lines.append(f"{also}longer explanations: equiseg {verb.name} --help-all")
    return "\n".join(lines).rstrip()


def _usage(verb: Verb, options: Sequence[Option]) -> str:
    words = [f"usage: equiseg {verb.name}"]
    for option in options:
        name = shown_name(option)
        if option.positional:
            words.append(name if option.required else f"[{name}]")
        elif option.required:
            words.append(f"{name} {metavar(option.kind)}")
    return " ".join((*words, "[options]"))


def _main(verb: Verb, options: Sequence[Option]) -> dict[str, list[Option]]:
    named = {option.name: option for option in options}
    return {
        title: [named[name] for name in names] for title, names in verb.main_options.items()
    } or {"options": list(options)}


def _sections(options: Sequence[Option]) -> dict[str, list[Option]]:
    """The options by the dataclass they belong to: what is before the last dot."""
    sections: dict[str, list[Option]] = {}
    for option in options:
        section = option.name.rpartition(".")[0]
        sections.setdefault(f"{section} options" if section else "options", []).append(option)
    return sections


def _rows(option: Option, everything: bool) -> Iterator[str]:
    """An option with its explanation, which starts in a column of its own."""
    text = option.help if everything else f"{option.help.partition('. ')[0].rstrip('.')}."
    empty = option.default is None or option.default is False or option.default in ((), [], {})
    if not option.required and not empty:
        text += f" Default: {written(option.default)}."
    head = f"  {shown_name(option)}"
    if not option.positional and option.default is not False:
        head += f" {metavar(option.kind)}"
    indent = 34
    wrapped = textwrap.wrap(text.replace("``", ""), _width() - indent) or [""]
    if len(head) < indent - 1:
        yield f"{head:<{indent}}{wrapped[0]}"
        wrapped = wrapped[1:]
    else:
        yield head
    for line in wrapped:
        yield " " * indent + line


def written(value: Any) -> str:
    """A value as it is written on the line."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(written, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def metavar(kind: Any) -> str:
    """The form of a value, short."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "|".join(map(str, arguments))
    if origin in (list, tuple):
        inner = [metavar(a) for a in arguments if a is not Ellipsis]
        several = origin is list or Ellipsis in arguments
        return f'"[{", ".join(inner)}{", ..." if several else ""}]"'
    if origin is dict:
        return '"{NAME: ...}"'
    if arguments:  # a union: its first type says most
        return metavar(arguments[0])
    return _KINDS.get(kind, "TEXT")


def _width() -> int:
    return min(shutil.get_terminal_size().columns, 100)
