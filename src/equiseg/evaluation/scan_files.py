"""Predicting files of point clouds with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from torch import nn

from equiseg.data.card import PointCard
from equiseg.data.errors import DataError
from equiseg.data.points.formats.scans import Scan
from equiseg.data.points.store.scan_store import ScanStore
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.scan_inference import predict_scan
from equiseg.runs.weights import ModelCard

_FORMS: dict[str, Literal["las", "ply", "arrays", "semantic_kitti"]] = {
    ".las": "las",
    ".laz": "las",
    ".ply": "ply",
    ".npz": "arrays",
    ".bin": "semantic_kitti",
}
_ARRAYS = "*.npy"  # a folder with such files is one scan


def scan_files(sources: list[Path]) -> list[Path]:
    """The scans among files and folders, in the order given, folders sorted.

    A folder that holds NPY files is a scan itself. Where a folder holds no scan, its folders are
    looked into, as ScanNet's with one for each scene. Of a scene the mesh is taken that labels
    and submissions are of: ``SCENE_vh_clean_2.ply``.

    Raises:
        DataError: If a source does not exist or holds no scan, all of them at once.
    """
    files: list[Path] = []
    problems: list[str] = []
    for source in sources:
        if source.is_file() and source.suffix.lower() in _FORMS:
            files.append(source)
        elif source.is_dir():
            found = [source] if _is_scan(source) else _scans_in(source)
            for folder in sorted(source.iterdir()):
                if folder.is_dir() and not _is_scan(folder):
                    found += _scans_in(folder)
            files += found
            if not found:
                problems.append(f"{source}: holds no scan ({', '.join(_FORMS)}, folders of .npy)")
        elif source.is_file():
            problems.append(f"{source}: not a scan; they end in {', '.join(_FORMS)}")
        else:
            problems.append(f"{source}: no such file or folder")
    if problems:
        raise DataError.listing("scans that cannot be read", problems)
    return files


def form_of(file: Path) -> Literal["las", "ply", "arrays", "semantic_kitti"]:
    """How a scan is written, by its name."""
    return _FORMS.get(file.suffix.lower(), "arrays")


def predict_scan_file(
    model: nn.Module,
    card: ModelCard,
    file: Path,
    config: EvaluationConfig,
    cache: Path,
) -> tuple[np.ndarray, np.ndarray]:
    """The points of a scan and their predicted classes, in the order of the file.

    Args:
        model: The network; runs where its weights are.
        card: What its weights file says of it.
        file: The scan.
        config: How it is predicted.
        cache: Folder for the scan cut into blocks; can be removed afterwards.

    Returns:
        (N, 3) float64 coordinates as in the file and (N,) int64 class ids.

    Raises:
        DataError: If the file cannot be read, or lacks an attribute the network was trained with.
        ValueError: If the network is not one of point clouds.
    """
    if card.scans is None:
        raise ValueError(f"{file}: these weights are of a network of images; give images instead")
    reading = card.scans
    described = PointCard(
        name="prediction",
        form=form_of(file),
        points="*",
        splits={"all": ""},
        classes=dict(zip(reading.codes, card.classes, strict=True)),
        ignore_index=card.ignore_index,
        ignore_others=True,
        features=reading.features,
        voxel=reading.voxel_size,
        block=reading.block,
        margin=reading.margin,
        root=str(file.parent),
    )
    scan = ScanStore.open(described, Scan(file.stem, file), cache, labels=False)
    ids = predict_scan(model, scan, reading, config).numpy()
    xyz_N3 = np.empty((len(ids), 3))
    ids_N = np.empty(len(ids), dtype=np.int64)
    xyz_N3[scan.order_N] = scan.xyz_N3 + scan.origin_3
    ids_N[scan.order_N] = ids
    return xyz_N3, ids_N


def _scans_in(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if _is_scan(entry)]


def _is_scan(entry: Path) -> bool:
    if entry.is_dir():
        return any(entry.glob(_ARRAYS))
    scene = entry.name.removesuffix("_vh_clean.ply")
    if entry.name.endswith(".labels.ply") or (entry.parent / f"{scene}_vh_clean_2.ply").exists():
        return entry.name.endswith("_vh_clean_2.ply")
    return entry.suffix.lower() in _FORMS
