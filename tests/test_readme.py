"""README and documentation: the Python runs, and the links of README lead to files.

Command lines are parsed in tests/cli/test_documented_lines.py.
"""

import re

import pytest

from places import ROOT

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]


SNIPPETS = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, code in enumerate(
        re.findall(
            r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
    )
]


@pytest.mark.parametrize("code", SNIPPETS)
def test_python_runs(code: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    if "import kornia" in code:
        pytest.importorskip("kornia")
    exec(compile(code, "snippet", "exec"), {"__name__": "snippet"})


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 160


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)[^):]*\)", README.read_text("utf-8")))
def test_a_link_of_the_readme_leads_to_a_file(target: str):
    assert (ROOT / target).exists()
