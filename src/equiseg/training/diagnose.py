"""diagnose: a trained network on a split, as neural collapse and its gradients show it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from equiseg.collapse import (
    BranchGradients,
    CollapseMeasures,
    PowerLaw,
    center_gradients,
    measures_by_group,
    nearest_pairs,
    pixel_gradients,
)
from equiseg.data.loading import Loader, evaluation_loader
from equiseg.data.sample import DataSpec
from equiseg.imbalance import FrequencyGroups
from equiseg.losses import CenterCollapseLoss
from equiseg.metrics import CollapseMetric
from equiseg.tap import FeatureTap
from equiseg.training.config import EvaluationConfig
from equiseg.training.criterion import within
from equiseg.training.evaluate import Evaluation, evaluate
from equiseg.training.inputs import inverse_of, moved, network_input
from equiseg.training.result import evaluation_record
from equiseg.training.spread import Spread

PIXEL, CENTER = "pixel cross entropy", "center branch"
_PAIRS = 12


class FrequencyCorrelation(NamedTuple):
    """How the IoU of a class goes with its frequency in training, over the classes that have both.

    Attributes:
        pearson: Correlation of the IoU with the logarithm of the count: frequencies span decades.
        spearman: Correlation of their ranks.
        num_classes: Classes counted; fewer than three give NaN.
    """

    pearson: float
    spearman: float
    num_classes: int

    @classmethod
    def of(cls, iou_K: Tensor, class_counts_K: Tensor) -> FrequencyCorrelation:
        """Correlations of (K,) IoU and (K,) training counts; NaN and never counted are left out."""
        from scipy.stats import pearsonr, spearmanr

        known = ~iou_K.isnan() & (class_counts_K > 0)
        iou, frequency = iou_K[known].double(), class_counts_K[known].double().log()
        if len(iou) < 3 or bool((iou == iou[0]).all()) or bool((frequency == frequency[0]).all()):
            return cls(math.nan, math.nan, len(iou))
        pearson, spearman = pearsonr(iou, frequency), spearmanr(iou, frequency)
        return cls(float(pearson.statistic), float(spearman.statistic), len(iou))


class ConfusedPair(NamedTuple):
    """Two classes whose centers lie close.

    Attributes:
        first: Class id.
        second: Class id.
        cosine: Of their centered centers.
        first_as_second: Share of the labels of the first that were predicted as the second.
        second_as_first: The other way round. A rare class lost to a frequent one shows in one of
            the two only.
    """

    first: int
    second: int
    cosine: float
    first_as_second: float
    second_as_first: float


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What a network has made of the classes of a split.

    Attributes:
        classes: Names of the classes.
        groups: Head, common and tail.
        class_counts_K: (K,) pixels (points) of each class in training.
        background: The class that stands for "nothing named", if there is one.
        unit: "pixel" or "point".
        num_samples: Images or blocks that were looked at.
        evaluation: Scores, class moments and confusion.
        measures: Collapse measures, the agreement with the nearest center included.
        group_measures: The same for head, common and tail.
        correlation: IoU against training frequency.
        pairs: The classes that lie closest, closest first.
        gradients: Of the pixel branch and the center branch, added up over batches. The pixel
            branch is missing where the classifier looks at a neighbourhood.
    """

    classes: tuple[str, ...]
    groups: FrequencyGroups
    class_counts_K: Tensor
    background: int | None
    unit: str
    num_samples: int
    evaluation: Evaluation
    measures: CollapseMeasures
    group_measures: dict[str, CollapseMeasures]
    correlation: FrequencyCorrelation
    pairs: list[ConfusedPair]
    gradients: dict[str, BranchGradients]

    @cached_property
    def numbers(self) -> dict[str, float]:
        """All collapse measures by name, the margins included, which take time."""
        return _with_margins(self.measures)

    @cached_property
    def group_numbers(self) -> dict[str, dict[str, float]]:
        """The same for head, common and tail."""
        return {name: _with_margins(m) for name, m in self.group_measures.items()}


def _with_margins(measures: CollapseMeasures) -> dict[str, float]:
    numbers = measures.numbers() | {"margin": measures.margin}
    if measures.classifier is not None:
        numbers["classifier_margin"] = measures.classifier.margin
    return numbers


