"""Time of `equiseg predict`, compared with a bare loop that writes the same files.

python -m benchmarks.speed.predict --root FOLDER_OF_CAMVID [--images N] [--rounds N]

Photos of CamVid (480x360), a small network, one thread for torch. The bare loop is what a user
writes: Pillow reads, the network runs, argmax, Pillow writes the mask and the overlay. The two take
turns, and their masks are compared. Reading the weights and drawing the legend count for both
sides as they are: only equiseg draws one. Writes benchmarks/results/predict.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from benchmarks.measure import ratio, save, seconds, table
from benchmarks.speed.camvid import NETWORK, photos, write_weights
from equiseg.commands import predict
from equiseg.report.colors import class_colors
from equiseg.runs.weights import load_weights

# Another memory layout of the image rounds otherwise, which decides between equal logits.
_MOST_DIFFERENT = 1e-5


@torch.inference_mode()
def bare_loop(weights: Path, files: list[Path], out: Path) -> None:
    """Predict and write masks and overlays without equiseg's commands."""
    model, card = load_weights(weights)
    colors_K3 = class_colors(len(card.classes), [None] * len(card.classes))
    for folder in ("masks", "overlays"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for file in files:
        picture = np.array(Image.open(file).convert("RGB"))
        images = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        logits = F.interpolate(model(images), picture.shape[:2], mode="bilinear")
        mask = logits.argmax(1)[0].byte().numpy()
        overlay = 0.45 * picture + 0.55 * colors_K3[mask]
        name = f"{file.stem}.png"
        Image.fromarray(mask).save(out / "masks" / name)
        Image.fromarray(overlay.astype(np.uint8)).save(out / "overlays" / name)


def quiet_predict(weights: Path, files: list[Path], out: Path) -> None:
    """`equiseg predict` without its last line."""
    with contextlib.redirect_stdout(io.StringIO()):
        predict(weights, files, out)


def different_share(first: Path, second: Path) -> float:
    """The share of pixels in which masks of the same names differ."""
    masks = [
        (np.asarray(Image.open(file)), np.asarray(Image.open(second / file.name)))
        for file in first.iterdir()
    ]
    return float(np.mean([(one != other).mean() for one, other in masks]))


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    files = photos(arguments.root, "test", arguments.images)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "model.safetensors"
        write_weights(arguments.root, weights)
        runs = {
            "equiseg predict": lambda: quiet_predict(weights, files, folder / "equiseg"),
            "bare loop": lambda: bare_loop(weights, files, folder / "bare"),
        }
        taken = seconds(runs, rounds=arguments.rounds)
        different = different_share(folder / "equiseg/masks", folder / "bare/masks")
        if different > _MOST_DIFFERENT:
            raise RuntimeError(f"the masks differ in a share of {different} of their pixels")
        rows = [
            {
                "run": run,
                "photos": len(files),
                "seconds": statistics.median(values),
                "times the bare loop": ratio(values, taken["bare loop"]),
                "masks MB": _megabytes(folder / place / "masks"),
                "overlays MB": _megabytes(folder / place / "overlays"),
            }
            for (run, values), place in zip(taken.items(), ("equiseg", "bare"), strict=True)
        ]
    print(save("predict", rows, network=NETWORK))
    print(table(rows))


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.iterdir()) / 1e6


if __name__ == "__main__":
    main()
