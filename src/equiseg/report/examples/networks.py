"""Samples with rare classes: image, labels, what each network saw, and where it erred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.data.images.transforms import as_rgb, to_tensors
from equiseg.data.points.voxels import collate_points
from equiseg.data.sample import DataSpec
from equiseg.diagnosis.sample_choice import Spread
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.image_inference import predict, predict_logits
from equiseg.evaluation.inputs import moved
from equiseg.imbalance import FrequencyGroups
from equiseg.report.examples.grid import choose_examples, example_figure
from equiseg.report.examples.scan_grid import scan_example_figure
from equiseg.report.style import Illustration

_MOST_CONSIDERED = 48
_MOST_SHOWN = 4  # half as many of what takes more room: upright images, and scans from two sides


def example_illustration(
    networks: Mapping[str, tuple[nn.Module, Any]],
    groups: FrequencyGroups,
    samples: int | None = None,
    erring: Sequence[str] | None = None,
) -> Illustration | None:
    """Samples chosen by their labels alone for many rare classes, and what was made of them.

    Args:
        networks: Each with the split as it reads it.
        groups: Head, common and tail.
        samples: So many of the split, at most 48, are considered; None takes 48.
        erring: The networks whose errors are shown too; None shows those of all.

    Returns:
        None where no tail class is labelled.
    """
    *_, (_, data) = networks.values()
    spec = DataSpec.of(data)
    view = Spread(data, min(_MOST_CONSIDERED, samples or len(data)))
    labels = [view[index].labels for index in range(len(view))]
    tall = spec.holds_points or labels[0].shape[0] > labels[0].shape[1]
    chosen = choose_examples(labels, groups.tail, _MOST_SHOWN // (2 if tall else 1))
    if not chosen:
        return None
    places = [view.indices[index] for index in chosen]
    shown = [data[place] for place in places]
    order = [k for _, ids in groups for k in ids]
    predictions = {
        name: [
            _predict(model, theirs[place], DataSpec.of(theirs), sample.labels.shape)
            for place, sample in zip(places, shown, strict=True)
        ]
        for name, (model, theirs) in networks.items()
    }
    erring = list(predictions) if erring is None else erring
    nothing = len(spec.classes)
    kind = "scans" if spec.holds_points else "images"
    if spec.holds_points:
        figure = scan_example_figure(
            shown, predictions, spec.classes, groups.tail, order, spec.channels
        )
        errors = "Below, from above, what a network got wrong in red. "
    else:
        wrong = {
            f"errors of {name}": [
                torch.where((ids != s.labels) & (s.labels != spec.ignore_index), ids, nothing)
                for ids, s in zip(predictions[name], shown, strict=True)
            ]
            for name in erring
        }
        figure = example_figure(
            [as_rgb(sample.image) for sample in shown],
            [sample.labels for sample in shown],
            {**predictions, **wrong},
            spec.classes,
            groups.tail,
            order,
        )
        errors = (
            "An outline marks where a tail class is labelled, in every picture of a row. Errors "
            "are what is wrong of a prediction, in its colours. "
        )
    return Illustration(
        "examples",
        "Rare classes in pictures",
        figure,
        f"Of {len(view)} {kind} spread over the split, those with most of the tail classes, chosen "
        "by their labels alone: each choice takes the one with most pixels of them, a class "
        "counting less once it was shown. Tail classes have their full colour, the others a pale "
        f"one. {errors}The palest grey is not labelled, or right.",
        [{"row": row, kind[:-1]: s.name} for row, s in enumerate(shown, start=1)],
        f"{len(shown)} {kind}, each with its labels and what {' and '.join(networks)} saw in it.",
    )


@torch.inference_mode()
def _predict(model: nn.Module, sample: Any, spec: DataSpec, shape: torch.Size) -> Tensor:
    """Class ids (H, W), at the size the labels are shown in; (N,) of a scan."""
    device = next(model.parameters()).device
    if spec.voxel_size is not None:
        batch, _ = collate_points([sample], spec.voxel_size)
        return predict(model, moved(batch, device), EvaluationConfig(), spec.channels).cpu()
    image = to_tensors(sample)[0][None].to(device)
    ids = predict_logits(model, image, EvaluationConfig()).argmax(1)
    return F.interpolate(ids[None].float(), tuple(shape), mode="nearest")[0, 0].long().cpu()
