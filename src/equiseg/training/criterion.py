"""Criterion: the sum of losses that a method minimises, as named parts."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter, signature
from typing import Any, get_args

import torch
from torch import Tensor, nn

from equiseg.centers.label_sides import LabelSide
from equiseg.evaluation.inputs import within
from equiseg.imbalance import ClassStatistics, class_prior, class_weights
from equiseg.imbalance.formulas import WeightFormula
from equiseg.losses.protocol import FromLabels, from_labels
from equiseg.training.methods import Term, parse_method

_COUNTED = ("pixel", "image")
# Parameters that are given vectors by their names, where their type does not say it.
_BY_NAME = {
    "prior": FromLabels.PRIOR,
    "class_counts": FromLabels.COUNTS,
    "class_weight": FromLabels.WEIGHT,
    "weight": FromLabels.WEIGHT,
    "alpha": FromLabels.WEIGHT,
}


class Criterion(nn.Module):
    """A weighted sum of losses, of the logits or of the last-layer features.

    Args:
        losses: Each loss by name.
        factors: Factor of each loss, in the same order.
        over_features: Whether each loss takes features (or logits), in the same order.
        statistics: Statistics of the training labels, for losses that change their weights later.
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

    @property
    def side_conventions(self) -> list[bool]:
        """``align_corners`` of the losses that take a label side, each value once."""
        return sorted(
            {bool(loss.align_corners) for loss in self.losses.values() if _takes_side(loss)}
        )

    def forward(
        self,
        logits: Tensor,
        features: Tensor,
        labels: Tensor,
        inverse: Tensor | None = None,
        sides: Sequence[LabelSide] = (),
    ) -> dict[str, Tensor]:
        """The parts of the loss by name; training minimises their sum.

        Args:
            logits: (B, K, h, w), or (V, K) of voxels.
            features: Input of the classifier, (B, C, h, w) or (V, C).
            labels: (B, H, W), or (N,) of points.
            inverse: (N,) voxel of every point.
            sides: Label sides of these labels, if they are made; one for each convention of the
                resize, or one of voxels.

        Raises:
            ValueError: If a loss returns more than one number.
        """
        given = [within(features, labels) if over else logits for over in self.over_features]
        parts = {}
        for (name, loss), factor, inputs in zip(
            self.losses.items(), self.factors, given, strict=True
        ):
            known = {"label_side": _side_for(loss, sides)} if _takes_side(loss) else {}
            parts[name] = factor * loss(inputs, labels, inverse=inverse, **known)
        for name, part in parts.items():
            if part.ndim:
                raise ValueError(
                    f"method: {name} must return one number, got shape {tuple(part.shape)}; take "
                    "its mean over the labelled pixels"
                )
        return parts

    def begin_epoch(self, share_done: float) -> None:
        """Call ``begin_epoch`` of every loss that has it.

        Args:
            share_done: Share of the training's epochs that are done.
        """
        for loss in self.losses.values():
            if hasattr(loss, "begin_epoch"):
                loss.begin_epoch(share_done, self.statistics)  # type: ignore[operator]

    def fix_classifier(self, classifier: nn.Module) -> None:
        """Set the classifier to the rows that a loss provides, and freeze it.

        Args:
            classifier: The last layer, linear in its features.

        Raises:
            ValueError: If the layer is larger than 1x1.
        """
        for name, loss in self.losses.items():
            rows_KD: Any = getattr(loss, "classifier_rows", None)
            if rows_KD is None:
                continue
            weight: Any = classifier.weight
            if weight.numel() != rows_KD.numel():
                raise ValueError(
                    f"{name} needs a classifier of one row per class, {tuple(rows_KD.shape)}, the "
                    f"network's is {tuple(weight.shape)}; choose a network of equiseg's own"
                )
            weight.data.copy_(rows_KD.view_as(weight))
            if classifier.bias is not None:
                classifier.bias.data.zero_()  # type: ignore[operator]
            classifier.requires_grad_(False)


def _takes_side(loss: nn.Module) -> bool:
    return "label_side" in signature(loss.forward).parameters


