"""ScanNet200: scenes of ScanNet v2, official or preprocessed, with the label ids of the benchmark.

The official layout (http://www.scan-net.org, Dai et al. 2017)::

    scans/SCENE/SCENE_vh_clean_2.ply                     the mesh; its vertices are the points
    scans/SCENE/SCENE_vh_clean_2.0.010000.segs.json      the segment of every vertex
    scans/SCENE/SCENE.aggregation.json                   the raw category of groups of segments
    scans_test/SCENE/SCENE_vh_clean_2.ply                test scenes have no labels
    scannetv2-labels.combined.tsv                        raw_category -> id
    scannetv2_{train,val,test}.txt                       names of the scenes

The last two lines may also lie in ``splits/``. ``SCENE_vh_clean_2.labels.ply`` is not read: it
holds the 40 NYU classes, which merge many of the 200.

The common preprocessed layout has ``{split}/SCENE/`` with ``coord.npy``, ``color.npy``,
``normal.npy`` and ``segment200.npy`` (0..199 in the benchmark's order, -1 for all else).
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from equiseg.data.card_file import load_card
from equiseg.data.errors import DataError, as_data_errors
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.array_files import load_arrays
from equiseg.data.points.formats.cloud_checks import checked, refuse_missing
from equiseg.data.points.formats.label_values import to_range
from equiseg.data.points.formats.ply import read_ply
from equiseg.foreign_files import FileError, is_folder, is_hidden, read_text

UNANNOTATED = 0  # the code of a point without annotation
_UNLABELLED_SPLIT = "test"
_LABEL_MAP = "scannetv2-labels.combined.tsv"
_ARRAYS = {"rgb": "color.npy", "normal": "normal.npy"}
_MOST_TEXT = 256 << 20  # the segments of 10 million vertices
_AGAIN = "; download it again"


@cache
def benchmark_ids() -> tuple[int, ...]:
    """The label ids of the 200 classes in the benchmark's order, from the card scannet200."""
    classes = load_card("scannet200", Path()).classes
    return tuple(classes)  # type: ignore[arg-type]


def find_scenes(root: Path, split: str) -> list[Path]:
    """Folders of the scenes of a split, in the order of the official list, or of their names.

    Args:
        root: A folder in either layout. If it has a folder with the name of the split, the layout
            is preprocessed; otherwise it must have the list ``scannetv2_{split}.txt``.
        split: train, val or test. Train and val need labels.

    Raises:
        DataError: If the folder has neither layout, or files of scenes are missing; the message
            lists them.
    """
    if is_folder(root / split):
        scenes = sorted(
            folder
            for folder in (root / split).iterdir()
            if folder.is_dir() and not is_hidden(folder)
        )
    else:
        list_file = _beside(root, f"scannetv2_{split}.txt")
        if not list_file.is_file():
            raise DataError(
                f"{root}: has neither a folder {split} (preprocessed) nor {list_file.name} "
                "(official layout); give the folder that holds one of them, and copy the list from "
                "ScanNet's repository, Tasks/Benchmark"
            )
        scenes = [_scan_folder(root, name) for name in _text(list_file).split()]
        if split != _UNLABELLED_SPLIT:
            _ids_by_category(root)  # finds a missing or old label map before training
    if not scenes:
        raise DataError(f"{root}: split {split} has no scenes; check the download")
    if problems := [line for scene in scenes for line in _missing(scene, split)]:
        heading = f"{root}: files missing in split {split}"
        raise DataError.listing(heading, problems)
    return scenes


def read_scene(path: Path, wanted: Sequence[str] = (), *, root: Path) -> PointCloud:
    """Read a scene; the points are the vertices in the order of the file.

    If groups overlap, the last one counts, as in the script of the benchmark. That script also
    aligns each scene by its ``axisAlignment``; here, coordinates are unchanged.

    Args:
        path: Folder of the scene, from :func:`find_scenes`.
        wanted: Names of the attributes to read: rgb, and normal if the files have it.
        root: Folder of the data, with the label map.

    Returns:
        The points. Codes are label ids: the ids of :func:`benchmark_ids`, ids of other categories
        (in the official layout only), and 0 without annotation. A scene without label files has no
        codes.

    Raises:
        DataError: If a file is missing, damaged, or does not fit the others.
    """
    if _is_preprocessed(path):
        cloud = _read_arrays(path, wanted)
        label_file = path / "segment200.npy"
        codes_N = _ids_of_indices(label_file) if label_file.is_file() else None
    else:
        cloud = read_ply(_mesh(path), wanted, None)
        label_file, groups_file = _annotations(path)
        codes_N = None
        if label_file.is_file() or groups_file.is_file():
            codes_N = _ids_of_segments(label_file, groups_file, _ids_by_category(root))
    if codes_N is None:
        return cloud
    labelled = dataclasses.replace(cloud, codes_N=codes_N)
    return checked(labelled, label_file, labelled.xyz_N3.dtype)


