"""Measures finished runs of the collapse study and of the comparisons on real data.

    python -m benchmarks.collapse.measure_runs --grid runs/collapse_grid \
        --curves runs/collapse_curves --real runs/camvid_small --real runs/ccp_lite0

For every run: scores, collapse measures of centers and classifier on the test split at label
resolution, and the correlation of IoU with training frequency. For every cell of the grid:
statistics of its labels. Writes benchmarks/results/collapse_{grid,context,curves,long,real}.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.collapse.grid import CELLS, METHODS, SEEDS, name_of, variants
from benchmarks.measure import save
from equiseg.data.sources import open_split
from equiseg.data.synthetic.pictures.dataset import RoomPictures
from equiseg.diagnosis.result import FrequencyCorrelation
from equiseg.evaluation.scoring import evaluate
from equiseg.imbalance import ClassStatistics, ContextStatistics
from equiseg.records.history import read_history
from equiseg.records.run_result import read_result
from equiseg.runs.weights import load_weights
from equiseg.training.config_file import read_config

SCORES = ("miou", "head", "common", "tail", "pixel_accuracy")
CURVES = ("equinorm", "equiangularity", "etf_error", "nc1_ratio", "self_duality")
CURVES += ("classifier_equiangularity", "classifier_etf_error")


def measured(run: Path, root: str | None = None) -> dict[str, Any]:
    """Scores and measures of one finished run on its test split."""
    config, result = read_config(run / "config.yaml"), read_result(run)
    model, card = load_weights(run)
    data = open_split(replace(config.data, root=root or config.data.root), "test")
    outcome = evaluate(model, data, config.evaluation, card.groups)
    assert outcome.collapse is not None  # measured by default
    pixels_K = torch.tensor(result["pixels"])
    correlation = FrequencyCorrelation.of(outcome.score.iou_K, pixels_K)
    return {
        "method": result["method"],
        "seed": result["seed"],
        **{name: getattr(outcome.score, name) for name in SCORES},
        "pearson": correlation.pearson,
        "spearman": correlation.spearman,
        **outcome.collapse.numbers(),
        "trained_at": result["provenance"].get("commit"),
    }


def grid_rows(folder: Path) -> list[dict[str, Any]]:
    """A row for each finished run of the grid."""
    rows = []
    for num_classes, imbalance, context in CELLS:
        for method in METHODS:
            for seed in SEEDS:
                run = folder / name_of(num_classes, imbalance, context, method) / f"seed{seed}"
                if (run / "result.json").is_file():
                    cell = {"classes": num_classes, "imbalance": imbalance, "context": context}
                    rows.append(cell | measured(run))
                    print(run.parent.name, seed, flush=True)
    return rows


def context_rows() -> list[dict[str, Any]]:
    """Statistics of the training labels of each cell."""
    rows = []
    for variant in variants()[:: len(METHODS)]:
        synthetic = variant.config.data.synthetic
        scenes = synthetic.pictures
        data = RoomPictures(scenes, "train", synthetic.num_samples[0])
        counts = ClassStatistics.zeros(scenes.num_classes)
        context = ContextStatistics.zeros(scenes.num_classes)
        for index in range(len(data)):
            labels = data[index].labels
            counts.add(labels)
            context.add(labels)
        entropy = context.entropy(across_borders=True)
        told = entropy - context.conditional_entropy(across_borders=True)
        rows.append(
            {
                "classes": scenes.num_classes,
                "imbalance": scenes.imbalance,
                "context": scenes.context,
                "pixel_imbalance": counts.pixel_imbalance,
                "image_imbalance": counts.image_imbalance,
                "center_imbalance": counts.center_imbalance(variant.config.batch_size),
                "neighbour_correlation": context.neighbour_correlation(),
                "border_entropy": entropy,
                "told_by_neighbour": told / entropy,
            }
        )
    return rows


def curve_rows(folder: Path) -> list[dict[str, Any]]:
    """A row for each validation of the long runs."""
    rows = []
    for run in sorted(folder.glob("*/seed*")):
        history = read_history(run)
        result = read_result(run)
        for epoch in history["collapse/equinorm"]:
            values = {name: history[f"collapse/{name}"][epoch] for name in CURVES}
            values["val_miou"] = history["val/miou"][epoch]
            rows.append(
                {key: result[key] for key in ("method", "seed")} | {"epoch": epoch} | values
            )
    return rows


def real_rows(folders: list[Path], roots: dict[str, str]) -> list[dict[str, Any]]:
    """A row for each run of the comparisons on real data."""
    rows = []
    for folder in folders:
        for run in sorted(folder.glob("*/seed*")):
            print(run, flush=True)
            rows.append({"data": folder.name} | measured(run, roots.get(folder.name)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=Path)
    parser.add_argument("--curves", type=Path)
    parser.add_argument("--real", type=Path, action="append", default=[])
    parser.add_argument("--roots", type=json.loads, default={}, help="where data have moved")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.grid:
        print(save("collapse_context", context_rows()))
        print(save("collapse_grid", grid_rows(options.grid)))
    if options.curves:
        print(save("collapse_curves", curve_rows(options.curves)))
        runs = sorted(options.curves.glob("*/seed*"))
        print(save("collapse_long", [measured(run) for run in runs]))
    if options.real:
        print(save("collapse_real", real_rows(options.real, options.roots)))


if __name__ == "__main__":
    main()
