"""Scans with rare classes: the scan, its labels, and the prediction of each variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from equiseg.records.examples import SIDE
from equiseg.report.colors import class_colors
from equiseg.report.examples.grid import classes_seen, known_ids, pale, picture_grid
from equiseg.report.points.render import render

try:
    from matplotlib import colormaps
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

_UNLABELLED = 236.0  # of 255, lighter than any pale class
_RIGHT = 214.0
_WRONG = (200.0, 48.0, 44.0)


def scan_example_figure(
    points: Sequence[np.ndarray],
    colours: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    predictions: Mapping[str, Sequence[np.ndarray]],
    classes: Sequence[str],
    highlight: Sequence[int],
    order: Sequence[int],
) -> Figure:
    """Each scan twice: its colours, its labels, and each variant's prediction, then its errors.

    The upper row looks obliquely. The lower one looks from above and shows the errors of a variant
    in red, correct points in grey.

    Highlighted classes have their full colour and the others a pale one.

    Args:
        points: (N, 3) coordinates of each scan.
        colours: uint8 (N, 3) of each, or (N,) heights for scans without colours.
        labels: Class ids (N,); ids without a class are not labelled.
        predictions: For each variant, class ids (N,).
        classes: Names of the classes.
        highlight: Ids to emphasise.
        order: All class ids in the order of the legend.

    Raises:
        ValueError: If there is nothing to show, or the lists differ in length.
    """
    lengths = {len(points), len(colours), len(labels), *map(len, predictions.values())}
    if len(lengths) > 1 or not points:
        raise ValueError(f"scans, labels and predictions must be of one length, got {lengths}")
    colors_K3 = class_colors(len(classes)).astype(np.float32)
    rare_K1 = np.isin(np.arange(len(classes)), list(highlight))[:, None]
    unlabelled = np.full((1, 3), _UNLABELLED)
    shown_K3 = np.concatenate([np.where(rare_K1, colors_K3, pale(colors_K3)), unlabelled])
    rows = []
    for number, xyz_N3 in enumerate(points):
        labels_N = known_ids(labels[number], len(classes))
        masks = [known_ids(some[number], len(classes)) for some in predictions.values()]
        given = [_shown_colours(colours[number]), shown_K3[labels_N]]
        oblique = given + [shown_K3[ids_N] for ids_N in masks]
        rows.append([render(xyz_N3, rgb / 255, size=SIDE) for rgb in oblique])
        above = given + [_errors(labels_N, ids_N, len(classes)) for ids_N in masks]
        rows.append([render(xyz_N3, rgb / 255, view="above", size=SIDE) for rgb in above])
    seen = classes_seen([*labels, *(i for s in predictions.values() for i in s)], order, highlight)
    return picture_grid(rows, ["scan", "labels", *predictions], classes, seen, highlight)


def _errors(labels_N: np.ndarray, ids_N: np.ndarray, num_classes: int) -> np.ndarray:
    """(N, 3) in 0..255: red for errors, grey for correct points, pale without a label."""
    right_N1, labelled_N1 = (ids_N == labels_N)[:, None], (labels_N < num_classes)[:, None]
    judged_N3 = np.where(right_N1, _RIGHT, np.array(_WRONG))
    return np.where(labelled_N1, judged_N3, _UNLABELLED)


def _shown_colours(colours: np.ndarray) -> np.ndarray:
    """(N, 3) in 0..255: the scan's own colours, or a colour map of its heights."""
    if colours.ndim == 2:
        return colours.astype(float)
    coloured_N3: np.ndarray = 255 * colormaps["viridis"](colours)[:, :3]
    return coloured_N3
