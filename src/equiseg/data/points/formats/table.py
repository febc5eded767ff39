"""The one table of scan formats: their suffixes, readers, writers, labels and layouts.

A reader is imported when it is called, because LAS needs laspy and other formats do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from equiseg.data.points.formats.label_choice import LABEL_NAMES
from equiseg.dotted_names import is_dotted
from equiseg.foreign_files import is_hidden

if TYPE_CHECKING:
    from equiseg.data.points.cloud import PointCloud

# (file or folder of a scan, wanted attributes, data folder, name of the labels: "" for the usual
# ones, None to read none) -> its points, in one part or several
Reader = Callable[[Path, Sequence[str], Path, "str | None"], "Iterator[PointCloud]"]


@dataclass(frozen=True)
class ScanFormat:
    """How scans of one kind are found, read and written.

    Attributes:
        name: Its name, the value of ``form`` in a card.
        read: Yields the points of a scan in the order of its file.
        suffixes: Suffixes of its files, in lower case, by which files to predict are recognised.
        pattern: Pattern of its files in a folder without a card; empty if labels are in separate
            files, which need a card.
        label_names: Names under which the reader looks for class codes, for messages.
        chosen_labels: Whether a card may choose the attribute of the labels (``label_name``).
        folders: Whether a folder of files is one scan.
        official: Scans of an official split: (data folder, split) -> (name, path) of each.
        companions: Other files that a scan is read from: (path, data folder) -> paths.
        write: Writes a copy of a file or folder with new class codes: (source, target, codes (N,)).
        submit: Writes the file for a benchmark: (folder, name of the scan, codes (N,)).
        labelled_only: Whether its benchmark leaves classes without labels out of all means.
    """

    name: str
    read: Reader
    suffixes: tuple[str, ...] = ()
    pattern: str = ""
    label_names: tuple[str, ...] = ()
    chosen_labels: bool = False
    folders: bool = False
    official: Callable[[Path, str], list[tuple[str, Path]]] | None = None
    companions: Callable[[Path, Path], list[Path]] = lambda path, root: []
    write: Callable[[Path, Path, np.ndarray], None] | None = None
    submit: Callable[[Path, str, np.ndarray], None] | None = None
    labelled_only: bool = False


def find_format(form: str) -> ScanFormat:
    """The format of a card's ``form``: a row of the table, or a user's function.

    Args:
        form: "las", "ply", "arrays", "semantic_kitti", "scannet200", or the dotted name of a
            function ``read(path) -> PointCloud`` ("my_module.read", "file.py:read").

    Raises:
        ValueError: If there is no such format, or the function cannot be found.
    """
    if isinstance(form, str) and form in FORMATS:
        return FORMATS[form]
    if isinstance(form, str) and is_dotted(form):
        from equiseg.data.points.formats.own import own_format

        return own_format(form)
    raise ValueError(
        f"form must be one of {', '.join(FORMATS)}, or a function of your own (my_module.read), "
        f"got {form!r:.80}"
    )


def format_of_file(file: Path, trained_on: str | None = None) -> ScanFormat | None:
    """The format of a file to predict; None if it is no scan.

    Args:
        file: A file, or a folder with the NPY files of one scan.
        trained_on: The ``form`` of the training data. A user's function reads every file.
    """
    if trained_on is not None and is_dotted(trained_on):
        return find_format(trained_on)
    if file.is_dir():
        return FORMATS["arrays"] if holds_arrays(file) else None
    suffix = file.suffix.lower()
    return next((row for row in FORMATS.values() if suffix in row.suffixes), None)


def holds_arrays(folder: Path) -> bool:
    """Whether a folder has NPY files, so that it is one scan."""
    return any(not is_hidden(file) for file in folder.glob("*.npy"))


def scan_suffixes() -> tuple[str, ...]:
    """Suffixes of all files that are scans."""
    return tuple(suffix for row in FORMATS.values() for suffix in row.suffixes)


def _read_las(
    path: Path, wanted: Sequence[str], root: Path, label_name: str | None
) -> Iterator[PointCloud]:
    from equiseg.data.points.formats.las import las_chunks

    yield from las_chunks(path, wanted, label_name=label_name)


def _write_las(source: Path, target: Path, codes_N: np.ndarray) -> None:
    from equiseg.data.points.formats.las import write_classification

    write_classification(source, target, codes_N)


def _read_ply(
    path: Path, wanted: Sequence[str], root: Path, label_name: str | None
) -> Iterator[PointCloud]:
    from equiseg.data.points.formats.ply import ply_parts

    yield from ply_parts(path, wanted, label_name)


def _read_arrays(
    path: Path, wanted: Sequence[str], root: Path, label_name: str | None
) -> Iterator[PointCloud]:
    from equiseg.data.points.formats.arrays import array_parts

    yield from array_parts(path, wanted, label_name)


def _write_arrays(source: Path, target: Path, codes_N: np.ndarray) -> None:
    from equiseg.data.points.formats.arrays import write_arrays

    write_arrays(source, target, codes_N)


def _read_kitti(
    path: Path, wanted: Sequence[str], root: Path, label_name: str | None
) -> Iterator[PointCloud]:
    from equiseg.data.points.formats.semantic_kitti import read_scan

    yield read_scan(path, wanted)


def _kitti_scans(root: Path, split: str) -> list[tuple[str, Path]]:
    from equiseg.data.points.formats.semantic_kitti import find_scans

    return [(f"{path.parent.parent.name}_{path.stem}", path) for path in find_scans(root, split)]


def _kitti_labels(path: Path, root: Path) -> list[Path]:
    return [path.parent.parent / "labels" / f"{path.stem}.label"]


def _read_scannet(
    path: Path, wanted: Sequence[str], root: Path, label_name: str | None
) -> Iterator[PointCloud]:
    from equiseg.data.points.formats.scannet import read_scene

    yield read_scene(path, wanted, root=root)


def _scannet_scenes(root: Path, split: str) -> list[tuple[str, Path]]:
    from equiseg.data.points.formats.scannet import find_scenes

    return [(path.name, path) for path in find_scenes(root, split)]


def _scannet_label_map(path: Path, root: Path) -> list[Path]:
    name = "scannetv2-labels.combined.tsv"
    return [root / name, root / "splits" / name]


def _submit_scannet(folder: Path, name: str, codes_N: np.ndarray) -> None:
    from equiseg.data.points.formats.scannet_submission import write_submission

    write_submission(folder / f"{name.removesuffix('_vh_clean_2')}.txt", codes_N)


FORMATS = {
    row.name: row
    for row in (
        ScanFormat(
            "las",
            _read_las,
            suffixes=(".las", ".laz"),
            pattern="*.la[sz]",
            label_names=("classification",),
            chosen_labels=True,
            write=_write_las,
        ),
        ScanFormat(
            "ply",
            _read_ply,
            suffixes=(".ply",),
            pattern="*.ply",
            label_names=LABEL_NAMES,
            chosen_labels=True,
        ),
        ScanFormat(
            "arrays",
            _read_arrays,
            suffixes=(".npz",),
            pattern="*.npz",
            label_names=LABEL_NAMES,
            chosen_labels=True,
            folders=True,
            write=_write_arrays,
        ),
        ScanFormat(
            "semantic_kitti",
            _read_kitti,
            suffixes=(".bin",),
            label_names=("labels/NNNNNN.label",),
            official=_kitti_scans,
            companions=_kitti_labels,
        ),
        ScanFormat(
            "scannet200",
            _read_scannet,
            label_names=("aggregation.json", "segment200.npy"),
            folders=True,
            official=_scannet_scenes,
            companions=_scannet_label_map,
            submit=_submit_scannet,
            labelled_only=True,
        ),
    )
}
