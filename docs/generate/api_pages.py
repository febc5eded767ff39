"""The API reference: one page a package, every public name, from the docstrings."""

from __future__ import annotations

import importlib

PACKAGES = {
    "equiseg": "equiseg",
    "losses": "equiseg.losses",
    "metrics": "equiseg.metrics",
    "collapse": "equiseg.collapse",
    "imbalance": "equiseg.imbalance",
    "testing": "equiseg.testing",
    "data": "equiseg.data",
}


def api_pages() -> dict[str, str]:
    """The text of each page by its path."""
    pages = {f"reference/api/{page}.md": _page(name) for page, name in PACKAGES.items()}
    return pages | {"reference/api/commands.md": _commands()}


def _page(package: str) -> str:
    module = importlib.import_module(package)
    names = sorted(module.__all__, key=str.lower)
    entries = "\n\n".join(f"::: {package}.{name}" for name in names)
    return f"# {package}\n\n{module.__doc__}\n\n{entries}\n"


def _commands() -> str:
    from equiseg.cli.main import VERBS

    intro = (
        "Every verb of the command line is one function, `equiseg.commands.VERB.VERB`. "
        "Its options are on [the page of the command line](../command_line.md)."
    )
    entries = "\n\n".join(f"::: equiseg.commands.{verb}.{verb}" for verb in VERBS)
    return f"# equiseg.commands\n\n{intro}\n\n{entries}\n"
