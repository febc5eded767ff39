"""The entry point: verbs, typed options, YAML files, and errors without a traceback."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Callable, Sequence

VERBS = (
    "demo",
    "stats",
    "doctor",
    "train",
    "evaluate",
    "adjust",
    "compare",
    "diagnose",
    "predict",
    "submission",
)
_POSITIONAL = ("stats", "doctor", "diagnose")  # what is looked at needs no name
_RESUMED = ("demo", "train", "compare")
_OPTIONAL = {
    "diagnose": {
        "data": "Name of a card that comes with equiseg, path of a card (.yaml), or the built-in "
        '"pictures" or "scans"; the data of the run if not said otherwise.'
    }
}
_DESCRIPTION = "Semantic segmentation of imbalanced data with center collapse regularization."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``equiseg VERB ...``.

    A verb is a function; its docstring is its help. Where its first parameter is ``config``, the
    fields of :class:`TrainConfig` become options of their own, over a YAML file (``--config``).
    """
    given = [_renamed(text) for text in (sys.argv[1:] if arguments is None else arguments)]
    called = [name for name in given[:1] if name in VERBS]  # others need not be imported
    try:
        from equiseg.cli.parser import ConfigFile, Parser
        from equiseg.training.config import TrainConfig

        functions = {name: _verb(name) for name in called or VERBS}
    except ImportError as error:
        sys.exit(f'equiseg: {error}; the command line needs pip install "equiseg[train]"')
    parser = Parser(prog="equiseg", description=_DESCRIPTION)
    verbs = parser.add_subcommands(dest="verb", metavar="VERB")
    parsers = {}
    for name, function in functions.items():
        text = inspect.getdoc(function) or ""
        verb = Parser(description=text.split("\n\nArgs:")[0])
        if "config" in inspect.signature(function).parameters:
            verb.add_argument(
                "--config", action=ConfigFile, help="YAML file with any of the options"
            )
            verb.add_class_arguments(TrainConfig, as_group=False)
        optional = _OPTIONAL.get(name, {})
        verb.add_function_arguments(
            function,
            skip={"config", *optional},
            as_group=False,
            as_positional=name in _POSITIONAL,
        )
        for argument, meaning in optional.items():
            verb.add_argument(argument, nargs="?", help=meaning)
        verb.let_switches_stand_alone()
        verbs.add_subcommand(name, verb, help=text.splitlines()[0])
        parsers[name] = verb
    try:
        chosen = parser.parse_args(given)
    except ValueError as error:  # of a file of options; what is wrong on the line ends otherwise
        sys.exit(f"equiseg: {error}")
    name = chosen.verb
    try:
        options = vars(parsers[name].instantiate(chosen[name]))
        if "config" in inspect.signature(functions[name]).parameters:
            fields = [field.name for field in dataclasses.fields(TrainConfig)]
            config = TrainConfig(**{field: options.pop(field) for field in fields})
            options["config"] = config
        functions[name](**options)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        sys.exit(f"equiseg {name}: {error}")
    except KeyboardInterrupt:
        kept = name in _RESUMED or (name == "stats" and options["out"] is not None)
        again = "; the same command goes on where it stopped" if kept else ""
        print(f"equiseg {name}: interrupted{again}", file=sys.stderr)
        sys.exit(130)


def _renamed(text: str) -> str:
    """An option with an older name, by its present one."""
    from equiseg.training.renamed import new_name

    option, sign, value = text.partition("=")
    return f"--{new_name(option[2:])}{sign}{value}" if text.startswith("--") else text


def _verb(name: str) -> Callable[..., None]:
    """The function of a verb, from the file of its name."""
    function: Callable[..., None] = getattr(
        importlib.import_module(f"equiseg.commands.{name}"), name
    )
    return function
