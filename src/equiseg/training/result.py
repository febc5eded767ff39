"""What a finished run leaves: result.json."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from equiseg.training.config import TrainConfig
from equiseg.training.evaluate import Evaluation, evaluate
from equiseg.training.sources import OpenedData

RESULT = "result.json"


def read_result(folder: Path) -> dict[str, Any]:
    """The result of a finished run."""
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return result


def write_result(result: dict[str, Any], folder: Path) -> None:
    """Write a result; one that exists is complete."""
    temporary = folder / f"{RESULT}.part"
    temporary.write_text(json.dumps(result, indent=1), encoding="utf-8")
    temporary.replace(folder / RESULT)


def split_scores(
    model: nn.Module,
    data: OpenedData,
    config: TrainConfig,
    track: Callable[[str], Any] = lambda name: iter,
) -> dict[str, Any]:
    """The record of val and, where it is scored, of test, by name.

    Args:
        model: The network.
        data: The data of the run.
        config: The run.
        track: Given the name of a split, returns what wraps its batches to show progress.
    """
    return {
        name: evaluation_record(
            evaluate(
                model,
                split,
                config.evaluation,
                data.groups,
                num_workers=config.data.num_workers,
                track=track(name),
            ),
            data.spec.background,
        )
        for name, split in data.splits.items()
        if name == "val" or (name == "test" and config.score_test)
    }


def less_is_better(name: str) -> bool:
    """Whether a score is an error: that of calibration, of all or of a group."""
    return name.endswith("ece")


def best_of(scores: Sequence[float], name: str) -> int:
    """Which of several values of a score is best; NaN, of what failed, is worst."""
    sign = -1 if less_is_better(name) else 1
    return max(
        range(len(scores)), key=lambda i: -math.inf if math.isnan(scores[i]) else sign * scores[i]
    )


def score_of(record: dict[str, Any], name: str) -> float:
    """One score of an evaluation.

    Raises:
        ValueError: If there is no such score.
    """
    known = {key: value for key, value in record.items() if isinstance(value, float)}
    if name not in known:
        raise ValueError(f"select must be one of {', '.join(known)}, got {name!r}")
    return known[name]


def evaluation_record(evaluation: Evaluation, background: int | None) -> dict[str, Any]:
    """An evaluation as JSON: scores, calibration, collapse measures, confusion."""
    score, calibration = evaluation.score, evaluation.calibration
    skipped = ("groups", "iou_K", "accuracy_K")
    foreground = {} if background is None else {"foreground": score.miou_without(background)}
    return {
        **{k: v for k, v in vars(score).items() if k not in skipped},
        **foreground,
        "iou": score.iou_K.tolist(),
        "accuracy": score.accuracy_K.tolist(),
        "ece": calibration.ece,
        **{f"{name}_ece": getattr(calibration, name) for name in ("head", "common", "tail")},
        "calibration": calibration.bins(),
        "collapse": evaluation.collapse.numbers(),
        "confusion": evaluation.confusion_KK.tolist(),
    }
