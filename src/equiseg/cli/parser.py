"""A parser whose complaints fit on the screen."""

from __future__ import annotations

from typing import NoReturn

from jsonargparse import ArgumentParser


class Parser(ArgumentParser):
    """An ``ArgumentParser`` that says what is wrong, without all options before it."""

    def let_switches_stand_alone(self) -> None:
        """``--flag`` means ``--flag true``, as everywhere else."""
        for action in self._actions:
            if getattr(action, "_typehint", None) is bool:
                action.nargs, action.const = "?", True

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the complaint and where to look, and exit with status 2."""
        parser = getattr(ex, "subcommand_parser", None) or self
        command = parser.prog.replace(" [options]", "")
        self.exit(2, f"{command}: {message}\nall options: {command} --help\n")
