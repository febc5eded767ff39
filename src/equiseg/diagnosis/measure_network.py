"""diagnose: a trained network on a split, as neural collapse and its gradients show it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from equiseg.collapse import (
    BranchGradients,
    CollapseMeasures,
    center_gradients,
    measures_by_group,
    nearest_pairs,
    pixel_gradients,
)
from equiseg.data.loading import Loader, evaluation_loader
from equiseg.data.sample import DataSpec
from equiseg.diagnosis.result import Diagnosis, FrequencyCorrelation
from equiseg.diagnosis.sample_choice import Spread
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.inputs import inverse_of, moved, network_input, within
from equiseg.evaluation.scoring import evaluate
from equiseg.imbalance import FrequencyGroups
from equiseg.losses import CenterCollapseLoss
from equiseg.metrics import CollapseMetric
from equiseg.records.diagnosis import CENTER, PIXEL, ConfusedPair
from equiseg.tap import FeatureTap

_PAIRS = 12


@dataclass(frozen=True, eq=False)
class Passes:
    """How a network is run over a split.

    Attributes:
        layer: Name of the classifier, as in :class:`equiseg.FeatureTap`; None takes the
            ``classifier_name`` of the model, or searches for it.
        loss: The center branch; None takes the default one of training.
        batch_size: Images or blocks whose gradient is one step's. Images of other sizes than
            those before them wait for their like.
        num_workers: Worker processes that load data.
        most_samples: Number of samples, spread evenly over the split; None takes all.
        track: Wraps the batches of each pass, to show progress.

    Raises:
        ValueError: If ``batch_size`` is below 1.
    """

    layer: str | None = None
    loss: CenterCollapseLoss | None = None
    batch_size: int = 8
    num_workers: int = 0
    most_samples: int | None = None
    track: Callable[[Loader], Iterable[tuple[Any, Tensor]]] = iter

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")


def diagnose(
    model: nn.Module,
    data: Any,
    *,
    groups: FrequencyGroups,
    class_counts_K: Tensor,
    passes: Passes | None = None,
) -> Diagnosis:
    """Look at a trained network in two passes over a split.

    The first counts class moments, confusion and scores, as :func:`evaluate` does. The second
    needs the centers of the first: it counts how often the classifier agrees with the nearest
    center, and adds up the gradient each branch of the loss would give, batch by batch. Nothing is
    trained, and dropout and batch statistics are as in inference.

    Args:
        model: A network that makes logits (B, K, h, w) of images (B, 3, H, W) in [0, 1], or one
            of equiseg; runs where its weights are.
        data: The split, ``SegmentationData`` or ``PointData``.
        groups: Head, common and tail.
        class_counts_K: (K,) pixels (points) of each class in training.
        passes: How the network is run; None takes the defaults.

    Raises:
        ValueError: If the classifier cannot be found or its outputs are not the K classes of the
            data.
    """
    passes = passes or Passes()
    samples = Spread(data, passes.most_samples)
    num_classes = len(samples.classes)
    if len(class_counts_K) != num_classes:
        raise ValueError(
            f"class_counts_K must hold a count for each of the {num_classes} classes of the data, "
            f"got {len(class_counts_K)}"
        )
    model.eval()
    named = _Named(model, passes.layer or getattr(model, "classifier_name", None), num_classes)
    evaluation = evaluate(
        named,
        samples,
        EvaluationConfig(),
        groups,
        num_workers=passes.num_workers,
        track=passes.track,
    )
    moments, rows_KD = evaluation.moments, evaluation.classifier_KD
    assert moments is not None  # measured by default
    agreement, gradients = _second_pass(named, samples, moments.centers_KD, rows_KD, passes)
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
    centers_KD: Tensor,
    rows_KD: Tensor | None,
    passes: Passes,
) -> tuple[float, dict[str, BranchGradients]]:
    """Agreement with the nearest center, and the gradients of the branches."""
    device = next(model.parameters()).device
    num_classes, dim = centers_KD.shape
    loss = passes.loss or CenterCollapseLoss(num_classes, dim, ignore_index=samples.ignore_index)
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
        for inputs, labels in _batches(samples, passes):
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
    passes: Passes,
) -> Iterator[tuple[Any, Tensor]]:
    """Batches as training has them; images that are not of one size wait for their like."""
    if DataSpec.of(samples).holds_points:
        loader = evaluation_loader(samples, passes.batch_size, num_workers=passes.num_workers)
        yield from passes.track(loader)
        return
    waiting: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
    for image, labels in passes.track(evaluation_loader(samples, num_workers=passes.num_workers)):
        alike = waiting.setdefault(tuple(labels.shape), [])
        alike.append((image, labels))
        if len(alike) == passes.batch_size:
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
