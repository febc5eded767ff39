"""equiseg predict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from equiseg.evaluation.config import EvaluationConfig

MAIN_OPTIONS = {
    "files": ("weights", "inputs", "out", "values", "confidence"),
    "prediction": (
        "evaluation.flip",
        "evaluation.scales",
        "evaluation.window",
        "evaluation.stride",
        "evaluation.votes",
    ),
    "pictures": ("opacity",),
    "run": ("threads",),
}


@dataclass(frozen=True)
class PredictOptions:
    """Which values and files are written.

    Attributes:
        values: Values in masks and scans: "card", the values of the card the network was trained
            with, so that they fit its annotations; or "index", class ids 0, 1, ...
        confidence: Also write the probability of each predicted class: confidence/NAME.png, grey
            from 0 (no confidence) to 255 (probability 1), or the column "confidence" of PLY files.
        opacity: Opacity of the colours in the overlays of images, 0 to 1.
        threads: CPU threads of the network. None takes all cores. Four more threads read and write
            images at the same time.

    Raises:
        ValueError: If the opacity is not between 0 and 1.
    """

    values: Literal["card", "index"] = "card"
    confidence: bool = False
    opacity: float = 0.55
    threads: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be between 0 and 1, got {self.opacity}")


def predict(
    weights: Path,
    inputs: Path | list[Path],
    out: Path,
    evaluation: EvaluationConfig = EvaluationConfig(),  # noqa: B008 - frozen
    options: PredictOptions = PredictOptions(),
) -> None:
    """Predict images or scans, with pictures and a legend.

    For images it writes masks/ (PNG files of the card's values, with a palette up to 255, at the
    images' own size) and overlays/, in which the background is not painted. For scans it writes
    scans/ (LAS and LAZ with only the classification replaced, and every scan as PLY with colours
    and labels), views/ from above and oblique, and for a network of ScanNet200 submission/, a file
    of ids for every scene. classes.csv has the value, name, colour and group of each class,
    legend.png shows them.

    A file that cannot be used does not stop the others: all are named at the end, and the exit
    status is 1. Images of more than 12.5 megapixels are predicted in windows.

    Args:
        weights: The folder of a run, or its model.safetensors.
        inputs: A file or a folder, or several as "[a.jpg, photos/]".
        out: The folder for the results.
        evaluation: How images or scans are predicted; each whole and once by default.
        options: Which values and files are written.

    Raises:
        ValueError: If there are no weights, an option does not apply to them, the network computes
            NaN, or another process writes to the folder.
        DataError: If files cannot be read; the others are predicted.
    """
    import torch
    from rich.console import Console

    from equiseg.commands.prediction_files import PredictionFiles, WrittenClasses
    from equiseg.evaluation.folders import FilePredictor
    from equiseg.evaluation.image_inference import check_evaluation
    from equiseg.report.wording import count
    from equiseg.runs.lock import held
    from equiseg.runs.progress_bar import tracked
    from equiseg.runs.terminal import as_is, folder_line
    from equiseg.runs.threads import use_threads
    from equiseg.runs.weights import load_weights
    from equiseg.whole_files import sweep

    use_threads(options.threads)
    console, out = Console(), Path(out)
    model, card = load_weights(Path(weights))
    check_evaluation(evaluation, card.scans is not None)
    classes = WrittenClasses.of(card, options.values)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    sources = [Path(s) for s in (inputs if isinstance(inputs, list) else [inputs])]

    def tell(sentence: str) -> None:
        console.print(as_is(sentence), soft_wrap=True)

    predictor = FilePredictor(model, card, evaluation, options.confidence, tell)
    track = partial(tracked, console=console)
    with held(out):
        sweep(out)
        files = PredictionFiles(out, card, classes, options.confidence, options.opacity)
        files.write_classes()
        try:
            if card.scans is None:
                predictor.images(sources, files.write_image, track)
            else:
                predictor.scans(sources, files.write_scan, out, track)
        finally:
            what, also = ("mask", "overlays") if card.scans is None else ("scan", "views")
            said = f"{count(files.number, what)}, {also}, classes.csv and legend.png are in "
            console.print(folder_line(said, out))
