"""Which network is analysed, on which data, as options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DiagnoseOptions:
    """Which data a network is analysed on, and where the results go.

    Attributes:
        data: The name of a card, the path of a card (.yaml), or the built-in "pictures" or
            "scans". Default: the data of the run.
        split: The split to analyse.
        root: The folder of the data; overrides the folder in the run and in the card.
        loader: "file.py:function" or "package.module:function" that loads the checkpoint.
        layer: Dotted name of the layer that makes the logits, where it cannot be found by its
            number of outputs.
        baseline: Another run or checkpoint with the same classes, for comparison.
        out: The folder for diagnosis.json, figures and report.html. Default: RUN/diagnosis.
        samples: Number of images or blocks, spread evenly over the split. Default: all.
        num_workers: Worker processes that load data; 0 loads in this one.
        json: Print the content of diagnosis.json and nothing else; writes files only with --out.
        threads: CPU threads. None takes all cores.
    """

    data: str | None = None
    split: str = "test"
    root: str | None = None
    loader: str | None = None
    layer: str | None = None
    baseline: Path | None = None
    out: Path | None = None
    samples: int | None = None
    num_workers: int = 0
    json: bool = False
    threads: int | None = None
