"""equiseg submission."""

from __future__ import annotations

from pathlib import Path

MAIN_OPTIONS = {"options": ("folder", "root", "split")}


def submission(folder: Path, root: Path, split: str = "test") -> None:
    """Check a folder of ScanNet200 submission files before you submit it.

    Every scene of the split needs one file, SCENE.txt, with the id of one of the 200 classes per
    line, in the order of the scene's vertices. All problems are listed.

    Args:
        folder: The folder of the files, as ``equiseg predict`` writes them under submission/.
        root: The folder of ScanNet, in its official or the preprocessed layout.
        split: The split the files are for.

    Raises:
        DataError: If a file is missing or wrong.
    """
    from rich.console import Console

    from equiseg.data.errors import DataError
    from equiseg.data.points.formats.scannet_submission import check_submission
    from equiseg.runs.terminal import as_is

    if problems := check_submission(Path(folder), Path(root), split):
        raise DataError.listing(f"{folder}: cannot be submitted", problems)
    Console().print(as_is(f"{folder}: complete, and every line is an id of the benchmark"))
