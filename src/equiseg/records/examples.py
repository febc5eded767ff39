"""Example panels: a few images or scans with their labels and predictions, as small arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equiseg.foreign_files import FileError, check_memory
from equiseg.foreign_text import short
from equiseg.records.checked import named_damage
from equiseg.records.record_files import VERSION
from equiseg.whole_files import replace_file
from equiseg.zip_files import open_zip

EXAMPLES = "examples.npz"
_AGAIN = "the command that wrote it again"
SIDE = 480
"""Pixels across a shown picture: sharp on dense screens, and no more."""


@dataclass(frozen=True, eq=False)
class ExamplePanels:
    """Samples with rare classes, cut to what is shown.

    Attributes:
        kind: "images" or "scans".
        names: Of the samples.
        considered: How many samples they were chosen from.
        classes: Names of the K classes.
        groups: Class ids of head, common and tail, most frequent first.
        pictures: uint8: an image (H, W, 3), the colours (N, 3) of the points of a scan, or (N,)
            their heights where they have no colours.
        labels: Class ids (H, W) or (N,); K for what is not labelled.
        predictions: For each network, class ids of the same shapes.
        with_errors: The networks whose errors are shown, for images.
        points: (N, 3) float32 coordinates of scans; empty for images.
    """

    kind: str
    names: list[str]
    considered: int
    classes: tuple[str, ...]
    groups: dict[str, list[int]]
    pictures: list[np.ndarray]
    labels: list[np.ndarray]
    predictions: dict[str, list[np.ndarray]]
    with_errors: list[str]
    points: list[np.ndarray]

    def save(self, path: Path) -> None:
        """Write everything as one .npz, compressed."""
        about = {
            "kind": "examples",
            "version": VERSION,
            "samples": self.kind,
            "names": self.names,
            "considered": self.considered,
            "classes": self.classes,
            "groups": self.groups,
            "networks": list(self.predictions),
            "with_errors": self.with_errors,
        }
        arrays = {"about": np.array(json.dumps(about))}
        lists = {"pictures": self.pictures, "labels": self.labels, "points": self.points}
        lists |= {f"network{n}": some for n, some in enumerate(self.predictions.values())}
        for name, some in lists.items():
            arrays |= {f"{name}_{i}": array for i, array in enumerate(some)}
        replace_file(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> ExamplePanels:
        """Read what :meth:`save` wrote.

        Raises:
            FileError: If it is not such a file, damaged, or of an unknown version.
        """
        arrays = _arrays(path)
        with named_damage(path, _AGAIN):
            return cls._of(path, arrays)

    @classmethod
    def _of(cls, path: Path, arrays: dict[str, np.ndarray]) -> ExamplePanels:
        about = json.loads(str(arrays["about"])) if "about" in arrays else {}
        if (about.get("kind"), about.get("version")) != ("examples", VERSION):
            raise FileError(
                f"{path}: must be example panels of version {VERSION}, got "
                f"{short(about.get('kind'))!r} of version {short(about.get('version'))}; run "
                f"{_AGAIN}"
            )

        def listed(name: str) -> list[np.ndarray]:
            known = (f"{name}_{i}" for i in range(len(about["names"])))
            return [arrays[key] for key in known if key in arrays]

        return cls(
            about["samples"],
            about["names"],
            about["considered"],
            tuple(about["classes"]),
            about["groups"],
            listed("pictures"),
            listed("labels"),
            {name: listed(f"network{n}") for n, name in enumerate(about["networks"])},
            about["with_errors"],
            listed("points"),
        )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz, after a check of the memory that they need."""
    try:
        with open_zip(path) as archive:
            stated = sum(entry.file_size for entry in archive.infolist())
        check_memory(path, "its arrays", stated)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileError:
        raise
    except Exception as error:  # numpy and zipfile raise undocumented errors for damaged files
        raise FileError(
            f"{path}: cannot be read, so it is cut or of another kind ({short(error)}); run "
            f"{_AGAIN}"
        ) from None
