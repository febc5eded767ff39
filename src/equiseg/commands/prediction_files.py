"""The files of predictions: masks, overlays, scans, views, and the table of classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from equiseg.evaluation.folders import PredictedImage, PredictedScan
    from equiseg.runs.weights import ModelCard

_MOST_COLORS = 1000  # more cannot be distinguished; then they repeat


@dataclass(frozen=True, eq=False)
class WrittenClasses:
    """How the classes are written.

    Attributes:
        names: Names of the K classes.
        groups: "head", "common" or "tail" of each.
        values_K: (K,) int64 the value of each in masks or scans.
        colors_K3: (K, 3) uint8.
        background: Id of the class that is not painted.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    values_K: np.ndarray
    colors_K3: np.ndarray
    background: int | None

    @classmethod
    def of(cls, card: ModelCard, values: str) -> WrittenClasses:
        """The classes of a network; its values are those of its card, or ids ("index")."""
        from equiseg.data.class_looks import ClassLooks
        from equiseg.report.colors import class_colors

        num_classes = len(card.classes)
        looks = card.looks or ClassLooks.plain(num_classes)
        codes = looks.values if values == "card" else range(num_classes)
        colors_C3 = class_colors(min(num_classes, _MOST_COLORS), looks.colors[:_MOST_COLORS])
        group_of = {k: name for name, ids in card.groups for k in ids}
        return cls(
            card.classes,
            tuple(group_of.get(k, "") for k in range(num_classes)),
            np.array(codes, dtype=np.int64),
            colors_C3[np.arange(num_classes) % len(colors_C3)],
            looks.background,
        )

    def table(self) -> str:
        """CSV with a row per class: value, name, colour, group."""
        from equiseg.report.style import csv_text

        rows = zip(self.values_K, self.names, self.colors_K3.tolist(), self.groups, strict=True)
        return csv_text(
            [
                {
                    "value": int(value),
                    "name": name,
                    "colour": "#{:02x}{:02x}{:02x}".format(*color),
                    "group": group,
                }
                for value, name, color, group in rows
            ]
        )


class PredictionFiles:
    """Writes predictions into a folder, from any thread; each file is whole or does not exist.

    Args:
        out: The folder.
        card: The description of the network in the weights file.
        classes: How its classes are written.
        confidence: Whether probabilities are written.
        opacity: Of the colours of overlays.

    Attributes:
        number: Images or scans written so far.
    """

    def __init__(
        self,
        out: Path,
        card: ModelCard,
        classes: WrittenClasses,
        confidence: bool,
        opacity: float,
    ) -> None:
        self.out, self.card, self.classes = out, card, classes
        self.confidence, self.opacity = confidence, opacity
        self.number = 0
        self._counting = Lock()

    def write_classes(self) -> None:
        """classes.csv and legend.png."""
        from equiseg.report.examples.overlays import legend
        from equiseg.whole_files import replace_text

        classes = self.classes
        replace_text(self.out / "classes.csv", classes.table(), durable=False)
        values = classes.values_K.tolist()
        legend(classes.names, values, classes.colors_K3, self.out / "legend.png")

    def write_image(self, predicted: PredictedImage) -> None:
        """A mask, an overlay and, if asked for, a map of confidence."""
        from equiseg.report.examples.overlays import overlay, save_grey, save_mask, save_rgb

        classes, found, file = self.classes, predicted.found, f"{predicted.name}.png"
        shown = found.labels[:: found.factor, :: found.factor]
        painted = overlay(found.image, shown, classes.colors_K3, self.opacity, classes.background)
        save_rgb(painted, self.out / "overlays" / file)
        if found.confidence is not None:
            save_grey(found.confidence, self.out / "confidence" / file)
        save_mask(found.labels, classes.values_K, classes.colors_K3, self.out / "masks" / file)
        self._count()

    def write_scan(self, found: PredictedScan) -> None:
        """A labelled scan, its views and, for ScanNet200, a submission file."""
        from equiseg.data.points.formats.ply import write_ply
        from equiseg.data.points.formats.table import find_format, format_of_file

        assert self.card.scans is not None
        file, name = found.file, found.name
        trained_on, scans = find_format(self.card.scans.form), self.out / "scans"
        scans.mkdir(parents=True, exist_ok=True)
        codes_N = self.classes.values_K[found.ids_N]
        rgb_N3 = self.classes.colors_K3[found.ids_N]
        write_ply(
            scans / f"{name}.ply",
            found.xyz_N3,
            rgb_N3=rgb_N3,
            labels_N=codes_N,
            confidence_N=found.confidence_N if self.confidence else None,
        )
        if trained_on.submit is not None:
            benchmark_N = np.array(self.card.scans.codes)[found.ids_N]
            trained_on.submit(self.out / "submission", name, benchmark_N)
        self._write_views(name, found.xyz_N3, rgb_N3)
        form = format_of_file(file, trained_on.name)
        if form is not None and form.write is not None:
            form.write(file, scans / f"{name}{file.suffix}", codes_N)
        self._count()

    def _count(self) -> None:
        with self._counting:
            self.number += 1

    def _write_views(self, name: str, xyz_N3: np.ndarray, rgb_N3: np.ndarray) -> None:
        from equiseg.report.examples.overlays import save_rgb
        from equiseg.report.points.render import render

        for view in ("above", "oblique"):
            picture = render(xyz_N3, rgb_N3, view=view, size=1200)
            save_rgb(np.moveaxis(picture, -1, 0), self.out / "views" / f"{name}_{view}.png")
