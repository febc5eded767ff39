"""The reference of the command line: the help of every verb, as the parser prints it."""

from __future__ import annotations

import contextlib
import io

from equiseg.cli.main import VERBS, main


def command_line_page() -> str:
    """The page, one section a verb."""
    sections = [f"## {verb}\n\n```text\n{_help(verb)}\n```" for verb in VERBS]
    return "# Command line\n\n" + "\n\n".join(sections) + "\n"


def _help(verb: str) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([verb, "--help"])
    return text.getvalue().strip()
