"""Scans with rare classes: what was there, and what each variant saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from equiseg.data.points.sample import PointSample
from equiseg.report.colors import class_colors
from equiseg.report.examples.grid import SIDE, classes_seen, pale, picture_grid
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
    samples: Sequence[PointSample],
    predictions: Mapping[str, Sequence[Tensor]],
    classes: Sequence[str],
    highlight: Sequence[int],
    order: Sequence[int],
    channels: Sequence[str],
) -> Figure:
    """Each scan twice: its colours, its labels, and each variant's prediction, then its errors.

    The upper row looks obliquely. The lower one looks from above and has what a variant got wrong
    in red, what it got right in grey.

    Highlighted classes have their full colour and the others a pale one. Scans without colours are
    shown by height.

    Args:
        samples: The scans.
        predictions: For each variant, class ids (N,).
        classes: Names of the classes.
        highlight: Ids to emphasise.
        order: All class ids in the order of the legend.
        channels: Names of the feature channels of the samples.

    Raises:
        ValueError: If there is nothing to show, or the lists differ in length.
    """
    lengths = {len(samples), *(len(some) for some in predictions.values())}
    if len(lengths) > 1 or not samples:
        raise ValueError(f"samples and predictions must be of one length, got {lengths}")
    colors_K3 = class_colors(len(classes)).float()
    rare_K = torch.zeros(len(classes), dtype=torch.bool)
    rare_K[list(highlight)] = True
    shown_K3 = torch.where(rare_K.unsqueeze(1), colors_K3, pale(colors_K3))
    shown_K3 = torch.cat([shown_K3, torch.full((1, 3), _UNLABELLED)])
    rows = []
    for number, sample in enumerate(samples):
        xyz_N3 = sample.xyz_N3.numpy()
        labels_N = _known(sample.labels_N, len(classes))
        masks = [_known(some[number], len(classes)) for some in predictions.values()]
        given = [_colours(sample, channels), shown_K3[labels_N] / 255]
        oblique = given + [shown_K3[ids_N] / 255 for ids_N in masks]
        rows.append([render(xyz_N3, colours.numpy(), size=SIDE) for colours in oblique])
        above = given + [_errors(labels_N, ids_N, len(classes)) / 255 for ids_N in masks]
        rows.append([render(xyz_N3, c.numpy(), view="above", size=SIDE) for c in above])
    seen = [sample.labels_N for sample in samples]
    seen += [ids for some in predictions.values() for ids in some]
    titles = ["scan", "labels", *predictions]
    return picture_grid(rows, titles, classes, classes_seen(seen, order), highlight)


def _known(ids_N: Tensor, num_classes: int) -> Tensor:
    """Class ids as int64; ``num_classes`` for what has none."""
    ids_N = ids_N.long()
    return torch.where((ids_N >= 0) & (ids_N < num_classes), ids_N, num_classes)


def _errors(labels_N: Tensor, ids_N: Tensor, num_classes: int) -> Tensor:
    """(N, 3) in 0..255: red where a label is missed, grey where it is met, pale without one."""
    right_N1, labelled_N1 = (ids_N == labels_N)[:, None], (labels_N < num_classes)[:, None]
    judged_N3 = torch.where(right_N1, _RIGHT, torch.tensor(_WRONG))
    return torch.where(labelled_N1, judged_N3, _UNLABELLED)


def _colours(sample: PointSample, channels: Sequence[str]) -> Tensor:
    """(N, 3) in [0, 1]: the scan's own colours, or its heights."""
    if {"red", "green", "blue"} <= set(channels):
        columns = [list(channels).index(name) for name in ("red", "green", "blue")]
        return sample.features_NC[:, columns].clamp(0, 1)
    height_N = sample.xyz_N3[:, 2]
    low, high = np.quantile(height_N.numpy(), (0.01, 0.99)).tolist()  # torch's has a limit
    share_N = ((height_N - low) / max(high - low, 1e-6)).clamp(0, 1)
    return torch.from_numpy(colormaps["viridis"](share_N.numpy())[:, :3]).float()
