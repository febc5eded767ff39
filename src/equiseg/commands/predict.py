"""equiseg predict."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from torch import nn

from equiseg.evaluation.config import EvaluationConfig
from equiseg.runs.progress import tracked
from equiseg.runs.weights import ModelCard


def predict(
    weights: Path,
    inputs: Path | list[Path],
    out: Path,
    evaluation: EvaluationConfig = EvaluationConfig(),  # noqa: B008 - frozen
    opacity: float = 0.55,
) -> None:
    """Predict files or folders of images or of scans, with pictures and a legend.

    Of images: masks/ (PNG files of class ids, with a palette up to 256 classes, at the images' own
    size) and overlays/. Of scans: scans/ (LAS and LAZ with the classification replaced and all
    else kept, and every scan as PLY with colours and labels), views/ from above and oblique,
    and for a network of ScanNet200 submission/, a file of ids for every scene.

    Args:
        weights: A run's folder or its model.safetensors.
        inputs: A file or a folder, or several as "[a.jpg, photos/]".
        out: Folder for the results and legend.png.
        evaluation: How images or scans are predicted; each whole and once if not said otherwise.
        opacity: Of the colours in the overlays of images, 0 to 1.
    """
    import torch

    from equiseg.evaluation.image_inference import check_evaluation
    from equiseg.report.colors import class_colors
    from equiseg.report.examples.overlays import legend
    from equiseg.runs.weights import load_weights

    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be between 0 and 1, got {opacity}")
    console = Console()
    model, card = load_weights(weights)
    check_evaluation(evaluation, card.scans is not None)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    sources = inputs if isinstance(inputs, list) else [inputs]
    if card.scans is None:
        written = _predict_images(model, card, sources, out, evaluation, opacity, console)
    else:
        written = _predict_scans(model, card, sources, out, evaluation, console)
    legend(card.classes, class_colors(len(card.classes)), out / "legend.png")
    console.print(f"{written} and legend.png are in [bold]{out}[/bold]")


def _predict_images(
    model: nn.Module,
    card: ModelCard,
    sources: list[Path],
    out: Path,
    evaluation: EvaluationConfig,
    opacity: float,
    console: Console,
) -> str:
    from equiseg.evaluation.image_files import image_files, predict_file
    from equiseg.report.colors import class_colors
    from equiseg.report.examples.overlays import overlay, save_mask, save_rgb
    from equiseg.report.wording import count

    files = image_files(sources)
    colors_K3 = class_colors(len(card.classes))
    for folder in ("masks", "overlays"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    names = _distinct(file.stem for file in files)
    for file, name in zip(tracked(files, "predicting", console), names):  # noqa: B905
        image, labels = predict_file(model, card, file, evaluation)
        save_mask(labels, colors_K3, out / "masks" / f"{name}.png")
        save_rgb(overlay(image, labels, colors_K3, opacity), out / "overlays" / f"{name}.png")
    return f"{count(len(files), 'mask')}, overlays"


def _predict_scans(
    model: nn.Module,
    card: ModelCard,
    sources: list[Path],
    out: Path,
    evaluation: EvaluationConfig,
    console: Console,
) -> str:
    import numpy as np
    from PIL import Image

    from equiseg.data.errors import DataError
    from equiseg.data.points.formats.ply import write_ply
    from equiseg.data.points.formats.table import find_format, format_of_file
    from equiseg.evaluation.scan_files import predict_scan_file, scan_files
    from equiseg.report.colors import class_colors
    from equiseg.report.points.render import render
    from equiseg.report.wording import count

    assert card.scans is not None
    trained_on = find_format(card.scans.form)
    files = scan_files(sources, trained_on.name)
    rgb_K3 = class_colors(len(card.classes)).numpy()
    codes_K = np.array(card.scans.codes)
    (out / "scans").mkdir(parents=True, exist_ok=True)
    (out / "views").mkdir(exist_ok=True)
    names = _distinct(file.stem for file in files)
    problems: list[str] = []
    for file, name in zip(tracked(files, "predicting", console), names):  # noqa: B905
        try:
            with tempfile.TemporaryDirectory(dir=out) as cache:
                xyz_N3, ids_N = predict_scan_file(model, card, file, evaluation, Path(cache))
            codes_N, rgb_N3 = codes_K[ids_N], rgb_K3[ids_N]
            write_ply(out / "scans" / f"{name}.ply", xyz_N3, rgb_N3=rgb_N3, labels_N=codes_N)
            if trained_on.submit is not None:
                trained_on.submit(out / "submission", name, codes_N)
            for view in ("above", "oblique"):
                Image.fromarray(render(xyz_N3, rgb_N3, view=view, size=1200)).save(
                    out / "views" / f"{name}_{view}.png"
                )
            form = format_of_file(file, trained_on.name)
            if form is not None and form.write is not None:
                form.write(file, out / "scans" / f"{name}{file.suffix}", codes_N)
        except DataError as error:
            problems.append(str(error))  # the others are predicted all the same
    if problems:
        raise DataError.listing("scans that were not predicted, or not wholly", problems)
    return f"{count(len(files), 'scan')}, views"


def _distinct(names: Iterator[str]) -> Iterator[str]:
    """The names in order; two folders may hold files of one name: the later ones get a number."""
    taken: set[str] = set()
    for name in names:
        numbered = (f"{name}-{number}" for number in itertools.count(2))
        taken.add(free := next(n for n in itertools.chain([name], numbered) if n not in taken))
        yield free
