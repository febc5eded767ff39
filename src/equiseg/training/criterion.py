"""Criterion: what a method minimises, as named parts that add up."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter
from typing import Any, get_args

import torch
from torch import Tensor, nn

from equiseg.evaluation.inputs import within
from equiseg.imbalance import ClassStatistics, class_prior, class_weights
from equiseg.imbalance.formulas import WeightFormula
from equiseg.losses import DotRegressionLoss, FixedClassifierLoss, LdamLoss
from equiseg.training.methods import Term, parse_method

_COUNTED = ("pixel", "image")
_FIXING = (FixedClassifierLoss, DotRegressionLoss)
# The last fifth of training, as Cao et al. 2019 published it: epochs 160 to 200.
_REWEIGHT_AFTER = 0.8


class Criterion(nn.Module):
    """A weighted sum of losses, of the logits or of the last-layer features.

    Args:
        losses: Each loss by name.
        factors: How often each counts, in the same order.
        over_features: Whether each is given the features, in the same order, or the logits.
        statistics: Of the training labels, for losses that change their weights later on.
    """

    def __init__(
        self,
        losses: dict[str, nn.Module],
        factors: Sequence[float],
        over_features: Sequence[bool],
        statistics: ClassStatistics,
    ) -> None:
        super().__init__()
        self.losses = nn.ModuleDict(losses)
        self.factors = factors
        self.over_features = over_features
        self.statistics = statistics

    def forward(
        self, logits: Tensor, features: Tensor, labels: Tensor, inverse: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The parts of the loss by name; their sum is what is minimised.

        Args:
            logits: (B, K, h, w), or (V, K) of voxels.
            features: What the classifier was given, (B, C, h, w) or (V, C).
            labels: (B, H, W), or (N,) of points.
            inverse: (N,) voxel of every point.

        Raises:
            ValueError: If a loss returns more than one number.
        """
        given = [within(features, labels) if over else logits for over in self.over_features]
        parts = {
            name: factor * loss(inputs, labels, inverse=inverse)
            for (name, loss), factor, inputs in zip(
                self.losses.items(), self.factors, given, strict=True
            )
        }
        for name, part in parts.items():
            if part.ndim:
                raise ValueError(
                    f"method: {name} must return one number, got shape {tuple(part.shape)}; take "
                    "its mean over the labelled pixels"
                )
        return parts

    def begin_epoch(self, share_done: float) -> None:
        """Deferred reweighting, where a loss has it.

        Args:
            share_done: Share of the training's epochs that are over.
        """
        for loss in self.losses.values():
            if isinstance(loss, LdamLoss) and share_done >= _REWEIGHT_AFTER:
                # Images, not pixels: these are far beyond the reach of the published beta.
                loss.reweight(
                    class_weights(self.statistics.images_K, "effective_number", beta=0.9999)
                )

    def fix_classifier(self, classifier: nn.Module) -> None:
        """Give the network the classifier that a loss brings, for good.

        Args:
            classifier: The last layer, linear in its features.

        Raises:
            ValueError: If the layer looks at more than one place.
        """
        for name, loss in self.losses.items():
            if not isinstance(loss, _FIXING):
                continue
            weight: Any = classifier.weight
            if weight.numel() != loss.rows_KD.numel():
                raise ValueError(
                    f"{name} needs a classifier of one row a class, {tuple(loss.rows_KD.shape)}, "
                    f"the network's is {tuple(weight.shape)}; choose a network of equiseg's own"
                )
            weight.data.copy_(loss.rows_KD.view_as(weight))
            if classifier.bias is not None:
                classifier.bias.data.zero_()  # type: ignore[operator]
            classifier.requires_grad_(False)


