"""Counts of named classes as a CSV file, the usual form of published counts."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from equiseg.foreign_files import FileError, read_text
from equiseg.foreign_text import csv_cell, short, text_of_cell
from equiseg.imbalance.statistics import ClassStatistics
from equiseg.whole_files import replace_text

_NEEDED = ("class_id", "name", "pixels", "images")
_LONGEST_NAME = 1000  # characters
_MOST_DIGITS, _MOST_COUNT = 30, 1 << 62  # sums of two still fit int64


@dataclass(frozen=True, eq=False)
class ClassTable:
    """Names and counts of the classes of a data set.

    The CSV columns are class_id, name, pixels, images, then regions if they were counted, and
    num_images (the same number in every row). Reading needs the first four; columns and rows may
    have any order, and other columns are ignored.

    Attributes:
        names: Names of the K classes.
        statistics: Counts of their pixels and images.
        regions_K: (K,) int64 connected regions of each class, or None if not counted.
    """

    names: tuple[str, ...]
    statistics: ClassStatistics
    regions_K: Tensor | None = None

    def __post_init__(self) -> None:
        num_classes = self.statistics.num_classes
        regions = num_classes if self.regions_K is None else len(self.regions_K)
        if not len(self.names) == regions == num_classes:
            raise ValueError(
                f"names and regions_K must have one entry for each of the {num_classes} classes, "
                f"got {len(self.names)} names and {regions} regions; take all from one data set"
            )

    @classmethod
    def read_csv(cls, path: str | Path, *, num_images: int | None = None) -> ClassTable:
        """Read names and counts from a CSV file.

        Args:
            path: The file.
            num_images: Images in the data set. None takes the file's column of that name. Without
                that column (as in published files) it is the number of images of the most common
                class, a lower bound, and centers per batch are overestimated.

        Raises:
            FileError: If it is no CSV file in UTF-8, a column is missing, an entry is not a count,
                the class ids are not 0..K-1, or num_images is less than the images of a class; the
                message names the file.
        """
        names: dict[int, str] = {}
        counts: dict[int, list[int]] = {}
        rows, columns = _rows(Path(path))
        if missing := [column for column in _NEEDED if column not in columns]:
            raise FileError(
                f"{path}: counts need the columns {', '.join(_NEEDED)}, got "
                f"{short(', '.join(columns)) or 'an empty file'}; add {', '.join(missing)}"
            )
        optional = [column for column in ("regions", "num_images") if column in columns]
        for line, row in rows:
            numbers = ["class_id", "pixels", "images", *optional]
            where = f"{path}, line {line}"
            class_id, *values = (_count(row[column], column, where) for column in numbers)
            if class_id in names:
                raise FileError(f"{where}: class_id {class_id} is repeated; keep one row of it")
            names[class_id], counts[class_id] = _name(row["name"], where), values
        if sorted(names) != list(range(len(names))) or not names:
            raise FileError(
                f"{path}: class_id must run from 0 to K-1, got {sorted(names)[:5]}... in "
                f"{len(names)} rows; add rows with counts of 0 for classes that never occur"
            )
        table_KC = torch.tensor([counts[class_id] for class_id in range(len(names))])
        by_column = dict(zip(["pixels", "images", *optional], table_KC.unbind(1), strict=True))
        images_K = by_column["images"]
        if num_images is None:
            num_images = int(by_column.get("num_images", images_K).max())
        if num_images < images_K.max():
            raise FileError(
                f"{path}: num_images must be at least the images of every class, got {num_images} "
                f"under {int(images_K.max())}; count both again"
            )
        return cls(
            tuple(names[class_id] for class_id in range(len(names))),
            ClassStatistics(by_column["pixels"], images_K, num_images),
            by_column.get("regions"),
        )

    def write_csv(self, path: str | Path) -> None:
        """Write the table to a CSV file that :meth:`read_csv` reads without loss."""
        statistics = self.statistics
        columns = {
            "class_id": range(len(self.names)),
            "name": [csv_cell(name) for name in self.names],
            "pixels": statistics.pixels_K.tolist(),
            "images": statistics.images_K.tolist(),
        }
        if self.regions_K is not None:
            columns["regions"] = self.regions_K.tolist()
        columns["num_images"] = [statistics.num_images] * len(self.names)
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        replace_text(Path(path), text.getvalue())


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """The rows of a CSV file with their line numbers, and the names of its columns."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        columns = list(reader.fieldnames or [])
        return [(reader.line_num, row) for row in reader], columns
    except csv.Error as error:
        raise FileError(
            f"{path}, line {reader.line_num + 1}: not CSV ({error}); write the columns "
            f"{', '.join(_NEEDED)}, separated by commas"
        ) from None


def _name(entry: str | None, where: str) -> str:
    """The name in a cell, as it was before :func:`csv_cell`."""
    name = text_of_cell(entry or "")
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise FileError(
            f"{where}: name must have 1 to {_LONGEST_NAME} characters, got {len(name)}: "
            f"{short(name)!r}"
        )
    return name


def _count(entry: str | None, column: str, where: str) -> int:
    """The whole number in a cell."""
    try:
        count = int(entry or "") if len(entry or "") <= _MOST_DIGITS else -1
    except ValueError:
        count = -1
    if not 0 <= count < _MOST_COUNT:
        raise FileError(
            f"{where}: {column} must be a whole number >= 0 and below 2^62, got "
            f"{short(repr(entry))}"
        )
    return count
