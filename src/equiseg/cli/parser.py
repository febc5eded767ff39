"""A parser whose complaints fit on the screen."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

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
        options = [option for action in parser._actions for option in action.option_strings]
        message = reworded(message, options)
        self.exit(2, f"{command}: {message}\nall options: {command} --help\n")


def reworded(message: str, options: Sequence[str]) -> str:
    """A complaint of the parser in terms of the command line.

    Args:
        message: As jsonargparse has it.
        options: What there is, to name the nearest to one that there is not.
    """
    message = re.sub(r'Parser key "([^"]+)":\s*', r"\1: ", message)
    message = re.sub(
        r"Does not validate against any of the Union subtypes\s*Subtypes: \[(.*)\]\n"
        r"[\s\S]*Given value: (.*)",
        lambda found: f"must be {_kinds(found[1])}, got {found[2]}",
        message,
    )
    message = re.sub(
        r"Expected an? (<class '\w+'>)\. Got value: (.*)",
        lambda found: f"must be {_kinds(found[1])}, got {found[2]}",
        message,
    )
    if unknown := re.search(
        r"(?:unrecognized arguments: --|does not accept option ')([\w.]+)", message
    ):
        near = get_close_matches(f"--{unknown[1]}", options, 1)
        message += f"; did you mean {near[0]}?" if near else ""
    return message


def _kinds(types: str) -> str:
    """What values are allowed, of types as Python writes them."""
    named = re.sub(r"<class '(?:\w+\.)*(\w+)'>", lambda t: _KINDS.get(t[1], t[1]), types)
    return re.sub(r"(?:tuple|list)(\[[^]]*\])", r'"\1"', named).replace(", null", " or null")


def config_files(arguments: Sequence[str] | None) -> list[Path]:
    """The files that ``--config`` names and that exist."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", action="append", type=Path, default=[])
    files: list[Path] = finder.parse_known_args(arguments)[0].config
    return [path for path in files if path.is_file()]
