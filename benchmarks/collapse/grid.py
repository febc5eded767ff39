"""Trains the runs of the collapse study on built-in pictures, with and without the regularizer.

    python -m benchmarks.collapse.grid --out runs/collapse_grid --jobs 2
    python -m benchmarks.collapse.grid --curves --out runs/collapse_curves --jobs 2

The grid covers both dials and several class counts with the schedule of the demo; the curves are
for one cell, trained four times as long. Three seeds each; finished runs are kept.
`benchmarks.collapse.measure_runs` measures them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from equiseg.commands.demo import demo_config
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.study.parallel_runs import Run, train_all
from equiseg.study.variant import Variant

METHODS = ("cross_entropy", "ceco")
SEEDS = (0, 1, 2)
# Ten classes, as for the digits, over both dials; fewer and more classes over one dial.
CELLS = [(10, i, c) for i in (10, 100, 1000) for c in (0.0, 0.5, 1.0)]
CELLS += [(k, i, 0.5) for k in (4, 20) for i in (10, 100, 1000)]


def name_of(num_classes: int, imbalance: float, context: float, method: str) -> str:
    """The name of a variant, and of its folder."""
    return f"k{num_classes}-i{imbalance}-c{context}-{method}"


def variants() -> list[Variant]:
    """All cells with both methods, on the schedule of `equiseg demo`."""
    found = []
    for num_classes, imbalance, context in CELLS:
        pictures = PicturesConfig(num_classes, (64, 80), imbalance, context)
        data = replace(demo_config().data, synthetic=SyntheticConfig(pictures))
        for method in METHODS:
            name = name_of(num_classes, imbalance, context, method)
            found.append(Variant(name, replace(demo_config(), data=data, method=method)))
    return found


def curves() -> list[Variant]:
    """The middle of the grid, trained four times as long."""
    pictures = PicturesConfig(10, (64, 80), 100, 0.5)
    data = replace(demo_config().data, synthetic=SyntheticConfig(pictures))
    config = replace(demo_config(), data=data, epochs=60, val_every=4)
    return [Variant(method, replace(config, method=method)) for method in METHODS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/collapse_grid"))
    parser.add_argument("--curves", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chosen = curves() if options.curves else variants()
    runs = [
        Run(replace(variant.config, seed=seed), options.out / variant.name / f"seed{seed}")
        for seed in SEEDS
        for variant in chosen
    ]

    def show(folder: Path, share: float) -> None:
        if share == 1:
            print(folder, flush=True)

    train_all(runs, options.jobs, show)


if __name__ == "__main__":
    main()
