"""Benchmarks import, and the command lines and files that they show are valid."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from equiseg.cli.main import main
from places import ROOT

FOLDER = ROOT / "benchmarks"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in FOLDER.rglob("*.py")
    if path.name != "__init__.py"
)
CONFIGS = sorted(str(p.relative_to(ROOT)) for p in FOLDER.glob("*/*.yaml"))
_COMMAND = re.compile(r"^#\s+(?:\w+=\S+ )?equiseg (compare .*)$")


def shown_commands() -> list[str]:
    """The command lines in the comments of the files, lines that end in a backslash joined."""
    texts = (Path(ROOT / name).read_text(encoding="utf-8") for name in CONFIGS)
    lines = "\n".join(texts).replace("\\\n#", " ").splitlines()
    return [found[1] for line in lines if (found := _COMMAND.match(line))]


@pytest.fixture
def at_root(monkeypatch):
    """Where the commands are run: paths in them are relative; losses of their own are found."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.syspath_prepend(str(FOLDER / "study"))


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_can_be_imported(name, at_root):
    importlib.import_module(name)


def is_read(arguments: list[str], out: Path) -> None:
    """Refused for its trials alone: everything else on the line and in the files was read."""
    given = [*arguments, "--trials", "0"]
    if "--out" not in arguments:
        given += ["--out", str(out)]
    with pytest.raises(SystemExit, match="trials must be at least 1, got 0"):
        main(given)


@pytest.mark.parametrize("command", shown_commands())
def test_a_shown_command_is_valid(command, at_root, tmp_path):
    is_read(shlex.split(command), tmp_path)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_file_of_options_is_valid(name, at_root, tmp_path):
    is_read(["compare", "--config", name], tmp_path)


def test_the_comments_show_commands():
    assert len(shown_commands()) == 5
