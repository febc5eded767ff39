"""The whole collapse study, step by step; finished runs are kept, so it can be restarted.

    python -m benchmarks.collapse.study_curves --out runs --jobs 2 \
        --real runs/camvid_small --real runs/ccp_lite0

About two hours on two cores. The comparisons on real data come from `equiseg compare` (see
docs/explanation/results.md) and only measured here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def steps(out: Path, jobs: int, real: list[str]) -> list[list[str]]:
    """The commands, in order."""
    grid, curves = str(out / "collapse_grid"), str(out / "collapse_curves")
    measured = ["--grid", grid, "--curves", curves]
    for folder in real:
        measured += ["--real", folder]
    return [
        ["digits"],
        ["grid", "--out", grid, "--jobs", str(jobs)],
        ["grid", "--curves", "--out", curves, "--jobs", str(jobs)],
        ["measure_runs", *measured],
        ["draw"],
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--real", action="append", default=[])
    options = parser.parse_args()
    for script, *arguments in steps(options.out, options.jobs, options.real):
        print(f"== {script} {' '.join(arguments)}", flush=True)
        subprocess.run(
            [sys.executable, "-m", f"benchmarks.collapse.{script}", *arguments], check=True
        )
