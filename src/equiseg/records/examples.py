"""Example panels: a few images or scans with their labels and predictions, as small arrays."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equiseg.records.record_files import VERSION
from equiseg.whole_files import replace_file

EXAMPLES = "examples.npz"
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
            ValueError: If it is no such file or of a version that is not known.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            raise ValueError(
                f"{path}: cannot be read, so it is cut or of another kind; run the command that "
                "wrote it again"
            ) from None
        about = json.loads(str(arrays["about"])) if "about" in arrays else {}
        if (about.get("kind"), about.get("version")) != ("examples", VERSION):
            raise ValueError(
                f"{path}: must be example panels of version {VERSION}, got "
                f"{about.get('kind')!r} of version {about.get('version')!r}; run the command "
                "that wrote it again"
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
