"""equiseg predict."""

from __future__ import annotations

import itertools
from pathlib import Path

from rich.console import Console
from rich.progress import track

from equiseg.training.config import EvaluationConfig


def predict(
    weights: Path,
    images: Path | list[Path],
    out: Path,
    evaluation: EvaluationConfig = EvaluationConfig(),  # noqa: B008 - frozen
    opacity: float = 0.55,
) -> None:
    """Predict image files or folders: masks, coloured overlays and a legend.

    Masks are PNG files of class ids (with a palette, up to 256 classes) at the images' own size.

    Args:
        weights: A run's folder or its model.safetensors.
        images: An image file or a folder of images, or several as "[a.jpg, photos/]".
        out: Folder for masks/, overlays/ and legend.png.
        evaluation: How images are predicted; each whole and once if not said otherwise.
        opacity: Of the colours in the overlays, 0 to 1.
    """
    import torch

    from equiseg.report.colors import class_colors
    from equiseg.report.overlays import legend, overlay, save_mask, save_rgb
    from equiseg.training.predict import image_files, predict_file
    from equiseg.training.weights import load_weights

    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be between 0 and 1, got {opacity}")
    console = Console()
    model, card = load_weights(weights)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    files = image_files(images if isinstance(images, list) else [images])
    taken: set[str] = set()
    colors_K3 = class_colors(len(card.classes))
    for folder in ("masks", "overlays"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for file in track(files, "predicting", console=console, transient=True):
        # Two folders may hold images of one name: the later ones carry a number.
        numbered = (f"{file.stem}-{number}" for number in itertools.count(2))
        name = next(n for n in itertools.chain([file.stem], numbered) if n not in taken)
        taken.add(name)
        image, labels = predict_file(model, card, file, evaluation)
        save_mask(labels, colors_K3, out / "masks" / f"{name}.png")
        save_rgb(overlay(image, labels, colors_K3, opacity), out / "overlays" / f"{name}.png")
    legend(card.classes, colors_K3, out / "legend.png")
    console.print(f"{len(files)} masks, overlays and legend.png are in [bold]{out}[/bold]")
