"""Scan formats of users: a function that reads one file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from equiseg.data.errors import DataError, as_data_errors
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.cloud_checks import checked, refuse_missing
from equiseg.data.points.formats.table import ScanFormat
from equiseg.dotted_names import find_object
from equiseg.foreign_files import check_file


def own_format(form: str) -> ScanFormat:
    """The scan format of a user's reading function.

    Args:
        form: "my_module.read" or "file.py:read", called as ``read(path) -> PointCloud``. Colours
            and intensities must be in [0, 1]. The attributes that the card names under ``features``
            are used.

    Raises:
        ValueError: If there is no such function.
    """
    function = find_object(form, "form")
    if not callable(function):
        raise ValueError(  # noqa: TRY004 - of the card, not of an argument
            f"form {form!r:.80} must be a function read(path) -> PointCloud, got "
            f"{type(function).__name__}"
        )

    def read(
        path: Path, wanted: Sequence[str], root: Path, label_name: str | None
    ) -> Iterator[PointCloud]:
        if not path.is_dir():
            with as_data_errors():
                check_file(path)
        try:
            cloud = function(path)
        except Exception as error:
            raise DataError(
                f"{path}: form {form} failed: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(cloud, PointCloud):
            raise DataError(
                f"{path}: form {form} must return an equiseg.data.PointCloud, got "
                f"{type(cloud).__name__}"
            )
        refuse_missing(wanted, cloud.attributes, path)
        chosen = {name: cloud.attributes[name] for name in wanted}
        part = PointCloud(cloud.xyz_N3, chosen, cloud.codes_N, cloud.withheld_N)
        try:
            yield checked(part, path, getattr(cloud.xyz_N3, "dtype", float))
        except (TypeError, ValueError) as error:
            if isinstance(error, DataError):
                raise DataError(f"{error} (form {form})") from error
            raise DataError(f"{path}: form {form} gives no points: {error}") from error

    return ScanFormat(form, read, companions=lambda path, root: _source(function))


def _source(function: object) -> list[Path]:
    """The file of the function; scans are read again when it changes."""
    module = sys.modules.get(getattr(function, "__module__", ""))
    file = getattr(module, "__file__", None)
    return [Path(file)] if file else []
