"""Score a trained network on a split: scores, calibration, collapse measures, confusion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from equiseg.collapse import ClassMoments, CollapseMeasures
from equiseg.data.loading import Loader, evaluation_loader
from equiseg.data.sample import DataSpec
from equiseg.evaluation.batches import EqualBatches
from equiseg.evaluation.config import EvaluationConfig, MeasureConfig
from equiseg.evaluation.image_inference import check_evaluation, predict, predict_classes
from equiseg.evaluation.inputs import Inputs, inverse_of, moved, within
from equiseg.evaluation.scan_inference import voted_scans
from equiseg.imbalance import FrequencyGroups
from equiseg.metrics.confidence_bins import Calibration
from equiseg.metrics.confusion import count_confusion
from equiseg.metrics.score import Score
from equiseg.tap import FeatureTap

LABELLED_ONLY = "labelled classes"
_PLAIN = EvaluationConfig()


@dataclass(frozen=True)
class Evaluation:
    """The results of one pass over a split.

    Attributes:
        score: IoU and accuracy.
        confusion_KK: (K, K) int64 label-by-prediction counts.
        moments: Class moments of the last-layer features, at label resolution; None if collapse is
            not measured.
        classifier_KD: (K, D) rows of the classifier; None if collapse is not measured, or the
            classifier is larger than 1x1 and so has no single row to compare with a center.
        calibration: Confidence and accuracy of the predictions by class and bin; None if it is not
            measured.
        labelled_only: Whether means leave out classes without labels, also if they are predicted.
    """

    score: Score
    confusion_KK: Tensor
    moments: ClassMoments | None
    classifier_KD: Tensor | None
    calibration: Calibration | None
    labelled_only: bool = False

    @property
    def collapse(self) -> CollapseMeasures | None:
        """Collapse measures of the class centers and the classifier; None if not measured."""
        if self.moments is None:
            return None
        return CollapseMeasures.of(self.moments, self.classifier_KD)


@dataclass(eq=False)
class _Counts:
    """Counts of predictions, of all batches so far."""

    confusion_KK: Tensor
    calibration: Calibration | None
    ignore_index: int

    def add(self, predictions: Tensor, labels: Tensor, confidences: Tensor | None) -> None:
        """Add class ids (or logits, without calibration), with the probabilities of the ids."""
        num_classes, ignore_index = len(self.confusion_KK), self.ignore_index
        self.confusion_KK += count_confusion(
            predictions, labels, num_classes, ignore_index=ignore_index
        )
        if self.calibration is not None and confidences is not None:
            self.calibration = self.calibration.plus(
                predictions, labels, confidences, ignore_index=ignore_index
            )

    def all_reduce(self) -> None:
        """Add the counts of all ranks."""
        totals = [self.confusion_KK]
        if (found := self.calibration) is not None:
            totals += [found.counts_KM, found.confidences_KM, found.correct_KM]
        for total in totals:
            dist.all_reduce(total)


@dataclass(eq=False)
class _Features:
    """Moments of the features of all batches so far."""

    tap: FeatureTap
    moments: ClassMoments

    def add(self, inputs: Inputs, labels: Tensor) -> None:
        """Add the features of the last forward."""
        features = within(self.tap.features, labels)
        self.moments.update(features, labels, inverse=inverse_of(inputs))

    def rows_KD(self) -> Tensor | None:
        """The rows of the classifier, if it has one for each class."""
        weight: Tensor = self.tap.layer.weight  # type: ignore[assignment]
        single = weight.numel() == self.moments.sums_KD.numel()
        return weight.detach().flatten(1) if single else None


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    data: Any,
    config: EvaluationConfig,
    groups: FrequencyGroups,
    *,
    measures: MeasureConfig = MeasureConfig(),  # noqa: B008 - frozen
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
        measures: What is measured in addition to IoU and accuracy.
        num_workers: Worker processes that load data.
        rank: Number of this process, if all processes of a group call this together.
        num_ranks: How many do; each takes its share, and all return the result of all.
        track: Wraps the samples, to show progress.
    """
    spec = DataSpec.of(data)
    check_evaluation(config, spec.holds_points)
    model.eval()
    device = next(model.parameters()).device
    counts = _no_counts(data, groups, measures, device)
    features = _no_features(model, data, device, num_ranks) if measures.collapse else None
    with features.tap if features else nullcontext():
        if features or config.votes == 1:
            share = evaluation_loader(data, num_workers=num_workers, rank=rank, num_ranks=num_ranks)
            for inputs, labels in EqualBatches(track(share)):
                inputs, labels = moved(inputs, device), labels.to(device)
                if config.votes == 1:
                    ids, confidences = _predicted(model, inputs, config, spec, measures)
                    counts.add(ids, labels, confidences)
                if features:
                    if config != _PLAIN:  # centers are of the last forward
                        predict(model, inputs, _PLAIN, spec.channels)
                    features.add(inputs, labels)
        if config.votes > 1 and not rank:  # blocks of other grids: each point in several
            for voted in voted_scans(model, data, config):
                ids, confidences, labels = (tensor.to(device) for tensor in voted)
                counts.add(ids, labels, confidences)
    if num_ranks > 1:
        counts.all_reduce()
        if features:
            features.moments.all_reduce()
    calibration = counts.calibration
    return Evaluation(
        Score.from_confusion(counts.confusion_KK, groups, labelled_only=spec.labelled_only),
        counts.confusion_KK.cpu(),
        features.moments if features else None,
        features.rows_KD() if features else None,
        calibration.cpu() if calibration else None,
        spec.labelled_only,
    )


