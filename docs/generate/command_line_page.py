"""The reference of the command line: every verb with all its options, as the parser knows them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import groupby

from equiseg.cli.docstrings import description, summary
from equiseg.cli.function_options import Option, shown_name
from equiseg.cli.help import metavar, written
from equiseg.cli.main import VERBS
from equiseg.cli.verbs import Verb

_INTRO = """# Command line

`equiseg VERB --help` shows the most important options of a verb, `--help-all` all of them.
Options may also be written in a YAML file, given with `--config`; options on the line override
the file. A list is written `"[a, b]"`, a switch `--flag` or `--flag true`."""


def command_line_page() -> str:
    """The page, one section a verb. Options that a verb shares with ``train`` are listed there."""
    verbs = [Verb.of(name, function) for name, function in VERBS.items()]
    train = {option.name for verb in verbs if verb.name == "train" for option in verb.options()}
    return "\n\n".join([_INTRO, *(_section(verb, train) for verb in verbs)]) + "\n"


def _section(verb: Verb, train: set[str]) -> str:
    options = verb.options()
    blocks = [f"## {verb.name}", summary(verb.function), *description(verb.function)]
    shared = {"config", "method"} <= {option.name for option in options} & train
    if verb.name != "train" and shared:
        options = [option for option in options if option.name == "out" or option.name not in train]
        blocks.append("All options of [train](#train), and:")
    by_place = sorted(options, key=lambda option: option.name.rpartition(".")[0])
    for name, members in groupby(by_place, key=lambda option: option.name.rpartition(".")[0]):
        title = [f"### {verb.name}: {name}"] if name else []
        blocks += [*title, _table(list(members))]
    return "\n\n".join(blocks)


def _table(options: Sequence[Option]) -> str:
    rows = "\n".join(_row(option) for option in options)
    return f"| option | meaning |\n|---|---|\n{rows}"


def _row(option: Option) -> str:
    names = " or ".join(f"`{name}`" for name in _names(option))
    form = metavar(option.kind).replace("|", " or ")
    text = html.escape(option.help, quote=False).replace("``", "`")
    if option.required:
        text += " *Required.*"
    elif option.default is not None and option.default not in ((), "", [], {}):
        text += f" *Default:* `{written(option.default)}`."
    return f"| {names}<br>`{form}` | {text} |"


def _names(option: Option) -> tuple[str, ...]:
    """The shortest name, and the full one that files may use."""
    last = option.name.rpartition(".")[2]
    shorter = [old for old in option.old_names if old.rpartition(".")[2] == last]
    return (*(f"--{name}" for name in shorter[:1]), shown_name(option))
