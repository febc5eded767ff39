"""Time of the imports of each verb, compared with the libraries that they need.

python -m benchmarks.speed.start [--rounds N]

Each row is a new interpreter under ``-X importtime``, and the sum of the time of all its imports:
`train` until its first step, `predict` and `evaluate` of one run until they end, the help of a
verb, and the bare imports of torch, and of torch and Lightning. The medians of several rounds, in
which the rows take turns. Writes benchmarks/results/start.json.
"""

from __future__ import annotations

import argparse
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measure import ratio, save, table

_LINE = re.compile(r"import time:\s+(\d+) \|")
_VERB = "import sys; from equiseg.cli.main import main; main(sys.argv[1:])"
_FIRST_STEP = f"""
import builtins, sys
def stop(*_): sys.exit(0)
build = builtins.__build_class__
def watched(body, name, *bases, **options):
    made = build(body, name, *bases, **options)
    if name == "SegmentationTask": made.training_step = stop
    return made
builtins.__build_class__ = watched
{_VERB}
"""
_SMALL = shlex.split(
    "--epochs 1 --batch_size 4 --threads 1 --data.synthetic.pictures.num_classes 6 "
    "--data.synthetic.pictures.image_size '[48, 64]' --data.synthetic.num_samples '[8, 2, 2]'"
)


def import_seconds(code: str, *words: str) -> float:
    """Seconds of all imports of a program."""
    command = [sys.executable, "-X", "importtime", "-c", code, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(words)}: {done.stderr[-500:]}")
    return sum(int(found) for found in _LINE.findall(done.stderr)) / 1e6


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run, photo = str(folder / "run"), folder / "a.png"
        train = [sys.executable, "-c", _VERB, "train", *_SMALL, "--out", run]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(photo)
        predicted = ("--weights", run, "--inputs", str(photo), "--out", str(folder / "out"))
        programs: dict[str, tuple[str, ...]] = {
            "import torch": ("import torch",),
            "import torch, lightning": ("import torch, lightning",),
            "train --help": (_VERB, "train", "--help"),
            "predict": (_VERB, "predict", *predicted),
            "evaluate": (_VERB, "evaluate", "--run", run, "--threads", "1"),
            "train, to its first step": (_FIRST_STEP, "train", *_SMALL, "--out"),
        }
        for number in range(arguments.rounds):
            for program, (code, *words) in programs.items():
                if words and words[-1] == "--out":
                    words.append(str(folder / f"first{number}"))
                taken.setdefault(program, []).append(import_seconds(code, *words))
    rows: list[dict[str, Any]] = [
        {
            "program": program,
            "seconds": statistics.median(values),
            "times import torch": ratio(values, taken["import torch"]),
            "times import torch, lightning": ratio(values, taken["import torch, lightning"]),
        }
        for program, values in taken.items()
    ]
    print(save("start", rows))
    print(table(rows))


if __name__ == "__main__":
    main()
