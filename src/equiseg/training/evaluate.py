"""Scoring a trained network on a split: scores, collapse measures, where the errors are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from equiseg.collapse import UNDEFINED, CenterMoments, CollapseMeasures
from equiseg.data.loading import Loader, evaluation_loader
from equiseg.data.sample import DataSpec
from equiseg.imbalance import FrequencyGroups
from equiseg.metrics import Score, SegmentationScore
from equiseg.tap import FeatureTap
from equiseg.training.config import EvaluationConfig
from equiseg.training.criterion import within
from equiseg.training.inference import check_evaluation, predict
from equiseg.training.inputs import inverse_of, moved
from equiseg.training.scan_inference import voted_scans


@dataclass(frozen=True)
class Evaluation:
    """What one pass over a split tells.

    Attributes:
        score: IoU and accuracy.
        collapse: Collapse measures of the class centers of the last-layer features and the
            classifier.
        centers_KD: (K, D) the class centers.
        present_K: (K,) bool, which of them exist.
        confusion_KK: (K, K) int64 label-by-prediction counts.
    """

    score: Score
    collapse: CollapseMeasures
    centers_KD: Tensor
    present_K: Tensor
    confusion_KK: Tensor


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    data: Any,
    config: EvaluationConfig,
    groups: FrequencyGroups,
    *,
    num_workers: int = 0,
    track: Callable[[Loader], Iterable[tuple[Any, Tensor]]] = iter,
) -> Evaluation:
    """Predict every image or block of a split and measure.

    Args:
        model: A network with ``classifier_name``; runs where its weights are.
        data: The split, ``SegmentationData`` or ``PointData``.
        config: How images are predicted. Centers are taken from the plain whole image or block.
        groups: Head, common and tail.
        num_workers: Worker processes that load data.
        track: Wraps the batches, to show progress.
    """
    spec, plain = DataSpec.of(data), EvaluationConfig()
    check_evaluation(config, spec.holds_points)
    model.eval()
    device = next(model.parameters()).device
    num_classes = len(data.classes)
    # Called on one process: the other ranks do not wait for its counts.
    score = SegmentationScore(num_classes, data.ignore_index, groups, sync_on_compute=False)
    score = score.to(device)
    moments = CenterMoments(num_classes, data.ignore_index)
    with FeatureTap(model, layer=model.classifier_name) as tap:  # type: ignore[arg-type]
        for inputs, labels in track(evaluation_loader(data, num_workers=num_workers)):
            inputs, labels = moved(inputs, device), labels.to(device)
            predictions = predict(model, inputs, plain, spec.channels)
            features = within(tap.features, labels)
            moments.update(features, labels, inverse=inverse_of(inputs))
            if config != plain and config.votes == 1:
                predictions = predict(model, inputs, config, spec.channels)
            if config.votes == 1:
                score.update(predictions, labels)
        if config.votes > 1:  # blocks of other grids: scan by scan, each point in several
            for ids, labels in voted_scans(model, data, config):
                score.update(ids.to(device), labels.to(device))
        weight: Tensor = tap.layer.weight  # type: ignore[assignment]
    centers_KD, present_K = moments.centers()
    # A classifier that looks at a neighbourhood has no single row to compare with a center.
    rows_KD = weight.flatten(1) if weight.numel() == centers_KD.numel() else None
    measurable = int(present_K.sum()) > 1  # a split with a single class has no angles
    return Evaluation(
        score.compute(),
        CollapseMeasures.of(centers_KD, present_K, rows_KD) if measurable else UNDEFINED,
        centers_KD,
        present_K,
        score.confusion_KK.cpu(),
    )