def num_points(path: Path) -> int:
    """Number of points of a scene.

    Raises:
        DataError: If its points cannot be read.
    """
    return len(
        _array(path / "coord.npy") if _is_preprocessed(path) else read_ply(_mesh(path), (), None)
    )


def _read_arrays(path: Path, wanted: Sequence[str]) -> PointCloud:
    """Points and attributes of a scene in the preprocessed layout."""
    files = {name: path / array for name, array in _ARRAYS.items() if (path / array).is_file()}
    refuse_missing(wanted, files, path)
    attributes = {name: to_range(name, _array(files[name]), files[name]) for name in wanted}
    xyz_N3 = _array(path / "coord.npy")
    return checked(PointCloud(xyz_N3, attributes), path, xyz_N3.dtype)


def _ids_of_indices(file: Path) -> np.ndarray:
    """Label ids for class indices 0..199 and -1."""
    indices_N = _array(file).reshape(-1)  # some preprocessors write (N, 1)
    ids = np.array([*benchmark_ids(), UNANNOTATED])  # index -1 is the last
    known = np.isin(indices_N, np.arange(-1, len(benchmark_ids())))
    if not known.all():
        raise DataError(
            f"{file}: must hold class indices from 0 to {len(benchmark_ids()) - 1}, and -1, got "
            f"{np.unique(indices_N[~known])[:5].tolist()}; preprocess the scene again"
        )
    return ids[indices_N.astype(np.int64)]


def _ids_of_segments(
    segments_file: Path, groups_file: Path, id_by_category: dict[str, int]
) -> np.ndarray:
    """Label id of every vertex, from the category of the group of its segment."""
    segments = _json_list(segments_file, "segIndices")
    id_by_segment: dict[int, int] = {}
    try:
        for group in _json_list(groups_file, "segGroups"):
            # A category that is not in the map is no class, as in the script of the benchmark.
            label_id = id_by_category.get(group["label"], UNANNOTATED)
            id_by_segment.update(dict.fromkeys(group["segments"], label_id))
        return np.array([id_by_segment.get(segment, UNANNOTATED) for segment in segments])
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{groups_file}: every one of its segGroups needs a label and a list of segments, all "
            f"of them numbers{_AGAIN}"
        ) from error


def _ids_by_category(root: Path) -> dict[str, int]:
    """The label map; for repeated categories, the first row counts."""
    file = _beside(root, _LABEL_MAP)
    ids: dict[str, int] = {}
    try:
        for row in csv.DictReader(_text(file).splitlines(), delimiter="\t"):
            ids.setdefault(row["raw_category"], int(row["id"]))
    except FileError:
        raise
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(
            f"{file}: must be separated by tabs and have a column raw_category and whole numbers "
            f"in a column id{_AGAIN}"
        ) from error
    if missing := sorted(set(benchmark_ids()) - set(ids.values())):
        raise DataError(
            f"{file}: lacks {len(missing)} ids of ScanNet200, such as {missing[:5]}; the file was "
            "renewed for ScanNet200, take it from ScanNet's repository or download"
        )
    return ids


def _missing(scene: Path, split: str) -> Iterator[str]:
    """Yield a message for each missing file of a scene."""
    labelled = split != _UNLABELLED_SPLIT
    if scene.parent.name == split:
        needed = ["coord.npy", *(["segment200.npy"] if labelled else [])]
        files = [scene / name for name in needed]
    else:
        files = [_mesh(scene), *(_annotations(scene) if labelled else ())]
    yield from (f"{file}: no such file" for file in files if not file.is_file())


def _is_preprocessed(scene: Path) -> bool:
    return (scene / "coord.npy").is_file()


def _mesh(scene: Path) -> Path:
    return scene / f"{scene.name}_vh_clean_2.ply"


def _annotations(scene: Path) -> tuple[Path, Path]:
    """Files of the segments and of their groups."""
    segments = scene / f"{scene.name}_vh_clean_2.0.010000.segs.json"
    return segments, scene / f"{scene.name}.aggregation.json"


def _scan_folder(root: Path, name: str) -> Path:
    test = root / "scans_test" / name
    return test if test.is_dir() else root / "scans" / name


def _beside(root: Path, name: str) -> Path:
    """Path of a file of the whole data set: under the root or in splits/."""
    inner = root / "splits" / name
    return inner if inner.is_file() else root / name


def _array(file: Path) -> np.ndarray:
    return load_arrays(file.parent, {file.stem: file.stem})[file.stem]


def _json_list(file: Path, key: str) -> list[Any]:
    try:
        values = json.loads(_text(file))[key]
    except FileError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{file}: is no JSON with the list {key} ({error}){_AGAIN}") from error
    if not isinstance(values, list):
        raise DataError(f"{file}: {key} must be a list, got {type(values).__name__}{_AGAIN}")
    return values


def _text(file: Path) -> str:
    if not file.exists():
        raise DataError(f"{file}: no such file; it is part of the ScanNet download")
    with as_data_errors():
        return read_text(file, _MOST_TEXT)
