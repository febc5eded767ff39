"""Every command line in the documentation and in the benchmarks is one that the parser takes."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

from equiseg.cli.line import read_line
from equiseg.cli.main import VERBS
from equiseg.cli.options import check_required, typed_arguments
from equiseg.cli.verbs import Verb
from places import ROOT

_LINE = re.compile(rf"equiseg +((?:{'|'.join(VERBS)}) .*)", re.DOTALL)
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SHELLS = ("", "sh", "bash", "console", "shell")


def documented_lines():
    """Each command line that is shown as code, with its file."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.yaml")]
    found = []
    for file in sorted(pages):
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".yaml":
            text = "\n".join(re.findall(r"^#(.*)", text, re.MULTILINE))
        else:
            text = "\n".join(code for kind, code in _BLOCK.findall(text) if kind in _SHELLS)
        for words in commands(text.replace("\\\n", " ").splitlines()):
            found.append(pytest.param(words, id=f"{file.name}: {' '.join(words)[:70]}"))
    return found


def commands(lines):
    """The words of each command; a quotation may go over lines."""
    before = ""
    for line in lines:
        if before or _LINE.search(line):
            try:
                words = shlex.split(_LINE.search(before + line)[1], comments=True)
            except ValueError:  # no closing quotation yet
                before += f"{line}\n"
                continue
            before = ""
            yield words


@pytest.mark.parametrize("words", documented_lines())
def test_lines_are_valid(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    for folder in ("benchmarks/study", "examples"):
        monkeypatch.syspath_prepend(ROOT / folder)
    name, *words = words
    for option, value in itertools.pairwise(words):
        if option == "--config" and not Path(value).is_file():
            pytest.skip("names a file of the reader")
    verb = Verb.of(name, VERBS[name])
    given = read_line(words, verb.options())
    check_required(verb.options(), given)
    typed_arguments(verb.function, given)
