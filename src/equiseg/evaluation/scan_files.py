"""Predicting files of point clouds with a trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from equiseg.data.errors import DataError
from equiseg.data.point_card import PointCard
from equiseg.data.points.formats.scans import Scan
from equiseg.data.points.formats.table import format_of_file, holds_arrays, scan_suffixes
from equiseg.data.points.store.scan_store import ScanStore
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.scan_inference import predict_scan_classes
from equiseg.foreign_files import is_hidden
from equiseg.runs.weights import ModelCard


def scan_files(sources: list[Path], trained_on: str | None = None) -> list[Path]:
    """The scans among files and folders, in the order given, folders sorted.

    A folder that holds NPY files is a scan itself. In a folder without scans its folders are
    searched, as ScanNet's with one for each scene. Of a scene the mesh is taken that labels
    and submissions are of: ``SCENE_vh_clean_2.ply``.

    Args:
        sources: Files and folders.
        trained_on: The ``form`` of the training data: a reader of a user's own takes any file.

    Raises:
        DataError: If a source does not exist or holds no scan, all of them at once.
    """
    files: list[Path] = []
    problems: list[str] = []
    suffixes = ", ".join(scan_suffixes())
    for source in sources:
        if source.is_file() and format_of_file(source, trained_on):
            files.append(source)
        elif source.is_dir():
            found = [source] if _is_scan(source, trained_on) else _scans_in(source, trained_on)
            for folder in sorted(source.iterdir()):
                if folder.is_dir() and not is_hidden(folder) and not _is_scan(folder, trained_on):
                    found += _scans_in(folder, trained_on)
            files += found
            if not found:
                problems.append(f"{source}: holds no scan ({suffixes}, folders of .npy)")
        elif source.is_file():
            problems.append(f"{source}: not a scan; they end in {suffixes}")
        else:
            problems.append(f"{source}: no such file or folder")
    if problems:
        raise DataError.listing("scans that cannot be read", problems)
    return files


def predict_scan_file(
    model: nn.Module,
    card: ModelCard,
    file: Path,
    config: EvaluationConfig,
    cache: Path,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of a scan, their predicted classes and probabilities, in the order of the file.

    Args:
        model: The network; runs where its weights are.
        card: What its weights file says of it.
        file: The scan.
        config: How it is predicted.
        cache: Folder for the scan cut into blocks; can be removed afterwards.

    Returns:
        (N, 3) float64 coordinates as in the file, (N,) int64 class ids and (N,) float32
        probabilities of these.

    Raises:
        DataError: If the file cannot be read, or lacks an attribute the network was trained with.
        ValueError: If the network is not one of point clouds.
    """
    if card.scans is None:
        raise ValueError(f"{file}: these weights are of a network of images; give images instead")
    reading = card.scans
    if (form := format_of_file(file, reading.form)) is None:
        raise DataError(f"{file}: not a scan; they end in {', '.join(scan_suffixes())}")
    described = PointCard(
        name="prediction",
        form=form.name,
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
    found = predict_scan_classes(model, scan, reading, config)
    ids, confidences = (tensor.numpy() for tensor in found)
    xyz_N3 = np.empty((len(ids), 3))
    ids_N, confidence_N = np.empty_like(ids), np.empty_like(confidences)
    xyz_N3[scan.order_N] = scan.xyz_N3 + scan.origin_3
    ids_N[scan.order_N] = ids
    confidence_N[scan.order_N] = confidences
    return xyz_N3, ids_N, confidence_N


def _scans_in(folder: Path, trained_on: str | None) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if _is_scan(entry, trained_on)]


def _is_scan(entry: Path, trained_on: str | None) -> bool:
    if is_hidden(entry):
        return False
    if entry.is_dir():
        return holds_arrays(entry)
    scene = entry.name.removesuffix("_vh_clean.ply")
    if entry.name.endswith(".labels.ply") or (entry.parent / f"{scene}_vh_clean_2.ply").exists():
        return entry.name.endswith("_vh_clean_2.ply")
    return format_of_file(entry, trained_on) is not None
