"""equiseg predict."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from equiseg.evaluation.config import EvaluationConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from equiseg.evaluation.folders import PredictedImage, PredictedScan
    from equiseg.runs.weights import ModelCard

MAIN_OPTIONS = {
    "files": ("weights", "inputs", "out"),
    "prediction": (
        "evaluation.flip",
        "evaluation.scales",
        "evaluation.window",
        "evaluation.stride",
        "evaluation.votes",
    ),
    "pictures": ("opacity",),
}


def predict(
    weights: Path,
    inputs: Path | list[Path],
    out: Path,
    evaluation: EvaluationConfig = EvaluationConfig(),  # noqa: B008 - frozen
    opacity: float = 0.55,
) -> None:
    """Predict images or scans, with pictures and a legend.

    For images it writes masks/ (PNG files of class ids, with a palette up to 256 classes, at the
    images' own size) and overlays/. For scans it writes scans/ (LAS and LAZ with only the
    classification replaced, and every scan as PLY with colours and labels), views/ from above and
    oblique, and for a network of ScanNet200 submission/, a file of ids for every scene.

    Args:
        weights: The folder of a run, or its model.safetensors.
        inputs: A file or a folder, or several as "[a.jpg, photos/]".
        out: The folder for the results and legend.png.
        evaluation: How images or scans are predicted; each whole and once by default.
        opacity: Opacity of the colours in the overlays of images, 0 to 1.

    Raises:
        ValueError: If there are no weights, or an option does not apply to them.
        DataError: If files cannot be read; the others are predicted.
    """
    import torch
    from rich.console import Console
    from rich.markup import escape

    from equiseg.evaluation.folders import FilePredictor
    from equiseg.evaluation.image_inference import check_evaluation
    from equiseg.report.colors import class_colors
    from equiseg.report.examples.overlays import legend
    from equiseg.report.wording import count
    from equiseg.runs.progress_bar import tracked
    from equiseg.runs.weights import load_weights

    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be between 0 and 1, got {opacity}")
    console, out = Console(), Path(out)
    model, card = load_weights(Path(weights))
    check_evaluation(evaluation, card.scans is not None)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    sources = [Path(s) for s in (inputs if isinstance(inputs, list) else [inputs])]
    predictor = FilePredictor(model, card, evaluation)
    track = partial(tracked, console=console)
    if card.scans is None:
        number = predictor.images(sources, _image_writer(card, out, opacity), track)
        written = f"{count(number, 'mask')}, overlays"
    else:
        number = predictor.scans(sources, _scan_writer(card, out), out, track)
        written = f"{count(number, 'scan')}, views"
    legend(card.classes, class_colors(len(card.classes)), out / "legend.png")
    console.print(f"{written} and legend.png are in [bold]{escape(str(out))}[/bold]")


def _image_writer(card: ModelCard, out: Path, opacity: float) -> Callable[[PredictedImage], None]:
    """Writes a mask and an overlay."""
    from equiseg.report.colors import class_colors
    from equiseg.report.examples.overlays import overlay, save_mask, save_rgb

    colors_K3 = class_colors(len(card.classes))
    for folder in ("masks", "overlays"):
        (out / folder).mkdir(parents=True, exist_ok=True)

    def write(found: PredictedImage) -> None:
        shown = overlay(found.image, found.labels, colors_K3, opacity)
        save_mask(found.labels, colors_K3, out / "masks" / f"{found.name}.png")
        save_rgb(shown, out / "overlays" / f"{found.name}.png")

    return write


def _scan_writer(card: ModelCard, out: Path) -> Callable[[PredictedScan], None]:
    """Writes a labelled scan, its views and, for ScanNet200, a submission file."""
    import numpy as np
    from PIL import Image

    from equiseg.data.points.formats.ply import write_ply
    from equiseg.data.points.formats.table import find_format, format_of_file
    from equiseg.report.colors import class_colors
    from equiseg.report.points.render import render

    assert card.scans is not None
    reading, rgb_K3 = card.scans, np.asarray(class_colors(len(card.classes)))
    codes_K, trained_on = np.array(reading.codes), find_format(reading.form)
    (out / "scans").mkdir(parents=True, exist_ok=True)
    (out / "views").mkdir(exist_ok=True)

    def write(found: PredictedScan) -> None:
        name, xyz_N3 = found.name, found.xyz_N3
        codes_N, rgb_N3 = codes_K[found.ids_N], rgb_K3[found.ids_N]
        write_ply(out / "scans" / f"{name}.ply", xyz_N3, rgb_N3=rgb_N3, labels_N=codes_N)
        if trained_on.submit is not None:
            trained_on.submit(out / "submission", name, codes_N)
        for view in ("above", "oblique"):
            picture = Image.fromarray(render(xyz_N3, rgb_N3, view=view, size=1200))
            picture.save(out / "views" / f"{name}_{view}.png")
        form = format_of_file(found.file, trained_on.name)
        if form is not None and form.write is not None:
            form.write(found.file, out / "scans" / f"{name}{found.file.suffix}", codes_N)

    return write