def _side_for(loss: nn.Module, sides: Sequence[LabelSide]) -> LabelSide | None:
    """The side that follows the convention of a loss; voxels are not resized."""
    of_voxels = (side for side in sides if len(side.feature_shape) == 1)
    alike = (side for side in sides if side.align_corners == loss.align_corners)
    return next(of_voxels, None) or next(alike, None)


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
    losses = {term.key: _build(term, statistics, in_features, ignore_index) for term in terms}
    fixing = [name for name, loss in losses.items() if hasattr(loss, "classifier_rows")]
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
    """Raise an error for a method that cannot be built, before any data are read.

    Losses over features depend on the network and are not checked.

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
    """Build the loss of a term, with vectors from the training labels."""
    parameters = term.parameters
    arguments = dict(term.arguments)
    if "ignore_index" not in parameters:
        raise ValueError(
            f"method: {term.name} takes no ignore_index, so it cannot leave labels out; let it "
            "take one (equiseg.losses.PixelLoss does)"
        )
    if term.over_features:
        arguments["in_features"] = in_features
    kinds = {name: _kind(parameter) for name, parameter in parameters.items()}
    for name, kind in kinds.items():
        required = parameters[name].default is Parameter.empty
        if kind is None:
            _check_number(term, name, parameters[name], arguments.get(name))
        elif kind is FromLabels.WEIGHT:
            if isinstance(formula := arguments.get(name), str):
                arguments[name] = _weights(name, formula, statistics)
        else:
            default = ("image" if term.over_features else "pixel") if required else None
            if isinstance(of := arguments.get(name, default), str):
                arguments[name] = _counted(name, kind, of, statistics)
    required_names = [name for name, p in parameters.items() if p.default is Parameter.empty]
    if missing := [n for n in required_names if n not in arguments and n != "num_classes"]:
        formulas = any(kinds[name] is FromLabels.WEIGHT for name in missing)
        hint = f", one of {', '.join(get_args(WeightFormula))}" if formulas else ""
        raise ValueError(f"method: {term.name} needs {', '.join(missing)}{hint}")
    num_classes = len(statistics.pixels_K)
    return term.build(num_classes, **arguments, ignore_index=ignore_index)


def _kind(parameter: Parameter) -> FromLabels | None:
    """What a parameter is given from the labels: by its type, else by its name if it is untyped."""
    if kind := from_labels(parameter.annotation):
        return kind
    takes_vectors = parameter.annotation is Parameter.empty or _takes(parameter, Tensor)
    return _BY_NAME.get(parameter.name) if takes_vectors else None


def _takes(parameter: Parameter, kind: type) -> bool:
    """Whether a type is, or its union has, this one."""
    return kind in (parameter.annotation, *get_args(parameter.annotation))


def _check_number(term: Term, name: str, parameter: Parameter, value: Any) -> None:
    """Refuse a word for a parameter that is a number."""
    numeric = parameter.annotation in (float, int)
    if numeric and isinstance(value, str):
        raise ValueError(
            f"method: {name} of {term.name} must be a number, got {value!r:.80}; a loss that takes "
            "class weights names their type, equiseg.losses.ClassWeight"
        )


def _counted(name: str, kind: FromLabels, of: str, statistics: ClassStatistics) -> Tensor:
    """Counts or shares of the classes, of pixels or of images."""
    if of not in _COUNTED:
        raise ValueError(f"method: {name} must be {' or '.join(_COUNTED)}, or numbers, got {of!r}")
    if kind is FromLabels.PRIOR and of == "image":
        return statistics.image_prior()
    counts_K = statistics.pixels_K if of == "pixel" else statistics.images_K
    return class_prior(counts_K, total=None if kind is FromLabels.PRIOR else 1)


def _weights(name: str, formula: str, statistics: ClassStatistics) -> Tensor:
    """Class weights by formula, of training pixels."""
    if formula not in get_args(WeightFormula):
        allowed = ", ".join(get_args(WeightFormula))
        raise ValueError(f"method: {name} must be one of {allowed}, or numbers, got {formula!r}")
    images_K = statistics.images_K if formula == "median_frequency" else None
    # Pixel counts are beyond the limit of any usual beta, so effective_number counts images.
    counts_K = statistics.images_K if formula == "effective_number" else statistics.pixels_K
    return class_weights(counts_K, formula, images_K=images_K)  # type: ignore[arg-type]
