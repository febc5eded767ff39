"""README and documentation: the Python runs, the command lines parse, the links lead to files."""

import re
import shlex

import pytest

from equiseg.cli.line import read_line
from equiseg.cli.main import VERBS
from equiseg.cli.options import check_required, typed_arguments
from equiseg.cli.verbs import Verb
from places import ROOT

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]


def fenced(language: str) -> list:
    """The blocks of a language, each as a test of its own; those that include a file are left."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [
        pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, block in enumerate(pattern.findall(page.read_text(encoding="utf-8")))
        if "--8<--" not in block
    ]


def command_lines() -> list:
    """Every command of a block without language that calls equiseg."""
    starts = re.compile(r"\n(?=equiseg |python |torchrun |cd |pip |make |source )")
    return [
        pytest.param(line, id=f"{block.id}-{number}")
        for block in fenced("")
        for number, line in enumerate(starts.split(block.values[0].replace("\\\n", " ")))
        if re.match(r"(python -m |torchrun .*-m )?equiseg ", line)
    ]


@pytest.mark.parametrize("code", fenced("python"))
def test_python_runs(code: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    if "import kornia" in code:
        pytest.importorskip("kornia")
    exec(compile(code, "snippet", "exec"), {"__name__": "snippet"})


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_is_valid(line: str, monkeypatch: pytest.MonkeyPatch, tmp_path):
    name, *words = shlex.split(line.partition("equiseg ")[2], comments=True)
    verb = Verb.of(name, VERBS[name])
    for place, word in enumerate(words):
        if word == "--config" and not (ROOT / words[place + 1]).exists():
            words[place + 1] = str(tmp_path / "some.yaml")  # a file of the reader's
            (tmp_path / "some.yaml").write_text("epochs: 30\n" * ("epochs" in line))
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    given = read_line(words, verb.options())
    check_required(verb.options(), given)
    typed_arguments(verb.function, given)


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 160


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)[^):]*\)", README.read_text("utf-8")))
def test_a_link_of_the_readme_leads_to_a_file(target: str):
    assert (ROOT / target).exists()
