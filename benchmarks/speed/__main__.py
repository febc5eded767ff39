"""Every measurement of speed behind docs/explanation/performance.md, one process after the other.

python -m benchmarks.speed --root FOLDER_OF_CAMVID [--only NAME ...] [--before FOLDER]

Each module of this folder writes its own file into benchmarks/results; this command then writes
speed.json: one line for each promise, with its limit (--only measures some modules and takes the
saved rows of the others). With --before, the folder of an earlier
checkout, the same measurements run with the package of that checkout too; those that ask it for
something it lacks have no number. Half an hour on two cores, the double with --before; nothing else
should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import RESULTS, RESULTS_VARIABLE, save, table

Rows = list[dict[str, Any]]
_CAMVID = ("predict", "evaluate", "epoch", "data_path", "crops")
_OPTIONS = {"centers": ["--quick", "--rounds", "9"], "epoch": ["--rounds", "2"]}
_CLASSES = (19, 150)
_FILES = {"centers": "centers_quick"}


class Line(NamedTuple):
    """A promise.

    Attributes:
        what: The measured ratio, or the seconds.
        module: The module that measures it.
        of: Finds the number in its rows.
        at_most: Its limit.
    """

    what: str
    module: str
    of: Callable[[Rows], float]
    at_most: float


def number(column: str, **row: Any) -> Callable[[Rows], float]:
    """The value of a column in the one row with these values."""

    def find(rows: Rows) -> float:
        (found,) = (r for r in rows if all(r.get(key) == value for key, value in row.items()))
        return float(found[column])

    return find


def _largest(*finds: Callable[[Rows], float]) -> Callable[[Rows], float]:
    return lambda rows: max(find(rows) for find in finds)


def _over(column: str, first: dict[str, Any], second: dict[str, Any]) -> Callable[[Rows], float]:
    return lambda rows: number(column, **first)(rows) / number(column, **second)(rows)


def _row(loss: str, classes: int) -> dict[str, Any]:
    return {"loss": loss, "classes": classes}


def _of_classes(loss: str) -> Callable[[Rows], float]:
    return _largest(*(number("cross entropies", **_row(loss, k)) for k in _CLASSES))


_REGIONS = {"batch": 4, "D": 128, "K": 150, "labels": "regions"}
_BOTH = "torch and Lightning"
LINES = (
    Line(
        "second start of train on 20,000 images, seconds",
        "survey",
        number("seconds", work="train again"),
        1.0,
    ),
    Line(
        f"imports until the first training step, over {_BOTH}",
        "start",
        number("times import torch, lightning", program="train, to its first step"),
        1.5,
    ),
    Line(
        f"imports of train --help, over {_BOTH}",
        "start",
        number("times import torch, lightning", program="train --help"),
        1.5,
    ),
    Line(
        "predict, over a bare loop",
        "predict",
        number("times the bare loop", run="equiseg predict"),
        0.9,
    ),
    Line(
        "evaluate, over a bare loop",
        "evaluate",
        number("times the bare loop", run="evaluate, scores alone"),
        1.2,
    ),
    Line(
        "an epoch, over a bare loop",
        "epoch",
        number("times the bare loop", run="equiseg train, with curves"),
        1.08,
    ),
    Line(
        "center loss, K 150, over the bandwidth floor",
        "centers",
        number("times floor", **_REGIONS),
        20,
    ),
    Line(
        "the same, label side ready",
        "centers",
        number("ready, times floor", **_REGIONS),
        10,
    ),
    Line(
        "center loss in 3D, over labels resized down",
        "centers",
        number("ours over nearest", labels="volumes"),
        3,
    ),
    Line(
        "center loss compiled on a CPU, over eager",
        "centers",
        number("compiled over ours", **_REGIONS),
        1.1,  # the same code: the rest is noise
    ),
    Line(
        "Dice, over MONAI's",
        "losses",
        _largest(*(_over("ms", _row("dice", k), _row("dice as in MONAI", k)) for k in _CLASSES)),
        1.2,
    ),
    Line("equalization, over cross entropy", "losses", _of_classes("equalization"), 1.5),
    Line("Lovasz, over cross entropy", "losses", _of_classes("lovasz"), 12),
)
"""What performance.md promises."""


def measure(module: str, root: Path, results: Path, package: Path | None) -> Rows | None:
    """Run one module in a process of its own; None if it fails with another package.

    Args:
        module: Name in benchmarks.speed.
        root: Folder of CamVid.
        results: Folder for its file.
        package: Folder of the package to measure; None measures the installed one.
    """
    command = [sys.executable, "-m", f"benchmarks.speed.{module}", *_OPTIONS.get(module, [])]
    if module in _CAMVID:
        command += ["--root", str(root)]
    path = os.pathsep.join(str(part) for part in (package, Path.cwd()) if part)
    environment = os.environ | {"PYTHONPATH": path, RESULTS_VARIABLE: str(results)}
    print(f"== {module}{f', {package}' if package else ''}", flush=True)
    done = subprocess.run(command, env=environment, check=package is None)
    if done.returncode:
        return None
    return saved(module, results)


def saved(module: str, results: Path) -> Rows | None:
    """The rows of the last measurement of a module; None if there are none."""
    file = results / f"{_FILES.get(module, module)}.json"
    return json.loads(file.read_text("utf-8"))["rows"] if file.exists() else None


def main() -> None:
    """Measure, save and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="modules; default all with a promise"
    )
    parser.add_argument("--before", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    promised = list(dict.fromkeys(line.module for line in LINES))
    modules = arguments.only or promised
    for name in modules:
        measure(name, arguments.root, RESULTS, None)
    after = {name: saved(name, RESULTS) for name in promised}
    before: dict[str, Rows | None] = {}
    if arguments.before:
        with tempfile.TemporaryDirectory() as folder:
            source = arguments.before.resolve() / "src"
            before = {n: measure(n, arguments.root, Path(folder), source) for n in modules}
    rows = [
        {
            "line": line.what,
            "before": line.of(old) if (old := before.get(line.module)) else None,
            "now": line.of(new),
            "at most": line.at_most,
        }
        for line in LINES
        if (new := after.get(line.module))
    ]
    print(save("speed", rows))
    print(table(rows))


if __name__ == "__main__":
    main()
