"""Score a trained network on a split: scores, calibration, collapse measures, confusion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from equiseg.collapse import ClassMoments, CollapseMeasures
from equiseg.data.loading import Loader, evaluation_loader
from equiseg.data.sample import DataSpec
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.image_inference import check_evaluation, predict_classes
from equiseg.evaluation.inputs import inverse_of, moved, within
from equiseg.evaluation.scan_inference import voted_scans
from equiseg.imbalance import FrequencyGroups
from equiseg.metrics import Calibration, CalibrationError, Score, SegmentationScore
from equiseg.tap import FeatureTap

LABELLED_ONLY = "labelled classes"


@dataclass(frozen=True)
class Evaluation:
    """The results of one pass over a split.

    Attributes:
        score: IoU and accuracy.
        moments: Class moments of the last-layer features, at label resolution.
        classifier_KD: (K, D) rows of the classifier; None if it is larger than 1x1 and so has no
            single row to compare with a center.
        confusion_KK: (K, K) int64 label-by-prediction counts.
        calibration: Confidence and accuracy of the predictions by class and bin.
        labelled_only: Whether means leave out classes without labels, also if they are predicted.
    """

    score: Score
    moments: ClassMoments
    classifier_KD: Tensor | None
    confusion_KK: Tensor
    calibration: Calibration
    labelled_only: bool = False

    @property
    def collapse(self) -> CollapseMeasures:
        """Collapse measures of the class centers and the classifier."""
        return CollapseMeasures.of(self.moments, self.classifier_KD)


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    data: Any,
    config: EvaluationConfig,
    groups: FrequencyGroups,
    *,
    num_workers: int = 0,
    rank: int = 0,
    num_ranks: int = 1,
    track: Callable[[Loader], Iterable[tuple[Any, Tensor]]] = iter,
) -> Evaluation:
    """Predict every image or block of a split and measure.

    Args:
        model: A network with ``classifier_name``; runs where its weights are.
        data: The split, ``SegmentationData`` or ``PointData``.
        config: How images are predicted. Centers are taken from the plain whole image or block.
        groups: Head, common and tail.
        num_workers: Worker processes that load data.
        rank: Number of this process, if all processes of a group call this together.
        num_ranks: How many do; each takes its share, and all return the result of all.
        track: Wraps the batches, to show progress.
    """
    spec, plain = DataSpec.of(data), EvaluationConfig()
    check_evaluation(config, spec.holds_points)
    model.eval()
    device = next(model.parameters()).device
    num_classes = len(data.classes)
    # Counts are summed over ranks at the end, or one process counts alone: no rank must wait here.
    score = SegmentationScore(
        num_classes,
        ignore_index=data.ignore_index,
        groups=groups,
        labelled_only=spec.labelled_only,
        sync_on_compute=False,
    )
    score = score.to(device)
    calibration = CalibrationError(
        num_classes, ignore_index=data.ignore_index, groups=groups, sync_on_compute=False
    )
    calibration = calibration.to(device)
    with FeatureTap(model, layer=model.classifier_name) as tap:  # type: ignore[arg-type]
        moments = ClassMoments.zeros(
            num_classes,
            tap.in_features,
            ignore_index=data.ignore_index,
            device=device if num_ranks > 1 else "cpu",
        )
        share = evaluation_loader(data, num_workers=num_workers, rank=rank, num_ranks=num_ranks)
        for inputs, labels in track(share):
            inputs, labels = moved(inputs, device), labels.to(device)
            ids, confidences = predict_classes(model, inputs, plain, spec.channels)
            features = within(tap.features, labels)
            moments.update(features, labels, inverse=inverse_of(inputs))
            if config != plain and config.votes == 1:
                ids, confidences = predict_classes(model, inputs, config, spec.channels)
            if config.votes == 1:
                score.update(ids, labels)
                calibration.update(ids, labels, confidences)
        if (
            config.votes > 1 and not rank
        ):  # blocks of other grids: scan by scan, each point in several
            for voted in voted_scans(model, data, config):
                ids, confidences, labels = (tensor.to(device) for tensor in voted)
                score.update(ids, labels)
                calibration.update(ids, labels, confidences)
        weight: Tensor = tap.layer.weight  # type: ignore[assignment]
    if num_ranks > 1:
        dist.all_reduce(score.confusion_KK)
        for total in (calibration.counts_KM, calibration.confidences_KM, calibration.correct_KM):
            dist.all_reduce(total)
        moments.all_reduce()
    single = weight.numel() == num_classes * tap.in_features
    rows_KD = weight.detach().flatten(1) if single else None
    return Evaluation(
        score.compute(),
        moments,
        rows_KD,
        score.confusion_KK.cpu(),
        calibration.cpu().compute(),
        spec.labelled_only,
    )


def evaluation_record(evaluation: Evaluation, background: int | None) -> dict[str, Any]:
    """An evaluation as JSON: scores, calibration, collapse measures, confusion.

    ``means_over`` says so if a benchmark's rule leaves classes without labels out of all means.
    """
    score, calibration = evaluation.score, evaluation.calibration
    skipped = ("groups", "iou_K", "accuracy_K")
    foreground = {} if background is None else {"foreground": score.miou_without(background)}
    rule = {"means_over": LABELLED_ONLY} if evaluation.labelled_only else {}
    return {
        **rule,
        **{k: v for k, v in vars(score).items() if k not in skipped},
        **foreground,
        "iou": score.iou_K.tolist(),
        "accuracy": score.accuracy_K.tolist(),
        "ece": calibration.ece,
        **{f"{name}_ece": getattr(calibration, name) for name in ("head", "common", "tail")},
        "calibration": calibration.bins(),
        "collapse": evaluation.collapse.numbers(),
        "confusion": evaluation.confusion_KK.tolist(),
    }
