"""Pages of the site that are made from code when it is built: API, command line, notebook.

MkDocs calls the function that is named after its event (``hooks`` in mkdocs.yml).
"""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

from api_pages import api_pages
from command_line_page import command_line_page
from notebook_page import notebook_pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those that are written by hand."""
    pages: dict[str, str | bytes] = {
        "reference/command_line.md": command_line_page(),
        **api_pages(),
        **notebook_pages(Path(config.docs_dir) / "tutorials/quick_start.ipynb", "tutorials"),
    }
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files
