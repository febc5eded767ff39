"""The page of the package index: README.md with links that work away from the repository."""

import re
from pathlib import Path

from setuptools import setup

REPOSITORY = ""  # such as https://github.com/OWNER/equiseg, once the repository is public
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?!https?://|#)(?P<target>[^)\s]+)\)")


def portable(readme: str, repository: str) -> str:
    """Links to files of the repository made absolute.

    Without a repository, links become their text and images are left out: an index would show them
    broken.
    """

    def absolute(link: re.Match[str]) -> str:
        if not repository:
            return "" if link["image"] else link["text"]
        place = "raw" if link["image"] else "blob"
        return f"{link['image']}[{link['text']}]({repository}/{place}/main/{link['target']})"

    return _LINK.sub(absolute, readme)


if __name__ == "__main__":
    setup(
        long_description=portable(Path("README.md").read_text(encoding="utf-8"), REPOSITORY),
        long_description_content_type="text/markdown",
    )
