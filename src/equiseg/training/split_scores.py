"""Scores of a trained network on the validation and test splits, for result.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from equiseg.evaluation.scoring import evaluate, evaluation_record
from equiseg.training.config import TrainConfig
from equiseg.training.opened_data import OpenedData


def split_scores(
    model: nn.Module,
    data: OpenedData,
    config: TrainConfig,
    track: Callable[[str], Any] = lambda name: iter,
    *,
    rank: int = 0,
    num_ranks: int = 1,
) -> dict[str, Any]:
    """The record of val and, where it is scored, of test, by name.

    Args:
        model: The network.
        data: The data of the run.
        config: The run.
        track: Given the name of a split, returns what wraps its batches to show progress.
        rank: Number of this process, if all processes of a group score together.
        num_ranks: Number of these processes.
    """
    return {
        name: evaluation_record(
            evaluate(
                model,
                split,
                config.evaluation,
                data.groups,
                num_workers=config.data.num_workers,
                rank=rank,
                num_ranks=num_ranks,
                track=track(name),
            ),
            data.spec.background,
        )
        for name, split in data.splits.items()
        if name == "val" or (name == "test" and config.score_test)
    }
