"""A parser whose complaints fit on the screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ActionConfigFile, ArgumentParser  # type: ignore[attr-defined]

from equiseg.data.yaml_file import read_yaml

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": 'a list, as "[a, b]"',
    "tuple": 'a list, as "[a, b]"',
    "dict": 'a mapping, as "{a: b}"',
    "NoneType": "null",
}
_FORMS = (
    re.compile(
        r"Does not validate against any of the Union subtypes\s*Subtypes: \[(?P<types>.*)\]\n"
        r"[\s\S]*Given value: (?P<value>.*)"
    ),
    re.compile(
        r"Expected an? (?P<types><class '\w+'>|typing\.Literal\[.*?\])\. "
        r"Got value: (?P<value>.*)"
    ),
)
_NESTED = re.compile(r"(\S+): must be (.+), got NestedArg\(key='([^']*)'.*\)")
_REQUIRED = re.compile(r"the following arguments are required: (\w+)\.(\w.*)")
_UNKNOWN = re.compile(r"(?:unrecognized arguments: --|does not accept option ')([\w.-]+)")


class Parser(ArgumentParser):
    """An ``ArgumentParser`` that says what is wrong, without all options before it."""

    def __init__(self, **options: Any) -> None:
        # Abbreviations would let a mistyped option through.
        super().__init__(allow_abbrev=False, **options)

    def let_switches_stand_alone(self) -> None:
        """``--flag`` means ``--flag true``, as everywhere else."""
        for action in self._actions:
            if getattr(action, "_typehint", None) is bool:
                action.nargs, action.const = "?", True

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the complaint and where to look, and exit with status 2."""
        parser = getattr(ex, "subcommand_parser", None) or self
        command = parser.prog.replace(" [options]", "")
        if required := _REQUIRED.search(message):  # the root says it of a verb
            command += f" {required[1]}"
        options = [option for action in parser._actions for option in action.option_strings]
        message = reworded(message, options)
        self.exit(2, f"{command}: {message}\nall options: {command} --help\n")


class ConfigFile(ActionConfigFile):
    """``--config FILE``: a file that cannot be read is named, with the line that is wrong."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
        """Look at the file before its options are taken."""
        if (path := Path(values)).is_file():
            read_yaml(path)
        super().__call__(parser, cfg, values, option_string)  # type: ignore[no-untyped-call]


def reworded(message: str, options: Sequence[str]) -> str:
    """A complaint of the parser in terms of the command line.

    Args:
        message: As jsonargparse has it.
        options: What there is, to name the nearest to one that there is not.
    """
    message = re.sub(r'Parser key "([^"]+)":\s*', r"\1: ", message)
    for form in _FORMS:
        message = form.sub(_allowed, message)
    message = _NESTED.sub(r"\1 has no option \3, it must be \2", message)
    if required := _REQUIRED.search(message):
        return f"needs {required[2].replace(f'{required[1]}.', '')}"
    if unknown := _UNKNOWN.search(message):
        near = get_close_matches(f"--{unknown[1].replace('-', '_')}", options, 1)
        message += f"; did you mean {near[0]}?" if near else ""
    return message


def _allowed(found: re.Match[str]) -> str:
    """What values are allowed, where every type has plain words."""
    kinds = [_kind(of) for of in re.split(r", (?![^\[]*\])", found["types"])]
    if None in kinds:
        return found[0]
    return f"must be {_either(dict.fromkeys(filter(None, kinds)))}, got {found['value']}"


def _kind(of: str) -> str | None:
    """A type as jsonargparse writes it, in words."""
    name = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", of)
    if name.startswith("typing.Literal["):
        return _either(re.findall(r"'(\w+)'", name))
    if row := re.fullmatch(r"(?:tuple|list)(\[[^\[\]]*\])", name):
        return f'"{row[1]}"'
    return _KINDS.get(name)


def _either(kinds: Iterable[str]) -> str:
    """One of these: "a, b or c"."""
    *others, last = kinds
    return f"{', '.join(others)} or {last}" if others else last
