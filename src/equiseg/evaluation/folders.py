"""Predict many files of images or scans; files that fail are reported at the end."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from equiseg.data.errors import DataError
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.finite_logits import NonFiniteError
from equiseg.evaluation.image_files import (
    PredictedFile,
    check_channels,
    image_files,
    predict_file,
)
from equiseg.evaluation.scan_files import predict_scan_file, scan_files
from equiseg.foreign_files import FileError
from equiseg.foreign_text import short
from equiseg.progress import Track, untracked
from equiseg.runs.weights import ModelCard
from equiseg.whole_files import sweep_folders, unfinished_folder

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # the next file would fail as well


class PredictedImage(NamedTuple):
    """An image and its classes.

    Attributes:
        file: The image's file.
        name: Its name without folder and suffix; of two of one name the later gets a number.
        found: The prediction.
    """

    file: Path
    name: str
    found: PredictedFile


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
        """Predict the images among files and folders.

        Args:
            sources: Files and folders of images.
            write: Called with each prediction.
            track: Shows the progress over the files.

        Raises:
            DataError: At the end, for all files that cannot be read, and sources without an image.
            ValueError: If the network takes images of other than 3 channels, or computes NaN.
        """
        check_channels(self.card)

        def one(file: Path, name: str) -> None:
            found = predict_file(
                self.model,
                self.card,
                file,
                self.config,
                confidence=self.confidence,
                tell=self.tell,
            )
            write(PredictedImage(file, name, found))

        _each(sources, image_files, one, "images that were not predicted", track)

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

        def one(file: Path, name: str) -> None:
            with unfinished_folder(cache, f"{os.getpid()}-{name}") as folder:
                predicted = predict_scan_file(self.model, self.card, file, self.config, folder)
            write(PredictedScan(file, name, *predicted))

        def find(some: list[Path]) -> list[Path]:
            return scan_files(some, self.card.scans.form if self.card.scans else None)

        sweep_folders(cache)
        what = "scans that were not predicted, or not completely"
        _each(sources, find, one, what, track)


def _each(
    sources: list[Path],
    find: Callable[[list[Path]], list[Path]],
    one: Callable[[Path, str], None],
    what: str,
    track: Track,
) -> None:
    """Go through the files of all sources; sources and files that fail are named at the end.

    Only a mistake that every file shares ends it at once: a network that computes NaN, a library
    that is missing, a disk that is full.
    """
    files, problems = _found(sources, find)
    unforeseen: Exception | None = None
    names = _distinct(file.stem for file in files)
    for file, name in zip(track(files, "predicting"), names):  # noqa: B905 - a bar has no length
        try:
            one(file, name)
        except (NonFiniteError, ImportError):
            raise
        except FileError as error:
            problems.append(str(error))
        except MemoryError:
            problems.append(f"{file}: not enough memory; cut it into parts")
        except OSError as error:
            if error.errno in _FULL:
                raise
            problems.append(f"{file}: {short(error)}")
        except Exception as error:
            problems.append(f"{file}: {type(error).__name__}: {short(error)}")
            unforeseen = unforeseen or error
    if problems:
        failed = DataError.listing(what, problems)
        failed.unforeseen = unforeseen
        raise failed


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
