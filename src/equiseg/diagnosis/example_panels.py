"""Example panels: samples with rare classes, and the predictions of networks on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
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
from equiseg.records.examples import SIDE, ExamplePanels

_MOST_CONSIDERED = 48
_MOST_SHOWN = 4  # half as many of upright images and of scans, which take more room
_MOST_POINTS = 200_000  # of a scan: more than a shown picture has room for


def example_panels(
    networks: Mapping[str, tuple[nn.Module, Any]],
    groups: FrequencyGroups,
    samples: int | None = None,
    with_errors: Sequence[str] | None = None,
) -> ExamplePanels | None:
    """Samples chosen by their labels alone for many rare classes, and the predictions on them.

    Args:
        networks: Each with the split as it reads it.
        groups: Head, common and tail.
        samples: So many of the split, at most 48, are considered; None takes 48.
        with_errors: The networks whose errors are shown too; None shows the errors of all.

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
    predictions = {
        name: [
            _predict(model, theirs[place], DataSpec.of(theirs), sample.labels.shape)
            for place, sample in zip(places, shown, strict=True)
        ]
        for name, (model, theirs) in networks.items()
    }
    cut = [_points(sample, spec) if spec.holds_points else _pixels(sample) for sample in shown]
    num_classes = len(spec.classes)

    def ids(some: Sequence[Tensor]) -> list[np.ndarray]:
        return [_ids(one, where, num_classes) for one, (_, where) in zip(some, cut, strict=True)]

    return ExamplePanels(
        "scans" if spec.holds_points else "images",
        [sample.name for sample in shown],
        len(view),
        tuple(spec.classes),
        {name: list(members) for name, members in groups},
        [picture for picture, _ in cut],
        ids([sample.labels for sample in shown]),
        {name: ids(some) for name, some in predictions.items()},
        list(predictions) if with_errors is None else list(with_errors),
        [s.xyz_N3.numpy()[i].astype(np.float32) for s, (_, i) in zip(shown, cut, strict=True)]
        if spec.holds_points
        else [],
    )


def choose_examples(labels: Sequence[Tensor], rare: Sequence[int], most: int = 4) -> list[int]:
    """Images that show many rare classes, chosen by their labels alone.

    Each choice takes the image with most pixels of rare classes, each class counted by its share
    of what is left of it, so that all of them come up.

    Args:
        labels: Class ids (H, W) of each image.
        rare: The classes to show.
        most: Images to choose at most.
    """
    if not rare or not labels:
        return []
    pixels_NR = torch.stack([torch.stack([(m == k).sum() for k in rare]) for m in labels]).float()
    # The square root: many small things say more than one large.
    worth_NR = pixels_NR.sqrt() / pixels_NR.sqrt().amax(0).clamp(min=1)
    need_R = torch.ones(len(rare))
    chosen: list[int] = []
    while len(chosen) < most:
        gain_N = (worth_NR * need_R).sum(1)
        gain_N[chosen] = 0
        best = int(gain_N.argmax())
        if gain_N[best] <= 0:
            break
        chosen.append(best)
        need_R = need_R * (1 - 0.9 * worth_NR[best])
    return sorted(chosen)


@torch.inference_mode()
def _predict(model: nn.Module, sample: Any, spec: DataSpec, shape: torch.Size) -> Tensor:
    """Class ids (H, W), at the size of the labels; (N,) of a scan."""
    device = next(model.parameters()).device
    if spec.voxel_size is not None:
        batch, _ = collate_points([sample], spec.voxel_size)
        return predict(model, moved(batch, device), EvaluationConfig(), spec.channels).cpu()
    image = to_tensors(sample)[0][None].to(device)
    ids = predict_logits(model, image, EvaluationConfig()).max(1).indices
    return F.interpolate(ids[None].float(), tuple(shape), mode="nearest")[0, 0].long().cpu()


def _pixels(sample: Any) -> tuple[np.ndarray, Any]:
    """An image (H, W, 3) uint8, and which pixels of the labels are shown: none wider than shown."""
    height, width = sample.labels.shape
    least = min(1.0, SIDE / width)
    size = round(least * height), round(least * width)
    image = F.interpolate(
        as_rgb(sample.image)[None].float(), size, mode="bilinear", antialias=True
    )[0]
    rows, columns = (
        torch.arange(n) * side // n for n, side in zip(size, (height, width), strict=True)
    )
    pixels = image.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return pixels, (rows[:, None], columns)


def _points(sample: Any, spec: DataSpec) -> tuple[np.ndarray, Any]:
    """uint8 colours (N, 3) of a scan, or its heights (N,), and which points are shown."""
    number = len(sample.xyz_N3)
    kept_M = torch.arange(min(number, _MOST_POINTS)) * number // min(number, _MOST_POINTS)
    if {"red", "green", "blue"} <= set(spec.channels):
        columns = [list(spec.channels).index(name) for name in ("red", "green", "blue")]
        shown = sample.features_NC[:, columns].clamp(0, 1).numpy()
    else:
        height_N = sample.xyz_N3[:, 2].numpy()
        low, high = np.quantile(height_N, (0.01, 0.99)).tolist()  # torch's has a limit
        shown = ((height_N - low) / max(high - low, 1e-6)).clip(0, 1)
    return (255 * shown[kept_M.numpy()]).round().astype(np.uint8), kept_M


def _ids(ids: Tensor, where: Any, num_classes: int) -> np.ndarray:
    """The class ids that are shown, K for what has none, in as few bytes as hold them."""
    shown = ids.long()[where]
    shown = torch.where((shown >= 0) & (shown < num_classes), shown, num_classes)
    return shown.numpy().astype(np.uint8 if num_classes < 256 else np.uint16)
