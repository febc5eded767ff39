"""Time of scoring a split, compared with a bare loop that computes the mean IoU.

python -m benchmarks.speed.evaluate --root FOLDER_OF_CAMVID [--images N] [--rounds N]

Photos of CamVid (480x360), a small network, one thread. The bare loop is what a user writes: Pillow
reads image and mask, the network runs, argmax, numpy's bincount. Ours checks files and labels, and
is measured without and with calibration and collapse. The functions take turns, and the mean IoU
must agree. Writes benchmarks/results/evaluate.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from benchmarks.measure import ratio, save, seconds, table
from benchmarks.speed.camvid import NETWORK, few_photos, photos, trained_network
from equiseg.data.config import DataConfig
from equiseg.data.sources import open_split
from equiseg.evaluation.config import EvaluationConfig, MeasureConfig
from equiseg.evaluation.scoring import evaluate
from equiseg.imbalance import FrequencyGroups

CLASSES, VOID = 11, 11


@torch.inference_mode()
def bare_loop(model: nn.Module, files: list[Path]) -> float:
    """The mean IoU of photos."""
    confusion_KK = np.zeros((CLASSES, CLASSES), np.int64)
    for file in files:
        annotation = file.parents[2] / "annotations" / file.parent.name / f"{file.stem}.png"
        picture = np.array(Image.open(file).convert("RGB"))
        truth = np.array(Image.open(annotation)).astype(np.int64)
        images = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        logits = F.interpolate(model(images), truth.shape, mode="bilinear")
        found = logits.argmax(1)[0].numpy()
        known = truth != VOID
        cells = CLASSES * truth[known] + found[known]
        confusion_KK += np.bincount(cells, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    hits_K = confusion_KK.diagonal()
    union_K = confusion_KK.sum(0) + confusion_KK.sum(1) - hits_K
    return float((hits_K[union_K > 0] / union_K[union_K > 0]).mean())


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = trained_network(arguments.root)
    with tempfile.TemporaryDirectory() as name:
        rows = compare(
            model, few_photos(arguments.root, Path(name), test=arguments.images), arguments.rounds
        )
    print(save("evaluate", rows, network=NETWORK))
    print(table(rows))


def compare(model: nn.Module, root: Path, rounds: int) -> list[dict[str, Any]]:
    """Rows of the table.

    Args:
        model: The network.
        root: Photos of CamVid.
        rounds: Rounds in which the functions take turns.
    """
    files = photos(root, "test", len(list((root / "images/test").iterdir())))
    data = open_split(DataConfig("camvid", str(root)), "test")
    groups = FrequencyGroups.from_counts(torch.arange(CLASSES, 0, -1))

    def ours(**measures: bool) -> float:
        config = EvaluationConfig()
        return evaluate(model, data, config, groups, measures=MeasureConfig(**measures)).score.miou

    runs = {
        "bare loop": lambda: bare_loop(model, files),
        "evaluate, scores alone": lambda: ours(collapse=False, calibration=False),
        "evaluate, with calibration": lambda: ours(collapse=False),
        "evaluate, with calibration and collapse": ours,
    }
    found = [run() for run in runs.values()]
    if max(found) - min(found) > 1e-4:  # batches round otherwise
        raise RuntimeError(f"the mean IoU differs: {found}")
    taken = seconds(runs, rounds=rounds)
    return [
        {
            "run": name,
            "photos": len(files),
            "seconds": statistics.median(values),
            "times the bare loop": ratio(values, taken["bare loop"]),
        }
        for name, values in taken.items()
    ]


if __name__ == "__main__":
    main()
