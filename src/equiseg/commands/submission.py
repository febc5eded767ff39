"""equiseg submission."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def submission(folder: Path, root: Path, split: str = "test") -> None:
    """Check a folder of ScanNet200 submission files before it is handed in.

    Every scene of the split needs one file, SCENE.txt, with the id of one of the 200 classes a
    line, in the order of the scene's vertices. All that is wrong is listed.

    Args:
        folder: Folder of the files, as ``equiseg predict`` writes them under submission/.
        root: Folder of ScanNet, in its official or the preprocessed layout.
        split: The split the files are for.
    """
    from equiseg.data.errors import DataError
    from equiseg.data.points.formats.scannet_submission import check_submission

    if problems := check_submission(folder, root, split):
        raise DataError.listing(f"{folder}: cannot be handed in", problems)
    Console().print(f"{folder}: complete, and every line an id of the benchmark")