def diagnose(
    model: nn.Module,
    data: Any,
    *,
    groups: FrequencyGroups,
    class_counts_K: Tensor,
    layer: str | None = None,
    loss: CenterCollapseLoss | None = None,
    batch_size: int = 8,
    num_workers: int = 0,
    most_samples: int | None = None,
    track: Callable[[Loader], Iterable[tuple[Any, Tensor]]] = iter,
) -> Diagnosis:
    """Look at a trained network in two passes over a split.

    The first counts class moments, confusion and scores, as :func:`evaluate` does. The second
    needs the centers of the first: it counts how often the classifier agrees with the nearest
    center, and adds up the gradient each branch of the loss would give, batch by batch. Nothing is
    trained, and dropout and batch statistics are those of inference.

    Args:
        model: A network that makes logits (B, K, h, w) of images (B, 3, H, W) in [0, 1], or one
            of equiseg; runs where its weights are.
        data: The split, ``SegmentationData`` or ``PointData``.
        groups: Head, common and tail.
        class_counts_K: (K,) pixels (points) of each class in training.
        layer: Name of the classifier, as in :class:`equiseg.FeatureTap`; None takes the
            ``classifier_name`` of the model, or searches for it.
        loss: The center branch; None takes the one that training has by default.
        batch_size: Images or blocks whose gradient is one step's. Images of other sizes than
            those before them wait for their like.
        num_workers: Worker processes that load data.
        most_samples: Look at so many, spread evenly over the split; None looks at all.
        track: Wraps the batches of each pass, to show progress.

    Raises:
        ValueError: If the classifier cannot be found or its outputs are not the K classes of the
            data.
    """
    samples = Spread(data, most_samples)
    num_classes = len(samples.classes)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if len(class_counts_K) != num_classes:
        raise ValueError(
            f"class_counts_K must hold a count for each of the {num_classes} classes of the data, "
            f"got {len(class_counts_K)}"
        )
    model.eval()
    named = _Named(model, layer or getattr(model, "classifier_name", None), num_classes)
    evaluation = evaluate(
        named, samples, EvaluationConfig(), groups, num_workers=num_workers, track=track
    )
    moments, rows_KD = evaluation.moments, evaluation.classifier_KD
    agreement, gradients = _second_pass(
        named, samples, evaluation, loss, batch_size, num_workers, track
    )
    measures = CollapseMeasures.of(moments, rows_KD, nearest_center_agreement=agreement)
    counts_K = class_counts_K.cpu()
    return Diagnosis(
        samples.classes,
        groups,
        counts_K,
        samples.background,
        "point" if samples.voxel_size is not None else "pixel",
        len(samples),
        evaluation,
        measures,
        measures_by_group(moments, groups, rows_KD),
        FrequencyCorrelation.of(evaluation.score.iou_K.cpu(), counts_K),
        _confused_pairs(measures.cosines_KK, evaluation.confusion_KK),
        gradients,
    )


class _Named(nn.Module):
    """A network that knows the name of its classifier."""

    def __init__(self, network: nn.Module, layer: str | None, num_classes: int) -> None:
        super().__init__()
        with FeatureTap(network, layer, num_classes) as tap:
            self.classifier_name = f"network.{tap.name}"
        self.network = network

    def forward(self, inputs: Any) -> Tensor:
        logits: Tensor = self.network(inputs)
        return logits


@torch.inference_mode()
def _second_pass(
    model: _Named,
    samples: Spread,
    evaluation: Evaluation,
    loss: CenterCollapseLoss | None,
    batch_size: int,
    num_workers: int,
    track: Callable[[Loader], Iterable[tuple[Any, Tensor]]],
) -> tuple[float, dict[str, BranchGradients]]:
    """Agreement with the nearest center, and the gradients of the branches."""
    device = next(model.parameters()).device
    centers_KD, rows_KD = evaluation.moments.centers_KD, evaluation.classifier_KD
    num_classes, dim = centers_KD.shape
    if loss is None:
        loss = CenterCollapseLoss(num_classes, dim, ignore_index=samples.ignore_index)
    branch = copy.deepcopy(loss).to(device).eval()  # the caller's goes on training
    totals: dict[str, BranchGradients] = {}
    with FeatureTap(model, model.classifier_name) as tap:
        bias: Any = getattr(tap.layer, "bias", None)
        agreement = None
        if rows_KD is not None and bool(centers_KD.any()):
            agreement = CollapseMetric(
                num_classes,
                dim,
                classifier=tap.layer,
                ignore_index=samples.ignore_index,
                centers=centers_KD,
                sync_on_compute=False,
            ).to(device)
        for inputs, labels in _batches(samples, batch_size, num_workers, track):
            inputs, labels = moved(inputs, device), labels.to(device)
            model(network_input(inputs))
            features, inverse = within(tap.features, labels), inverse_of(inputs)
            parts = {CENTER: center_gradients(features, labels, branch, inverse=inverse)}
            if agreement is not None:
                agreement.update(features, labels, inverse=inverse)
            if rows_KD is not None:
                ignored = samples.ignore_index
                parts[PIXEL] = pixel_gradients(
                    features, labels, rows_KD, bias, ignore_index=ignored, inverse=inverse
                )
            for name, part in parts.items():
                totals[name] = totals[name] + part if name in totals else part
        share = math.nan
        if agreement is not None:
            share = agreement.compute().nearest_center_agreement
    return share, {name: totals[name] for name in (PIXEL, CENTER) if name in totals}


