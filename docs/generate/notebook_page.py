"""A notebook as Markdown: its text, its code, and the results that are stored in it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any


def notebook_pages(notebook: Path, folder: str) -> dict[str, str | bytes]:
    """The page and its pictures, each by its path.

    Args:
        notebook: The .ipynb file.
        folder: Where the page goes.
    """
    pages: dict[str, str | bytes] = {}
    blocks = []
    for number, cell in enumerate(json.loads(notebook.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(source)
            continue
        blocks.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            if picture := output.get("data", {}).get("image/png"):
                name = f"{notebook.stem}_{number}.png"
                pages[f"{folder}/{name}"] = base64.b64decode(picture)
                blocks.append(f"![Result of the cell above]({name})")
            elif text := _text(output):
                blocks.append(f"```text\n{text.rstrip()}\n```")
    return {f"{folder}/{notebook.stem}.md": "\n\n".join(blocks) + "\n", **pages}


def _text(output: dict[str, Any]) -> str:
    """What an output says in plain text."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
