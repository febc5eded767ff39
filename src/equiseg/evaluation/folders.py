"""Predict many files of images or scans; files that fail are reported at the end."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.file_failures import FileFailures
from equiseg.evaluation.file_threads import read_ahead, write_behind
from equiseg.evaluation.image_files import Photo, check_channels, image_files, read_photo
from equiseg.evaluation.photo_prediction import PredictedPhoto, predict_photo
from equiseg.evaluation.scan_files import predict_scan_file, scan_files
from equiseg.foreign_files import FileError
from equiseg.progress import Track, untracked
from equiseg.runs.weights import ModelCard
from equiseg.whole_files import sweep_folders, unfinished_folder


class PredictedImage(NamedTuple):
    """An image and its classes.

    Attributes:
        file: The image's file.
        name: Its name without folder and suffix; of two of one name the later gets a number.
        found: The prediction.
    """

    file: Path
    name: str
    found: PredictedPhoto


class PredictedScan(NamedTuple):
    """A scan and its classes.

    Attributes:
        file: The scan's file or folder.
        name: Its name without folder and suffix; of two of one name the later gets a number.
        xyz_N3: (N, 3) float64 coordinates as in the file.
        ids_N: (N,) int64 class ids.
        confidence_N: (N,) float32 probabilities of the ids.
    """

    file: Path
    name: str
    xyz_N3: np.ndarray
    ids_N: np.ndarray
    confidence_N: np.ndarray


@dataclass(frozen=True, eq=False)
class FilePredictor:
    """A network, and how it predicts files.

    Attributes:
        model: The network; runs where its weights are.
        card: What its weights file says of it.
        config: How each file is predicted.
        confidence: Whether images get the probability of each pixel's class.
        tell: Receives a sentence about each unusual file.
    """

    model: nn.Module
    card: ModelCard
    config: EvaluationConfig
    confidence: bool = False
    tell: Callable[[str], None] = lambda _: None

    def images(
        self,
        sources: list[Path],
        write: Callable[[PredictedImage], None],
        track: Track = untracked,
    ) -> None:
        """Predict the images among files and folders, while others are read and written in threads.

        A large image is predicted alone, when all images before it are written.

        Args:
            sources: Files and folders of images.
            write: Called with each prediction, in threads, for several at a time.
            track: Shows the progress over the files.

        Raises:
            DataError: At the end, for all files that cannot be read or written, and sources without
                an image.
            ValueError: If the network takes images of other than 3 channels, or computes NaN.
        """
        check_channels(self.card)
        files, problems = _found(sources, image_files)
        failures = FileFailures(problems)
        names = _distinct(file.stem for file in files)
        read = partial(read_photo, self.card, self.config)
        with write_behind(failures) as writes, closing(read_ahead(read, files)) as photos:
            # A bar has no length, so zip cannot compare.
            each = zip(track(files, "predicting"), names, photos)  # noqa: B905
            for place, (file, name, reading) in enumerate(each):
                with failures.caught(place, file):
                    photo = reading.result()
                    if photo.is_large:
                        writes.wait()
                    found = self._predict(photo)
                    writes.add(place, file, write, PredictedImage(file, name, found))
                    if photo.is_large:
                        writes.wait()
        failures.raise_any("images that were not predicted")

    def scans(
        self,
        sources: list[Path],
        write: Callable[[PredictedScan], None],
        cache: Path,
        track: Track = untracked,
    ) -> None:
        """Predict the scans among files and folders.

        Args:
            sources: Files and folders of scans.
            write: Called with each prediction.
            cache: Folder for temporary files.
            track: Shows the progress over the files.

        Raises:
            DataError: At the end, for all files that cannot be read or written, and sources without
                a scan.
            ValueError: If the network computes NaN.
        """
        sweep_folders(cache)
        form = self.card.scans.form if self.card.scans else None
        files, problems = _found(sources, lambda some: scan_files(some, form))
        failures = FileFailures(problems)
        names = _distinct(file.stem for file in files)
        each = zip(track(files, "predicting"), names)  # noqa: B905 - a bar has no length
        for place, (file, name) in enumerate(each):
            with failures.caught(place, file):
                with unfinished_folder(cache, f"{os.getpid()}-{name}") as folder:
                    predicted = predict_scan_file(self.model, self.card, file, self.config, folder)
                write(PredictedScan(file, name, *predicted))
        failures.raise_any("scans that were not predicted, or not completely")

    def _predict(self, photo: Photo) -> PredictedPhoto:
        return predict_photo(
            self.model,
            self.card,
            photo,
            self.config,
            confidence=self.confidence,
            tell=self.tell,
        )


def _found(
    sources: list[Path], find: Callable[[list[Path]], list[Path]]
) -> tuple[list[Path], list[str]]:
    """The files of all sources, and the problems of sources that have none."""
    files: list[Path] = []
    problems: list[str] = []
    for source in sources:
        try:
            files += find([source])
        except FileError as error:
            problems += getattr(error, "problems", ()) or (str(error),)
        except OSError as error:
            problems.append(f"{source}: {error.strerror or error}; check the path")
    return files, problems


def _distinct(names: Iterator[str]) -> Iterator[str]:
    """The names in order; two folders may hold files of one name: the later ones get a number."""
    taken: set[str] = set()
    for name in names:
        numbered = (f"{name}-{number}" for number in itertools.count(2))
        taken.add(free := next(n for n in itertools.chain([name], numbered) if n not in taken))
        yield free