def _batches(
    samples: Spread,
    batch_size: int,
    num_workers: int,
    track: Callable[[Loader], Iterable[tuple[Any, Tensor]]],
) -> Iterator[tuple[Any, Tensor]]:
    """Batches as training has them; images that are not of one size wait for their like."""
    if DataSpec.of(samples).holds_points:
        yield from track(evaluation_loader(samples, batch_size, num_workers=num_workers))
        return
    waiting: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
    for image, labels in track(evaluation_loader(samples, num_workers=num_workers)):
        alike = waiting.setdefault(tuple(labels.shape), [])
        alike.append((image, labels))
        if len(alike) == batch_size:
            yield _joined(waiting.pop(tuple(labels.shape)))
    for left in waiting.values():
        yield _joined(left)


def _joined(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*pairs, strict=True)
    return torch.cat(images), torch.cat(labels)


def _confused_pairs(cosines_KK: Tensor, confusion_KK: Tensor) -> list[ConfusedPair]:
    labels_K = confusion_KK.sum(1)
    pairs = []
    for a, b, cosine in nearest_pairs(cosines_KK, _PAIRS):
        shares = confusion_KK[a, b] / labels_K[a], confusion_KK[b, a] / labels_K[b]
        pairs.append(ConfusedPair(a, b, cosine, *(float(share) for share in shares)))
    return pairs


def record(diagnosis: Diagnosis) -> dict[str, Any]:
    """A diagnosis as JSON holds it: matrices as lists, NaN as null."""
    classes, measures = diagnosis.classes, diagnosis.measures
    rows = measures.classifier
    values = {
        "classes": list(classes),
        "groups": {name: list(ids) for name, ids in diagnosis.groups},
        f"training_{diagnosis.unit}s": diagnosis.class_counts_K.tolist(),
        "num_samples": diagnosis.num_samples,
        **evaluation_record(diagnosis.evaluation, diagnosis.background),
        "collapse": diagnosis.numbers,
        "collapse_by_group": diagnosis.group_numbers,
        "center_cosines": measures.cosines_KK.tolist(),
        "classifier_cosines": None if rows is None else rows.cosines_KK.tolist(),
        "frequency_correlation": diagnosis.correlation._asdict(),
        "nearest_pairs": [
            pair._asdict() | {"first": classes[pair.first], "second": classes[pair.second]}
            for pair in diagnosis.pairs
        ],
        "gradients": {name: _gradient_record(g) for name, g in diagnosis.gradients.items()},
    }
    json: dict[str, Any] = _finite(values)
    return json


def _gradient_record(gradients: BranchGradients) -> dict[str, Any]:
    steps = gradients.num_batches
    counts_K, mass_K = gradients.present_counts_K, gradients.present_mass_K
    return {
        "slope_where_present": PowerLaw.fit(counts_K, mass_K).exponent,
        "slope_at_equal_error": PowerLaw.fit(counts_K, mass_K / gradients.present_error_K).exponent,
        "slope": PowerLaw.fit(gradients.counts_K, gradients.mean_mass_K).exponent,
        "num_batches": steps,
        "batches": gradients.batches_K.tolist(),
        "pixels": gradients.counts_K.tolist(),
        "mass": gradients.mean_mass_K.tolist(),
        "pull": (gradients.pull_K / steps).tolist(),
        "push": (gradients.push_K / steps).tolist(),
        "error_where_present": gradients.present_error_K.tolist(),
    }


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
