"""The report of a comparison: figures from its folder, and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.collapse import Geometry
from equiseg.data.points.voxels import collate_points
from equiseg.data.sample import DataSpec
from equiseg.data.transforms import to_tensors
from equiseg.report.drawing import Illustration, save_figure
from equiseg.report.examples import choose_examples, example_figure
from equiseg.report.figures import (
    class_figure,
    collapse_curve_figure,
    cosine_figure,
    curve_figure,
)
from equiseg.report.history import history_rows
from equiseg.report.page import write_page
from equiseg.report.scan_examples import scan_example_figure
from equiseg.report.wording import number
from equiseg.training.compare import Comparison
from equiseg.training.config import EvaluationConfig, TrainConfig
from equiseg.training.config_file import read_config
from equiseg.training.evaluate import Evaluation, evaluate
from equiseg.training.inference import predict, predict_logits
from equiseg.training.sources import open_split
from equiseg.training.weights import load_weights

PAGE = "report.html"
_MOST_IMAGES = 48  # enough for centers of rare classes, few enough for seconds on a CPU
_MOST_EXAMPLES = 4  # half as many where images stand upright and take more room


def report_comparison(out: Path, comparison: Comparison, command: str) -> Path:
    """Draw what the folder of a comparison allows, and write its page.

    Writes ``out/report.html`` and ``out/figures/*``: every figure as PNG and SVG, its numbers as
    CSV. Examples and centers come from the
    networks of the first seed; where their weights or the data cannot be read, the page says so
    and goes without.

    Args:
        out: Folder of the comparison, ``out/<variant>/seed<seed>``.
        comparison: Its results.
        command: The command that made it.

    Returns:
        The page.
    """
    folders = {n: [out / n / f"seed{s}" for s in comparison.seeds] for n in comparison.runs}
    notes = []
    figures = [_classes(comparison)]
    try:
        figures += _networks({name: paths[0] for name, paths in folders.items()}, comparison)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        notes.append(f"No examples and no centers are shown: {reason}")
    figures += _while_training(folders)
    for figure in figures:
        save_figure(figure, out / "figures")
    write_page(out / PAGE, _title(comparison), comparison, figures, notes, command)
    return out / PAGE


def _title(comparison: Comparison) -> str:
    others = list(comparison.runs)[1:]
    data = Path(comparison.runs[comparison.baseline][0]["config"]["data"]["card"]).stem
    if not others:
        return f"{comparison.baseline} on {data}"
    return f"{', '.join(others)} against {comparison.baseline} on {data}"


def _classes(comparison: Comparison) -> Illustration:
    """Every class, by frequency: its share, its scores, its differences."""
    rows = []
    order = [(group, k) for group, ids in comparison.groups.items() for k in ids]
    for group, k in order:
        for name in comparison.runs:
            values = comparison.class_values(name, k)
            row = {
                "class": comparison.classes[k],
                "group": group,
                f"training {comparison.unit}s": comparison.pixels[k],
                "variant": name,
                **{f"IoU seed {s}": v for s, v in zip(comparison.seeds, values, strict=True)},
            }
            if name != comparison.baseline:
                gap = comparison.class_difference(name, k)
                row["difference"] = gap.mean
                row["95 % from"] = gap.mean - gap.half_width
                row["95 % to"] = gap.mean + gap.half_width
            rows.append(row)
    first, last = (comparison.classes[order[end][1]] for end in (0, -1))
    return Illustration(
        "classes",
        "Class by class",
        class_figure(comparison),
        f"{_CLASSES} {_MARKS if len(comparison.seeds) > 1 else 'The marks are of one seed.'}",
        rows,
        f"A row for each of {len(order)} classes, from {first} to {last}: its share of the "
        f"training {comparison.unit}s, and its IoU under {' and '.join(comparison.runs)}. The "
        "same numbers stand in the table of every class.",
    )


def _while_training(folders: Mapping[str, Sequence[Path]]) -> list[Illustration]:
    """Curves over the epochs, as far as they were logged."""
    shown = []
    names = " and ".join(folders)
    curves = curve_figure(folders)
    if curves is not None:
        rows = history_rows(folders, ("loss", "val/"))
        alt = f"Lines over the epochs for {names}."
        shown.append(Illustration("curves", "While training", curves, _CURVES, rows, alt))
    collapse = collapse_curve_figure(folders)
    if collapse is not None:
        rows = history_rows(folders, ("collapse/",))
        title, alt = "Collapse while training", f"Measures over the epochs for {names}."
        shown.append(Illustration("collapse", title, collapse, _COLLAPSE, rows, alt))
    return shown


def _networks(folders: Mapping[str, Path], comparison: Comparison) -> list[Illustration]:
    """The figures that need the trained networks of one seed."""
    configs = {name: read_config(folder / "config.yaml") for name, folder in folders.items()}
    base = configs[comparison.baseline]
    picked = _Picked(base, comparison.split)
    rare = comparison.groups["tail"]
    labels = [sample.labels for sample in picked.samples]
    upright = not picked.spec.holds_points and labels[0].shape[0] > labels[0].shape[1]
    most = _MOST_EXAMPLES // 2 if upright else _MOST_EXAMPLES
    examples = choose_examples(labels, rare, most)
    evaluations: dict[str, Evaluation] = {}
    predictions: dict[str, list[Tensor]] = {}
    for name, folder in folders.items():
        config = configs[name]
        data = picked if config.data == base.data else _Picked(config, comparison.split)
        model, card = load_weights(folder)
        evaluations[name] = evaluate(model, data, EvaluationConfig(), card.groups)
        predictions[name] = [
            _predict(model, data.spec, data[index], config.evaluation, picked[index].labels.shape)
            for index in examples
        ]
    kind = "scans" if picked.spec.holds_points else "images"
    where = f"first seed, {len(picked)} {kind} of the {comparison.split} split"
    shown = [_cosines({n: e.collapse for n, e in evaluations.items()}, comparison, where)]
    if examples:
        samples = [picked[index] for index in examples]
        order = [k for ids in comparison.groups.values() for k in ids]
        if picked.spec.holds_points:
            pictures = scan_example_figure(
                samples, predictions, comparison.classes, rare, order, picked.spec.channels
            )
            caption = _SCAN_EXAMPLES.format(where)
        else:
            pictures = example_figure(
                [sample.image for sample in samples],
                [sample.labels for sample in samples],
                predictions,
                comparison.classes,
                rare,
                order,
            )
            caption = _EXAMPLES.format(where)
        names = [{"row": row, kind[:-1]: s.name} for row, s in enumerate(samples, start=1)]
        seen = " and ".join(folders)
        alt = f"{len(samples)} {kind}, each with its labels and what {seen} saw in it."
        title = "Rare classes in pictures"
        shown.insert(0, Illustration("examples", title, pictures, caption, names, alt))
    return shown


def _cosines(
    geometries: Mapping[str, Geometry], comparison: Comparison, where: str
) -> Illustration:
    """Angles between class centers, as maps and as matrices."""
    order = [k for ids in comparison.groups.values() for k in ids]
    rows = []
    for name, geometry in geometries.items():
        for k in order:
            cosines = {
                comparison.classes[j]: round(float(geometry.cosines_KK[k, j]), 5) for j in order
            }
            rows.append({"variant": name, "class": comparison.classes[k], **cosines})
    distances = ", ".join(
        f"{name} {number(geometry.maximal_separation, 1, 3)}"
        for name, geometry in geometries.items()
    )
    return Illustration(
        "cosines",
        "Angles between class centers",
        cosine_figure(geometries, comparison.classes, comparison.groups),
        _COSINES.format(where),
        rows,
        f"A square of cosines for each variant. Mean distance from the simplex: {distances}.",
    )


class _Picked:
    """Samples spread evenly over a split, held in memory: neighbours in a video look alike."""

    def __init__(self, config: TrainConfig, split: str) -> None:
        data = open_split(config.data, split)
        self.spec = DataSpec.of(data)
        self.classes = data.classes
        self.ignore_index = data.ignore_index
        self.background = data.background
        self.channels = self.spec.channels
        self.voxel_size = self.spec.voxel_size
        number = min(_MOST_IMAGES, len(data))
        self.samples = [data[i * len(data) // number] for i in range(number)]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


@torch.inference_mode()
def _predict(
    model: nn.Module, spec: DataSpec, sample: Any, config: EvaluationConfig, shape: torch.Size
) -> Tensor:
    """Class ids (H, W), at the size the labels are shown in; (N,) of a scan."""
    if spec.voxel_size is not None:
        batch, _ = collate_points([sample], spec.voxel_size)
        return predict(model, batch, config, spec.channels)
    ids = predict_logits(model, to_tensors(sample)[0][None], config).argmax(1)
    return F.interpolate(ids[None].float(), tuple(shape), mode="nearest")[0, 0].long()


_CLASSES = "Classes from the most to the least frequent in training, the tail shaded most."
_MARKS = (
    "Large marks are means over seeds, small dots single seeds, bars 95 % intervals of the paired "
    "difference; a bar that meets the border goes on beyond it."
)
_EXAMPLES = (
    "Images chosen by their labels alone for many rare classes ({}). Tail classes have their full "
    "colour, the others a pale one; an outline marks where a tail class is labelled, in every "
    "picture of a row. The palest grey is not labelled."
)
_SCAN_EXAMPLES = (
    "Scans chosen by their labels alone for many rare classes ({}). Tail classes have their full "
    "colour, the others a pale one. The palest grey is not labelled. Below, from above, what a "
    "variant got wrong in red."
)
_COSINES = (
    "Cosines between the centered class centers of the last features, most frequent class first "
    "({}). White is the simplex, red closer to each other, blue farther apart, grey a class with "
    "itself or one these images lack; lines part head, common and tail."
)
_CURVES = (
    "Thin lines are seeds, thick lines their mean up to the last epoch all of them reached. Losses "
    "are means over an epoch of augmented training images, scores are of the validation split."
)
_COLLAPSE = (
    "How far the validation features are from neural collapse; each measure is 0 when it is "
    "complete. Equiangularity is the spread of the cosines between class centers, or between rows "
    "of the classifier."
)
