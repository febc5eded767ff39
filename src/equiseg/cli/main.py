"""The entry point: finds the verb, reads its options, runs it; errors are one line."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

from equiseg import commands
from equiseg.cli.command_line import read_line
from equiseg.cli.function_options import check_required, typed_arguments
from equiseg.cli.help import overview, verb_help
from equiseg.cli.verbs import Verb
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
            130 where it is interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):  # a terminal of few characters must not end a run
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if not words or words[0] in _HELP:
        print(overview(VERBS), file=sys.stdout if words else sys.stderr)
        sys.exit(0 if words else 2)
    name, *rest = words
    if name not in VERBS:
        message = f"equiseg: unknown verb {name!r:.80}{nearest(name, VERBS)}"
        print(f"{message}\nall verbs: equiseg --help", file=sys.stderr)
        sys.exit(2)
    verb = Verb.of(name, VERBS[name])
    options = verb.options()
    if asked := [word for word in rest if word in _HELP]:
        _show(verb_help(verb, options, everything="--help-all" in asked))
        sys.exit(0)
    try:
        given = read_line(rest, options)
        check_required(options, given)
        chosen = typed_arguments(verb.function, given)
    except OptionError as error:
        message = f"equiseg {name}: {error}\nall options: equiseg {name} --help-all"
        print(message, file=sys.stderr)
        sys.exit(2)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"equiseg {name}: {error}")
    try:
        with commands.written_command(shlex.join(("equiseg", *words))):
            verb.function(**chosen)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        sys.exit(f"equiseg {name}: {error}")
    except KeyboardInterrupt:
        kept = name in _RESUMED or (name == "stats" and "out" in given)
        again = "; repeat the same command to resume" if kept else ""
        print(f"equiseg {name}: interrupted{again}", file=sys.stderr)
        sys.exit(130)


def _show(text: str) -> None:
    """Print, also into ``head``, which closes the pipe when it has enough."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
