"""The README as a package index shows it, where no file of the repository is next to it."""

import re
import runpy

import pytest

from places import ROOT

portable = runpy.run_path(str(ROOT / "setup.py"))["portable"]
TEXT = "See [the method](docs/method.md#why), [torch](https://pytorch.org).\n![Bars](docs/a.png)\n"


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("", "See the method, [torch](https://pytorch.org).\n\n"),
        (
            "https://host/me/equiseg",
            "See [the method](https://host/me/equiseg/blob/main/docs/method.md#why), "
            "[torch](https://pytorch.org).\n"
            "![Bars](https://host/me/equiseg/raw/main/docs/a.png)\n",
        ),
    ],
)
def test_links_to_files_are_absolute_or_plain_text(repository, expected):
    assert portable(TEXT, repository) == expected


def test_no_link_of_the_readme_needs_the_repository():
    readme = portable((ROOT / "README.md").read_text(encoding="utf-8"), "")
    targets = re.findall(r"\]\(([^)]+)\)", readme)
    assert [target for target in targets if not target.startswith(("http", "#"))] == []
