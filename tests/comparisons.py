"""Comparisons of made-up runs."""

import math
import random

import pytest

from equiseg.study.comparison import Comparison


@pytest.fixture
def make_comparison():
    """Comparisons of made-up runs; the last class of the tail is never labelled."""

    def make(num_classes=6, num_seeds=5, variants=("plain", "ceco"), gain=0.03, split="test"):
        names = random.Random(0)
        third = num_classes // 3
        ids = list(range(num_classes))
        groups = {"head": ids[:third], "common": ids[third:-third], "tail": ids[-third:]}
        runs = {}
        for v, variant in enumerate(variants):
            runs[variant] = []
            for seed in range(num_seeds):
                iou = [0.9 - 0.8 * k / num_classes + names.gauss(0, 0.002) for k in ids]
                iou = [value + gain * v * (k in groups["tail"]) for k, value in enumerate(iou)]
                iou[-1] = math.nan
                runs[variant].append(_run(seed, v, iou, groups, split))
        classes = [f"class {k}" for k in ids]
        pixels = [10 ** (6 - 4 * k // num_classes) for k in ids]
        return Comparison(split, list(range(num_seeds)), runs, classes, groups, pixels)

    return make


def _run(seed, v, iou, groups, split):
    def mean(ids):
        known = [iou[k] for k in ids if not math.isnan(iou[k])]
        return sum(known) / len(known) if known else math.nan

    scores = {
        "miou": mean(range(len(iou))),
        **{name: mean(ids) for name, ids in groups.items()},
        **{f"num_{name}": len(ids) for name, ids in groups.items()},
        **{f"{name}_accuracy": mean(ids) for name, ids in groups.items()},
        "num_iou": len(iou) - 1,
        "mean_accuracy": 0.8,
        "pixel_accuracy": 0.9,
        "ece": 0.05 + 0.1 * v + 0.001 * seed * (-1) ** v,
        "calibration": {
            "count": [0, 50, 1000, 9000],
            "confidence": [0.0, 20.0, 600.0, 8500.0],
            "correct": [0, 10, 400 + seed, 8000 - 900 * v],
        },
        "iou": iou,
        "accuracy": iou,
        "collapse": {
            "equinorm": 0.5 - 0.1 * v,
            "equiangularity": 0.4,
            "maximal_separation": 0.3,
            "self_duality": math.nan,
        },
    }
    return {
        "seed": seed,
        "best_epoch": 7,
        "step_seconds": 0.5,
        "data_wait_share": 0.04,
        "provenance": {"date": "2026-01-01", "torch": "2.6.0", "machine": "a machine"},
        "config": {
            "data": {"card": "scenes"},
            "method": ("cross_entropy", "ceco")[v > 0],
            "ceco": {"scale": 5.0},
            "seed": seed,
        },
        split: scores,
    }
