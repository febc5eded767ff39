"""The entry point: verbs, typed options, YAML files, and errors without a traceback."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from equiseg.cli.compare import compare
from equiseg.cli.demo import demo
from equiseg.cli.evaluate import evaluate
from equiseg.cli.predict import predict
from equiseg.cli.train import train

VERBS: dict[str, Callable[..., Any]] = {
    "demo": demo,
    "train": train,
    "evaluate": evaluate,
    "compare": compare,
    "predict": predict,
}
_DESCRIPTION = "Semantic segmentation of imbalanced data with center collapse regularization."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``equiseg VERB ...``.

    A verb is a function; its docstring is its help. Where its first parameter is ``config``, the
    fields of :class:`TrainConfig` become options of their own, over a YAML file (``--config``).
    """
    try:
        from jsonargparse import ArgumentParser
    except ImportError:
        sys.exit('the command line needs more packages: pip install "equiseg[train]"')
    from equiseg.training.config import TrainConfig

    parser = ArgumentParser(prog="equiseg", description=_DESCRIPTION)
    verbs = parser.add_subcommands(dest="verb", metavar="VERB")
    parsers = {}
    for name, function in VERBS.items():
        text = inspect.getdoc(function) or ""
        verb = ArgumentParser(description=text.split("\n\nArgs:")[0])
        if "config" in inspect.signature(function).parameters:
            verb.add_argument("--config", action="config", help="YAML file with any of the options")
            verb.add_class_arguments(TrainConfig, as_group=False)
        verb.add_function_arguments(function, skip={"config"}, as_group=False)
        verbs.add_subcommand(name, verb, help=text.splitlines()[0])
        parsers[name] = verb
    chosen = parser.parse_args(arguments)
    name = chosen.verb
    options = vars(parsers[name].instantiate(chosen[name]))
    if "config" in inspect.signature(VERBS[name]).parameters:
        fields = [field.name for field in dataclasses.fields(TrainConfig)]
        config = TrainConfig(**{field: options.pop(field) for field in fields})
        options["config"] = config
    try:
        VERBS[name](**options)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        sys.exit(f"equiseg {name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"equiseg {name}: interrupted; the same command goes on where it stopped")
