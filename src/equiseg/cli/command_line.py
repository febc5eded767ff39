"""What a command line says: words to nested options, over files of options."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from equiseg.cli.function_options import Option, meaning
from equiseg.data.yaml_file import read_yaml
from equiseg.foreign_text import short
from equiseg.typed_options import OptionError, nearest, read_options, text_value

CONFIG = "config"
_CONFIG_HELP = "YAML file with any of the options. Of several, later ones count."


def config_option() -> Option:
    """``--config FILE``, which may be given several times."""
    return Option(CONFIG, Path, (), _CONFIG_HELP)


def read_line(words: Sequence[str], options: Sequence[Option]) -> dict[str, Any]:
    """The options that are given, as a YAML file would hold them.

    ``--name value`` and ``--name=value`` are alike; a switch needs no value. Options and files
    (``--config``) count in their order: later ones go over earlier ones.

    Args:
        words: The line after the verb.
        options: All there are, with :func:`config_option` where files are taken.

    Raises:
        OptionError: If an option is unknown or lacks its value, or a file holds no options.
        DataError: If a file is no YAML.
    """
    given: dict[str, Any] = {}
    names = {option.name for option in options}
    for option, text in _pairs(words, options):
        if option.name == CONFIG:
            above = _file(Path(text), options)
        else:
            above = _nested(option.name, text_value(text, option.kind))
        _lay_over(given, above, names)
    return given


def _pairs(words: Sequence[str], options: Sequence[Option]) -> Iterator[tuple[Option, str]]:
    """Each option of the line with its text."""
    known = {f"--{name}": o for o in options for name in (o.name, *o.old_names)}
    places = [option for option in options if option.positional]
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            if not places:
                raise OptionError(f"unexpected {word!r:.80}: options start with --")
            yield places.pop(0), word
            continue
        name, equals, text = word.partition("=")
        if (option := known.get(name)) is None:
            raise OptionError(f"unknown option {name}{_meant(name, known)}")
        if not equals:
            follows = bool(left) and not left[0].startswith("--")
            if option.kind is bool and not (follows and _is_switch_value(left[0], places)):
                text = "true"
            elif follows:
                text = left.pop(0)
            else:
                raise OptionError(f"{name} needs a value: {meaning(option)}")
        yield option, text


def _is_switch_value(word: str, places: Sequence[Option]) -> bool:
    """Whether the word after a switch is its value; else it is one given without a name."""
    return not places or word.lower() in ("true", "false")


def _meant(name: str, known: Mapping[str, Option]) -> str:
    head = name.rpartition(".")[0]
    if head in known:
        return f"; {head} has no options of its own"
    return nearest(name.replace("-", "_").replace("__", "--", 1), known)


def _file(path: Path, options: Sequence[Option]) -> dict[str, Any]:
    """The options of a file, by their present names."""
    from equiseg.training.renamed_options import tell_once, with_new_names

    if not path.is_file():
        raise OptionError(f"--config {path}: no such file")
    said = read_yaml(path) or {}
    if not isinstance(said, dict):
        raise OptionError(f"{path}: must hold options, as 'epochs: 12', got {said!s:.80}")
    said, notes = with_new_names(said)
    tell_once(notes, path)
    known = {option.name: option for option in options if option.name != CONFIG}
    for name, value in _leaves(said, known, path):
        if name not in known:
            raise OptionError(f"{path}: unknown option {name}{nearest(name, known)}")
        try:
            read_options(known[name].kind, value, name)
        except OptionError as error:
            raise OptionError(f"{path}: {error}") from None
    return said


def _leaves(
    said: Mapping[Any, Any], known: Mapping[str, Option], path: Path, before: str = ""
) -> Iterator[tuple[str, Any]]:
    """The dotted names of nested options, with their values.

    Raises:
        OptionError: If there is a value in the place of options.
    """
    for key, value in said.items():
        name = f"{before}{key}"
        inside = [o[len(name) + 1 :] for o in known if o.startswith(f"{name}.")]
        if not inside:
            yield name, value
        elif isinstance(value, Mapping):
            yield from _leaves(value, known, path, f"{name}.")
        else:
            raise OptionError(
                f"{path}: {name} must hold options, as '{inside[0].partition('.')[0]}: ...' in the "
                f"lines below it, got {short(value)!r}"
            )


def _nested(name: str, value: Any) -> dict[str, Any]:
    for key in reversed(name.split(".")):
        value = {key: value}
    return dict(value)


def _lay_over(
    below: dict[str, Any], above: Mapping[str, Any], names: Collection[str], before: str = ""
) -> None:
    """Nested options, one laid over the other; the value of an option is replaced as a whole."""
    for key, value in above.items():
        name = f"{before}{key}"
        old = below.get(key)
        if name not in names and isinstance(value, dict) and isinstance(old, dict):
            _lay_over(old, value, names, f"{name}.")
        else:
            below[key] = value
