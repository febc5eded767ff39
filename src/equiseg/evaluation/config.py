"""How an image or a scan is predicted, and what is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EvaluationConfig:
    """How an image or a scan is predicted.

    Attributes:
        window: (H, W) of a sliding window. None takes the whole image.
        stride: (H, W) between windows; None takes two thirds of the window.
        flip: Average with the prediction of the mirrored image or scan.
        scales: Average over these sizes of the image.
        votes: Average over this many grids of blocks, each shifted against the others, so that
            every point of a scan is seen in as many blocks. In test and prediction; validation
            while training takes one.
    """

    window: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    votes: int = 1


@dataclass(frozen=True)
class MeasureConfig:
    """What is measured of predictions, in addition to IoU and accuracy.

    Attributes:
        collapse: The collapse measures of the last-layer features. Their time grows with the square
            of the channels: with 96 it is a quarter of that of a small network.
        calibration: The calibration error.
    """

    collapse: bool = True
    calibration: bool = True
