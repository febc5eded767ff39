"""Seconds and memory before the first training step: many small images, first and later starts.

python -m benchmarks.speed.survey [--images N]

N images of 64x64 pixels with masks of 19 classes, in train and val. Each row is a separate process
on one thread per process:

- by hand: decode every image and mask and count its labels (Pillow, numpy.bincount), nothing else;
- train: open_data, the first time without and with worker processes, and again;
- stats and doctor: the first time and again.

Files are read once before, so that the disk does not count. On a machine that does other work, too,
compare CPU seconds; the share of them in workers is the work that more workers divide. Writes
benchmarks/results/survey.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measure import save, table

CLASSES, SIDE, DIFFERENT = 19, 64, 50
WORKERS = 2


def make_images(folder: Path, images: int) -> Path:
    """Write a card with many images, a tenth of them in val; returns its file."""
    rng = np.random.default_rng(0)
    kept = []
    for _ in range(DIFFERENT):
        coarse = Image.fromarray(rng.integers(0, CLASSES, (8, 8), dtype=np.uint8))
        labels = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.NEAREST))
        noise = rng.integers(0, 40, (SIDE, SIDE, 3), dtype=np.uint8)
        kept.append((labels[..., None] * np.uint8(11) + noise, labels))
    for split, numbers in (("train", range(images // 10, images)), ("val", range(images // 10))):
        for kind in ("images", "annotations"):
            (folder / kind / split).mkdir(parents=True)
        for number in numbers:
            pixels, labels = kept[number % DIFFERENT]
            pixels[0, 0] = number >> 16, number >> 8 & 255, number & 255  # no two are equal
            for kind, values in (("images", pixels), ("annotations", labels)):
                file = folder / kind / split / f"{number:06d}.png"
                Image.fromarray(values).save(file, compress_level=1)
    card = folder / "many.yaml"
    names = [f"class {k}" for k in range(CLASSES)]
    card.write_text(
        f"name: many\nroot: .\nclasses: {json.dumps(names)}\nsplits: {{train: train, val: val}}\n"
    )
    return card


def by_hand(card: str, workers: int) -> None:
    """Decode all files and count the labels, without a check."""
    counts_K = np.zeros(256, np.int64)
    for split in ("train", "val"):
        for mask in sorted((Path(card).parent / "annotations" / split).iterdir()):
            np.asarray(Image.open(Path(card).parent / "images" / split / mask.name).convert("RGB"))
            counts_K += np.bincount(np.asarray(Image.open(mask)).ravel(), minlength=256)


def train(card: str, workers: int) -> None:
    """Open the data of a run."""
    from equiseg.data.config import DataConfig
    from equiseg.training.opened_data import open_data

    open_data(DataConfig(card, num_workers=workers))


def stats(card: str, workers: int) -> None:
    """Count classes and context."""
    from equiseg.commands.stats import StatsOptions
    from equiseg.commands.stats import stats as command

    command(card, StatsOptions(num_workers=workers, threads=1, json=True))


def doctor(card: str, workers: int) -> None:
    """Examine the data."""
    from equiseg.commands.doctor import DoctorOptions
    from equiseg.commands.doctor import doctor as command

    with contextlib.suppress(SystemExit):  # with status 1 if it finds an error
        command(card, DoctorOptions(num_workers=workers, threads=1, json=True))


WORK: dict[str, Callable[[str, int], None]] = {
    "by hand": by_hand,
    "train": train,
    "stats": stats,
    "doctor": doctor,
}
ROWS = (
    ("by hand", "", 0),
    ("train", "first", 0),
    ("train", "again", 0),
    ("train", "first", WORKERS),
    ("stats", "first", 0),
    ("stats", "again", 0),
    ("doctor", "first", 0),
    ("doctor", "again", 0),
)


def measure(work: str, card: str, workers: int) -> dict[str, float]:
    """Seconds and CPU seconds of this process and its workers, without imports; its memory."""
    import torch

    torch.set_num_threads(1)
    tiny = Path(card).parent / "tiny" / "many.yaml"
    with contextlib.redirect_stdout(io.StringIO()):
        WORK[work](str(tiny), 0)  # imports
        before, cpu_before = _peak_megabytes(), _cpu_seconds()
        start = time.perf_counter()
        WORK[work](card, workers)
        taken = time.perf_counter() - start
    return {
        "seconds": taken,
        "CPU seconds": _cpu_seconds() - cpu_before,
        "of it in workers": _cpu_of_workers(),
        "more MB": _peak_megabytes() - before,
    }


def _cpu_seconds() -> float:
    return time.process_time() + _cpu_of_workers()


def _cpu_of_workers() -> float:
    used = os.times()
    return used.children_user + used.children_system


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rows_of(folder: Path, images: int) -> list[dict[str, Any]]:
    """All rows of the table."""
    card = make_images(folder, images)
    make_images(folder / "tiny", 40)
    time.sleep(0.1)  # younger files are not remembered
    rows = []
    by_hand(str(card), 0)  # the disk
    for work, which, workers in ROWS:
        if which == "first":
            shutil.rmtree(folder / "cache", ignore_errors=True)
        command = [sys.executable, "-m", "benchmarks.speed.survey"]
        command += ["--work", work, "--card", str(card), "--workers", str(workers)]
        environment = os.environ | {"EQUISEG_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
        output = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
        measured = json.loads(output)
        rows.append({"work": f"{work} {which}".strip(), "workers": workers} | measured)
    for row in rows:
        row["CPU of by hand"] = row["CPU seconds"] / rows[0]["CPU seconds"]
    return rows


def main() -> None:
    """Measure one row in this process, or all rows in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--work", choices=[*WORK])
    parser.add_argument("--card")
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.work:
        print(json.dumps(measure(arguments.work, arguments.card, arguments.workers)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(Path(folder), arguments.images)
    print(save("survey", rows, images=arguments.images))
    print(table(rows))


if __name__ == "__main__":
    main()