def _no_counts(
    data: Any, groups: FrequencyGroups, measures: MeasureConfig, device: torch.device
) -> _Counts:
    num_classes = len(data.classes)
    confusion_KK = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device)
    calibration = None
    if measures.calibration:
        calibration = Calibration.zeros(num_classes, groups, device=device)
    return _Counts(confusion_KK, calibration, data.ignore_index)


def _no_features(model: nn.Module, data: Any, device: torch.device, num_ranks: int) -> _Features:
    tap = FeatureTap(model, layer=model.classifier_name)  # type: ignore[arg-type]
    moments = ClassMoments.zeros(
        len(data.classes),
        tap.in_features,
        ignore_index=data.ignore_index,
        device=device if num_ranks > 1 else "cpu",
    )
    return _Features(tap, moments)


def _predicted(
    model: nn.Module,
    inputs: Inputs,
    config: EvaluationConfig,
    spec: DataSpec,
    measures: MeasureConfig,
) -> tuple[Tensor, Tensor | None]:
    """Class ids and their probabilities; without calibration ids or logits."""
    if measures.calibration:
        return predict_classes(model, inputs, config, spec.channels)
    return predict(model, inputs, config, spec.channels), None


def evaluation_record(evaluation: Evaluation, background: int | None) -> dict[str, Any]:
    """An evaluation as JSON: scores, confusion, and calibration and collapse if measured.

    ``means_over`` says so if a benchmark's rule leaves classes without labels out of all means.
    """
    score, calibration, collapse = evaluation.score, evaluation.calibration, evaluation.collapse
    skipped = ("groups", "iou_K", "accuracy_K")
    record: dict[str, Any] = {"means_over": LABELLED_ONLY} if evaluation.labelled_only else {}
    record |= {k: v for k, v in vars(score).items() if k not in skipped}
    if background is not None:
        record["foreground"] = score.miou_without(background)
    record |= {"iou": score.iou_K.tolist(), "accuracy": score.accuracy_K.tolist()}
    if calibration is not None:
        record |= calibration.as_dict() | {"calibration": calibration.bins()}
    if collapse is not None:
        record["collapse"] = collapse.numbers()
    return record | {"confusion": evaluation.confusion_KK.tolist()}
