"""equiseg report."""

from __future__ import annotations

from pathlib import Path

POSITIONAL = ("folder",)


def report(folder: Path, out: Path | None = None) -> Path:
    """Draw the page of a run, a comparison, a study, a diagnosis or a data set again.

    Reads the records in the folder alone: no weights, no data, no torch. Every page is one HTML
    file that needs no other file; figures are also written as PNG, SVG and CSV.

    Args:
        folder: Folder of results, as train, compare, diagnose or stats left it.
        out: Folder for the page and its figures; the same folder if not given.

    Returns:
        The page.

    Raises:
        ValueError: If the folder has no records of a page, or they are of a version that is not
            known.
    """
    from rich.console import Console

    from equiseg.commands.draw_page import draw_page
    from equiseg.runs.terminal import as_is, folder_line

    console = Console()

    def tell(text: str) -> None:
        console.print(as_is(text, "yellow"))

    page = draw_page(Path(folder), None if out is None else Path(out), tell)
    console.print(folder_line("page: ", page))
    return page
