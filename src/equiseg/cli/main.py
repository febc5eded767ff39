"""The entry point: finds the verb, reads its options, runs it; errors are one line."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TextIO

from equiseg import commands
from equiseg.cli.command_line import read_line
from equiseg.cli.door import close_quietly, one_door
from equiseg.cli.function_options import check_required, typed_arguments
from equiseg.cli.help import overview, verb_help
from equiseg.cli.verbs import Verb
from equiseg.foreign_text import printable
from equiseg.typed_options import OptionError, nearest

VERBS = {name: getattr(commands, name) for name in commands.VERBS}
_HELP = ("-h", "--help", "--help-all")
_RESUMED = ("demo", "train", "compare")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``equiseg VERB ...``.

    A verb is a function of :mod:`equiseg.commands`: its parameters, and the fields of its
    dataclasses, are the options, and its docstring is the help.

    Raises:
        SystemExit: With status 2 for a wrong line, 1 and a message for what fails while it runs,
            130 where it is interrupted, 143 where it is terminated (SIGTERM), 129 where its
            terminal is closed, 141 where nobody reads what it prints.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):  # a terminal of few characters must not end a run
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if not words or words[0] in _HELP:
        _show(overview(VERBS), sys.stdout if words else sys.stderr)
        sys.exit(0 if words else 2)
    name, *rest = words
    if name not in VERBS:
        message = f"equiseg: unknown verb {name!r:.80}{nearest(name, VERBS)}"
        _show(f"{message}\nall verbs: equiseg --help", sys.stderr)
        sys.exit(2)
    line = shlex.join(("equiseg", *words))
    # Help needs this too, because it imports the modules of the verb.
    with one_door(name, line, _resume_words(name, rest)):
        _run(name, rest, line)


def _run(name: str, rest: Sequence[str], line: str) -> None:
    """Read the options of a verb, and run it or show its help."""
    verb = Verb.of(name, VERBS[name])
    options = verb.options()
    if asked := [word for word in rest if word in _HELP]:
        _show(verb_help(verb, options, everything="--help-all" in asked), sys.stdout)
        sys.exit(0)
    try:
        given = read_line(rest, options)
        check_required(options, given)
        chosen = typed_arguments(verb.function, given)
    except OptionError as error:
        told = f"equiseg {name}: {printable(error)}\nall options: equiseg {name} --help-all"
        _show(told, sys.stderr)
        sys.exit(2)
    with commands.written_command(line):
        verb.function(**chosen)


def _resume_words(name: str, rest: Sequence[str]) -> str:
    """The advice after an interruption."""
    out = any(word == "--out" or word.startswith("--out=") for word in rest)
    resumed = name in _RESUMED or (name == "stats" and out)
    return "; repeat the same command to resume" if resumed else ""


def _show(text: str, stream: TextIO) -> None:
    """Print, also into ``head``, which closes the pipe when it has enough."""
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        close_quietly(stream)
