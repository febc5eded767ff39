"""The documentation site: its pages are complete, and what the code says of them is true."""

import re
import sys

import pytest

from places import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(autouse=True)
def generators(monkeypatch):
    """The modules that make pages from code."""
    monkeypatch.syspath_prepend(str(DOCS / "generate"))
    yield
    for name in ("command_line_page", "api_pages", "notebook_page", "run_notebook"):
        sys.modules.pop(name, None)


def test_every_option_of_every_verb_is_in_the_reference():
    from command_line_page import command_line_page

    from equiseg.cli.main import VERBS
    from equiseg.cli.options import shown_name
    from equiseg.cli.verbs import Verb

    page = command_line_page()
    for name, function in VERBS.items():
        assert f"\n## {name}\n" in page
        for option in Verb.of(name, function).options():
            assert f"`{shown_name(option)}`" in page


def test_every_public_name_is_in_the_reference():
    from api_pages import api_pages

    import equiseg
    from equiseg import losses

    pages = api_pages()
    assert all(
        f"::: equiseg.{name}\n" in pages["reference/api/equiseg.md"] for name in equiseg.__all__
    )
    page = pages["reference/api/losses.md"]
    assert all(f"::: equiseg.losses.{name}\n" in page for name in losses.__all__)


def test_the_notebook_runs_and_becomes_a_page():
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    from notebook_page import notebook_pages
    from run_notebook import NOTEBOOK, run

    notebook = run(NOTEBOOK)
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert re.search(r"^tail +[\d.]+ +[\d.]+$", printed, re.MULTILINE)
    pages = notebook_pages(NOTEBOOK, "tutorials")
    pictures = [path for path in pages if path.endswith(".png")]
    assert len(pictures) == 2
    assert all(
        f"]({path.rpartition('/')[2]})" in pages["tutorials/quick_start.md"] for path in pictures
    )


@pytest.mark.parametrize("folder", ["src", "benchmarks", "examples"])
def test_a_page_that_code_names_exists(folder: str):
    for file in (ROOT / folder).rglob("*.py"):
        for page in re.findall(r"docs/[\w/-]+\.(?:md|png|ipynb)", file.read_text(encoding="utf-8")):
            assert (ROOT / page).exists(), f"{file.relative_to(ROOT)} names {page}"
