"""A verb: a function of ``equiseg.commands`` with what its module says of its command line."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from equiseg.cli.command_line import config_option
from equiseg.cli.function_options import Option, options_of


@dataclass(frozen=True)
class Verb:
    """A verb.

    Attributes:
        name: As it is called.
        function: What it runs.
        positional: Options that are given without their names.
        main_options: Options that ``--help`` shows, by the title of their group.
        renamed: New name of each old one.
    """

    name: str
    function: Callable[..., Any]
    positional: tuple[str, ...]
    main_options: Mapping[str, tuple[str, ...]]
    renamed: Mapping[str, str]

    @classmethod
    def of(cls, name: str, function: Callable[..., Any]) -> Verb:
        """A function with ``POSITIONAL``, ``MAIN_OPTIONS`` and ``RENAMED`` of its module."""
        module = vars(sys.modules[function.__module__])
        renamed = dict(module.get("RENAMED", {}))
        if _takes_config(function):
            from equiseg.training.renamed_options import RENAMED

            renamed |= RENAMED
        positional = module.get("POSITIONAL", ())
        return cls(name, function, positional, module.get("MAIN_OPTIONS", {}), renamed)

    def options(self) -> list[Option]:
        """All its options."""
        config = [config_option()] if _takes_config(self.function) else []
        return config + options_of(self.function, self.positional, self.renamed)


def _takes_config(function: Callable[..., Any]) -> bool:
    return "config" in inspect.signature(function).parameters
