"""Files for the ScanNet200 benchmark: one label id per line, in the order of the vertices.

The benchmark takes an archive with ``SCENE.txt`` for every test scene at its top level.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from equiseg.data.errors import DataError
from equiseg.data.points.formats.scannet import benchmark_ids, find_scenes, num_points
from equiseg.foreign_files import FileError, is_hidden, read_text
from equiseg.foreign_text import short
from equiseg.whole_files import replace_text

_SHOWN = 5


def write_submission(file: Path, ids_N: np.ndarray) -> None:
    """Write the prediction for one scene.

    Args:
        file: ``SCENE.txt``; its folder is created.
        ids_N: (N,) label ids (``benchmark_ids()[k]`` for class id k), one per vertex of the scene's
            mesh, in its order.

    Raises:
        ValueError: If ``ids_N`` are not whole numbers of shape (N,), or one is no id of the
            benchmark.
    """
    ids_N = np.asarray(ids_N)
    if ids_N.ndim != 1 or not np.issubdtype(ids_N.dtype, np.integer):
        raise ValueError(
            f"ids_N must be whole numbers of shape (N,), got {ids_N.dtype} {ids_N.shape}"
        )
    if odd := sorted(set(np.unique(ids_N).tolist()) - set(benchmark_ids())):
        raise ValueError(
            f"ids_N must be among the 200 ids of the benchmark (1, 2, ... 1191), got "
            f"{odd[:_SHOWN]}; benchmark_ids()[k] is the id of class k"
        )
    replace_text(file, "".join(f"{label_id}\n" for label_id in ids_N.tolist()), durable=False)


def check_submission(folder: Path, root: Path, split: str = "test") -> list[str]:
    """List the problems of a folder of predictions that the benchmark would refuse.

    Args:
        folder: Holds ``SCENE.txt`` for every scene of the split, and nothing else.
        root: Folder of the data, for the scenes and their numbers of vertices.
        split: Name of the split; the benchmark takes "test".

    Returns:
        One line for each problem, beginning with the file; empty if there is no problem.

    Raises:
        DataError: If the data themselves cannot be read.
    """
    if not folder.is_dir():
        return [f"{folder}: no such folder"]
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; root must be the folder of ScanNet")
    scenes = {f"{scene.name}.txt": scene for scene in find_scenes(root, split)}
    found = {entry.name for entry in folder.iterdir() if not is_hidden(entry)}
    problems = [f"{folder / name}: missing" for name in scenes if name not in found]
    problems += [
        f"{folder / name}: is not the name of a scene of split {split}"
        for name in sorted(found - set(scenes))
    ]
    for name, scene in scenes.items():
        if name in found:
            problems += [f"{folder / name}: {line}" for line in _problems(folder / name, scene)]
    return problems


def _problems(file: Path, scene: Path) -> Iterator[str]:
    try:
        lines = read_text(file).removesuffix("\n").split("\n")
    except FileError as error:
        yield f"cannot be read as text ({error})"
        return
    lines = lines if lines != [""] else []
    if len(lines) != (points := num_points(scene)):
        yield f"has {len(lines)} lines, the scene has {points} vertices"
    allowed = set(map(str, benchmark_ids()))
    odd = Counter(line for line in lines if line not in allowed)
    if odd:
        examples = ", ".join(repr(short(line)) for line in list(odd)[:_SHOWN])
        yield f"{sum(odd.values())} lines hold no id of the benchmark, such as {examples}"
