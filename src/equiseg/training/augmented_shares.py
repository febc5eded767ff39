"""Shares of the classes as labelled, and as drawn by samplers, crops and pasting."""

from __future__ import annotations

from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from equiseg.data.loading import EpochSampler
from equiseg.data.points.sample import PointSample
from equiseg.imbalance import ClassStatistics
from equiseg.progress import Track
from equiseg.runs.terminal import as_is
from equiseg.training.config import TrainConfig
from equiseg.training.opened_data import OpenedData
from equiseg.training.samples import TrainingSamples

_DRAWS = 256  # enough to see a class in one of a hundred pictures, and done in seconds


def drawn_shares(
    config: TrainConfig,
    data: OpenedData,
    training: TrainingSamples,
    track: Track,
) -> dict[str, Any] | None:
    """Shares of the classes in the training split, as labelled and as drawn.

    Where only the choice of samples was changed, the shares drawn are exact expectations for whole
    samples; else (crops by class, pasting, second scans mixed in) they are measured on the first
    draws of the run.

    Args:
        config: The run.
        data: All splits.
        training: What is drawn from.
        track: Shows the progress over the draws.

    Returns:
        None if sampling and augmentation do not depend on classes. Else "labelled" and "drawn",
        each with "pixels" (share of the labelled pixels or points) and "images" (share of the
        samples with the class), one number per class; and "draws", the number of draws measured,
        None if the shares are exact.
    """
    if training.counts_SK is None:
        return None
    changed = config.data.chooses_by_class or config.data.points.augment.mix > 0
    if training.draws_S is not None and not changed:
        draws = None
        counts_SK = training.counts_SK.double()
        pixels_K, images_K = (training.draws_S @ part for part in (counts_SK, counts_SK.sign()))
        drawn = _shares(pixels_K, images_K, len(counts_SK))
    else:
        draws = min(len(training.views), _DRAWS)
        drawn = _shares(*_measured(data, training, config.seed, draws, track), draws)
    labelled = data.statistics
    before = _shares(labelled.pixels_K, labelled.images_K, labelled.num_images)
    return {"labelled": before, "drawn": drawn, "draws": draws}


def drawn_table(shares: dict[str, Any], classes: tuple[str, ...], *, of_points: bool) -> Table:
    """Both shares of every class, most frequent first.

    Args:
        shares: What :func:`drawn_shares` gave.
        classes: Names of the classes.
        of_points: Whether points were counted, and scans.
    """
    unit, sample = ("points", "scans") if of_points else ("pixels", "images")
    draws = shares["draws"]
    measured = f"of whole {sample}" if draws is None else f"measured on {draws} draws"
    table = Table(title=f"training classes as labelled and as drawn, in %, {measured}")
    table.add_column("class")
    for column in (unit, "drawn", "times", sample, "drawn"):
        table.add_column(column, justify="right")
    before, after = shares["labelled"], shares["drawn"]
    for k in sorted(range(len(classes)), key=lambda k: -before["pixels"][k]):
        pixels, drawn = before["pixels"][k], after["pixels"][k]
        cells = [f"{100 * pixels:.3g}", f"{100 * drawn:.3g}"]
        cells.append(f"{drawn / pixels:.2f}" if pixels else "–")
        cells += [f"{100 * part['images'][k]:.0f}" for part in (before, after)]
        table.add_row(as_is(classes[k]), *cells)
    return table


def _measured(
    data: OpenedData,
    training: TrainingSamples,
    seed: int,
    draws: int,
    track: Track,
) -> tuple[Tensor, Tensor]:
    """Labels of each class, and samples that hold it, over the first draws of the run."""
    statistics = ClassStatistics.zeros(len(data.spec.classes))
    sampler = EpochSampler(len(training.views), seed, draws_S=training.draws_S)
    for key in track(list(sampler)[:draws], "drawn samples"):
        sample = training.views[key]
        labels = sample.labels if isinstance(sample, PointSample) else sample[1]
        statistics.add(labels, ignore_index=data.spec.ignore_index)
    return statistics.pixels_K, statistics.images_K


def _shares(pixels_K: Tensor, images_K: Tensor, num_images: int) -> dict[str, list[float]]:
    pixels_K = pixels_K.double()
    pixels = pixels_K / pixels_K.sum().clamp(min=torch.finfo(torch.float64).tiny)
    return {"pixels": pixels.tolist(), "images": (images_K.double() / num_images).tolist()}
