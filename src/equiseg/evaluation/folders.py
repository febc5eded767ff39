"""Predict many files of images or scans; files that cannot be read are reported at the end."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from equiseg.data.errors import DataError
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.image_files import image_files, predict_file
from equiseg.evaluation.scan_files import predict_scan_file, scan_files
from equiseg.progress import Track, untracked
from equiseg.runs.weights import ModelCard
from equiseg.whole_files import sweep_folders, unfinished_folder


class PredictedImage(NamedTuple):
    """An image and its classes.

    Attributes:
        file: The image's file.
        name: Its name without folder and suffix; of two of one name the later gets a number.
        image: uint8 (3, H, W).
        labels: Class ids (H, W): uint8, or int64 above 256 classes.
    """

    file: Path
    name: str
    image: Tensor
    labels: Tensor


class PredictedScan(NamedTuple):
    """A scan and its classes.

    Attributes:
        file: The scan's file or folder.
        name: Its name without folder and suffix; of two of one name the later gets a number.
        xyz_N3: (N, 3) float64 coordinates as in the file.
        ids_N: (N,) int64 class ids.
    """

    file: Path
    name: str
    xyz_N3: np.ndarray
    ids_N: np.ndarray


@dataclass(frozen=True, eq=False)
class FilePredictor:
    """A network, and how it predicts files.

    Attributes:
        model: The network; runs where its weights are.
        card: What its weights file says of it.
        config: How each file is predicted.
    """

    model: nn.Module
    card: ModelCard
    config: EvaluationConfig

    def images(
        self,
        sources: list[Path],
        write: Callable[[PredictedImage], None],
        track: Track = untracked,
    ) -> int:
        """Predict the images among files and folders.

        Args:
            sources: Files and folders of images.
            write: Called with each prediction.
            track: Shows the progress over the files.

        Returns:
            Number of images.

        Raises:
            DataError: If a source holds no image; at the end, for all files that cannot be read.
        """

        def one(file: Path, name: str) -> None:
            predicted = predict_file(self.model, self.card, file, self.config)
            write(PredictedImage(file, name, *predicted))

        files = image_files(sources)
        _each(files, one, "images that were not predicted", track)
        return len(files)

    def scans(
        self,
        sources: list[Path],
        write: Callable[[PredictedScan], None],
        cache: Path,
        track: Track = untracked,
    ) -> int:
        """Predict the scans among files and folders.

        Args:
            sources: Files and folders of scans.
            write: Called with each prediction.
            cache: Folder for temporary files.
            track: Shows the progress over the files.

        Returns:
            Number of scans.

        Raises:
            DataError: If a source holds no scan; at the end, for all files that cannot be read or
                written.
        """

        def one(file: Path, name: str) -> None:
            with unfinished_folder(cache, f"{os.getpid()}-{name}") as folder:
                predicted = predict_scan_file(self.model, self.card, file, self.config, folder)
            write(PredictedScan(file, name, *predicted))

        files = scan_files(sources, self.card.scans.form if self.card.scans else None)
        sweep_folders(cache)
        _each(files, one, "scans that were not predicted, or not completely", track)
        return len(files)


def _each(files: list[Path], one: Callable[[Path, str], None], what: str, track: Track) -> None:
    """Go through all files; those that fail are named in the end."""
    names = _distinct(file.stem for file in files)
    problems: list[str] = []
    for file, name in zip(track(files, "predicting"), names):  # noqa: B905 - a bar has no length
        try:
            one(file, name)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError.listing(what, problems)


def _distinct(names: Iterator[str]) -> Iterator[str]:
    """The names in order; two folders may hold files of one name: the later ones get a number."""
    taken: set[str] = set()
    for name in names:
        numbered = (f"{name}-{number}" for number in itertools.count(2))
        taken.add(free := next(n for n in itertools.chain([name], numbered) if n not in taken))
        yield free
