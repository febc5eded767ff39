"""The API reference: one page a package, every public name, from the docstrings."""

from __future__ import annotations

import importlib

PACKAGES = {
    "equiseg": "equiseg",
    "losses": "equiseg.losses",
    "metrics": "equiseg.metrics",
    "collapse": "equiseg.collapse",
    "imbalance": "equiseg.imbalance",
    "commands": "equiseg.commands",
    "testing": "equiseg.testing",
    "data": "equiseg.data",
}


def api_pages() -> dict[str, str]:
    """The text of each page by its path."""
    return {f"reference/api/{page}.md": _page(name) for page, name in PACKAGES.items()}


def _page(package: str) -> str:
    module = importlib.import_module(package)
    public = [name for name in module.__all__ if not name.isupper()]  # tables are no entries
    entries = "\n\n".join(f"::: {package}.{name}" for name in sorted(public, key=str.lower))
    text = str(module.__doc__).replace(">>>", "    >>>")
    return f"# {package}\n\n{text}\n\n{entries}\n"
