"""All checks and measurements that need a GPU, in one call of at most 8 minutes.

python -m benchmarks.gpu --out FOLDER [--data FOLDER] [--minutes 8] [--device cuda]
                         [--seeds 0 1 2] [--sections checks centers ...] [--commit TEXT] [--tiny]

The checks and measurements need torch, numpy, transformers and torchmetrics; the trainings the
extras "train" and "lite0". The package itself may be given as PYTHONPATH=src. No network is used.
--data is a folder with camvid/ and ccp/, such as ../shared/data or the smaller one that
benchmarks/gpu/inputs.py writes; trainings on built-in data do not need it.

The sections run one after the other, each within its share of the time. A part without enough time
is skipped and listed; a part that fails is reported with its traceback, and the next one follows.
The last section gets the remaining time. Finished rows are written to OUT/gpu.json immediately;
OUT/gpu.md has the tables, OUT/training the folders of the runs.

--device cpu --tiny runs everything in small sizes, to test the script; the numbers are meaningless.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import platform
import signal
import time
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import checks, sparse_checks, sparse_speed, speed, training
from benchmarks.gpu.section import Section

_PLANNED_MINUTES = 8.0  # the shares below add up to this
_OVERHEAD = 20.0  # seconds kept for the imports before, and for the tables after
_GRACE = 20.0  # seconds a section may overrun its share before it is interrupted


# The budget: each section and its share in seconds, of 8 minutes on an H200. Training takes the
# rest: at least 145 seconds, more where others need less or --sections leaves them out.
SECTIONS: dict[str, tuple[Callable[[Section], None], float]] = {
    "checks": (checks.checks, 75),
    "floor": (speed.floor, 5),
    "centers": (speed.centers, 40),
    "step": (speed.step, 40),
    "score": (speed.score, 10),
    "sparse checks": (sparse_checks.checks, 35),
    "sparse speed": (sparse_speed.speed, 40),
    "sparse training": (training.scans, 70),
    "training": (training.images, float("inf")),
}


def where(commit: str) -> dict[str, Any]:
    """Date, versions and machine."""
    versions = {}
    for package in ("torch", "triton", "numpy", "transformers", "torchmetrics"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    facts = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit,
        "python": platform.python_version(),
        **versions,
    }
    if torch.cuda.is_available():
        facts |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return facts


def run(name: str, section: Section, end: float, minutes: float) -> None:
    """One section, within its share of the time."""
    function, share = SECTIONS[name]
    start = time.monotonic()
    section.ends = min(start + share * min(1.0, minutes / _PLANNED_MINUTES), end)
    signal.setitimer(signal.ITIMER_REAL, max(section.left(), 0) + _GRACE)
    try:
        if section.fits(name, 1):
            function(section)
    except Exception:
        section.error = traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    section.seconds = time.monotonic() - start
    section.save()
    gc.collect()
    if section.device == "cuda" and name != "training":
        try:
            torch.cuda.empty_cache()  # the next section may measure memory or start processes
        except RuntimeError as error:  # a broken device fails here too, and is already reported
            section.skipped.append(f"emptying the cache: {error}")


def _interrupt(*_: object) -> None:
    raise TimeoutError("the section did not end in its share of the time")


def main(arguments: argparse.Namespace) -> None:
    """Run the sections asked for."""
    end = time.monotonic() + 60 * arguments.minutes - _OVERHEAD
    signal.signal(signal.SIGALRM, _interrupt)
    if arguments.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the trainings take the GPU where there is one
    arguments.out.mkdir(parents=True, exist_ok=True)
    head = where(arguments.commit) | {"device": arguments.device, "tiny": arguments.tiny}
    print(json.dumps(head), flush=True)
    found: dict[str, Section] = {}

    def save() -> None:
        results = {name: section.as_json() for name, section in found.items()}
        text = json.dumps({"measured": head, "sections": results}, indent=1)
        (arguments.out / "gpu.json").write_text(text + "\n", encoding="utf-8")

    shared: dict[str, Any] = {}
    for name in SECTIONS:
        if name not in arguments.sections:
            continue
        found[name] = section = Section(
            arguments.device,
            arguments.tiny,
            arguments.data,
            arguments.out,
            tuple(arguments.seeds),
            shared,
            save,
        )
        run(name, section, end, arguments.minutes)
        print(section.text(name) + "\n", flush=True)
    texts = [f"# GPU\n\n{json.dumps(head)}", *(s.text(name) for name, s in found.items())]
    (arguments.out / "gpu.md").write_text("\n\n".join(texts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=_PLANNED_MINUTES)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--commit", default="", help="what was measured, where git cannot say")
    parser.add_argument("--tiny", action="store_true")
    main(parser.parse_args())
