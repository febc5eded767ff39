"""equiseg predict."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import track

from equiseg.training.config import EvaluationConfig


def predict(
    weights: Path,
    images: list[Path],
    out: Path,
    evaluation: EvaluationConfig | None = None,
    opacity: float = 0.55,
) -> None:
    """Predict image files or folders: masks, coloured overlays and a legend.

    Masks are PNG files of class ids (with a palette, up to 256 classes) at the images' own size.

    Args:
        weights: A run's folder or its model.safetensors.
        images: Image files and folders of images.
        out: Folder for masks/, overlays/ and legend.png.
        evaluation: How images are predicted; None predicts each whole, once.
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
    files = image_files(images)
    names = [file.stem for file in files]
    colors_K3 = class_colors(len(card.classes))
    for folder in ("masks", "overlays"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for index, file in enumerate(track(files, "predicting", console=console, transient=True)):
        # Two folders may hold images of one name: the later ones carry their number.
        name = names[index] if names.index(names[index]) == index else f"{names[index]}-{index}"
        image, labels = predict_file(model, card, file, evaluation or EvaluationConfig())
        save_mask(labels, colors_K3, out / "masks" / f"{name}.png")
        save_rgb(overlay(image, labels, colors_K3, opacity), out / "overlays" / f"{name}.png")
    legend(card.classes, colors_K3, out / "legend.png")
    console.print(f"{len(files)} masks, overlays and legend.png are in [bold]{out}[/bold]")