def build_criterion(
    method: str, statistics: ClassStatistics, in_features: int, ignore_index: int
) -> Criterion:
    """The criterion of a method.

    Args:
        method: A named method, or a weighted sum of losses (:func:`parse_method`).
        statistics: Of the training labels; priors, counts and weights come from it.
        in_features: Channels of the last-layer features.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If nothing in the method trains a classifier, two losses bring one, or an
            argument cannot work.
    """
    terms = parse_method(method)
    losses = {
        term.name.replace(".", "_"): _build(term, statistics, in_features, ignore_index)
        for term in terms
    }
    fixing = [name for name, loss in losses.items() if isinstance(loss, _FIXING)]
    if len(fixing) > 1:
        raise ValueError(
            f"method {method!r}: {' and '.join(fixing)} each bring a classifier, and the network "
            "has one; keep one of them"
        )
    if all(term.over_features for term in terms) and not fixing:
        raise ValueError(
            f"method {method!r} trains no pixel classifier; add a loss over logits, as in "
            f"'cross_entropy + {method}'"
        )
    factors, over_features = zip(*((t.factor, t.over_features) for t in terms), strict=True)
    return Criterion(losses, factors, over_features, statistics)


def check_method(method: str, num_classes: int) -> None:
    """Refuse a method that cannot be built, as far as that is known before data are read.

    Losses over features depend on the network, and are not looked at.

    Args:
        method: As in :func:`build_criterion`.
        num_classes: Number of classes K.

    Raises:
        ValueError: If an argument of a loss over logits is missing or cannot work.
    """
    balanced = ClassStatistics.from_counts(torch.ones(1, num_classes, dtype=torch.int64))
    for term in parse_method(method):
        if not term.over_features:
            _build(term, balanced, in_features=0, ignore_index=max(255, num_classes))


def _build(
    term: Term, statistics: ClassStatistics, in_features: int, ignore_index: int
) -> nn.Module:
    """The loss of a term, with what it needs to know of the training labels."""
    parameters = term.parameters
    arguments = dict(term.arguments)
    if "ignore_index" not in parameters:
        raise ValueError(
            f"method: {term.name} takes no ignore_index, so it cannot leave labels out; let it "
            "take one (equiseg.losses.PixelLoss does)"
        )
    if term.over_features:
        arguments["in_features"] = in_features
    for name in ("prior", "class_counts"):
        if name not in parameters:
            continue
        if name not in arguments and parameters[name].default is Parameter.empty:
            arguments[name] = "image" if term.over_features else "pixel"
        if isinstance(arguments.get(name), str):
            arguments[name] = _counted(name, arguments[name], statistics)
    for name in ("weight", "alpha"):
        of_classes = name in parameters and str(parameters[name].annotation) != "float"
        if of_classes and isinstance(formula := arguments.get(name), str):
            arguments[name] = _weights(name, formula, statistics)
    required = [name for name, p in parameters.items() if p.default is Parameter.empty]
    if missing := [n for n in required if n not in arguments and n != "num_classes"]:
        of_classes = "weight" in missing and str(parameters["weight"].annotation) != "float"
        hint = f", one of {', '.join(get_args(WeightFormula))}" if of_classes else ""
        raise ValueError(f"method: {term.name} needs {', '.join(missing)}{hint}")
    num_classes = len(statistics.pixels_K)
    return term.build(num_classes, **arguments, ignore_index=ignore_index)


def _counted(name: str, of: str, statistics: ClassStatistics) -> Tensor:
    """Counts or shares of the classes, of pixels or of images."""
    if of not in _COUNTED:
        raise ValueError(f"method: {name} must be {' or '.join(_COUNTED)}, or numbers, got {of!r}")
    if name == "prior" and of == "image":
        return statistics.image_prior()
    counts_K = statistics.pixels_K if of == "pixel" else statistics.images_K
    return class_prior(counts_K, total=None if name == "prior" else 1)


def _weights(name: str, formula: str, statistics: ClassStatistics) -> Tensor:
    """Class weights by formula, of training pixels."""
    if formula not in get_args(WeightFormula):
        allowed = ", ".join(get_args(WeightFormula))
        raise ValueError(f"method: {name} must be one of {allowed}, or numbers, got {formula!r}")
    images_K = statistics.images_K if formula == "median_frequency" else None
    # Of pixels there are so many that any customary beta sees the limit: its counts are of images.
    counts_K = statistics.images_K if formula == "effective_number" else statistics.pixels_K
    return class_weights(counts_K, formula, images_K=images_K)  # type: ignore[arg-type]
