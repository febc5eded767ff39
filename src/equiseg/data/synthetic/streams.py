"""Random numbers of the built-in data: streams, strata and shares, for pictures and scans."""

from functools import lru_cache

import numpy as np

SPLITS = ("train", "val", "test")
CALIBRATION = len(SPLITS)  # a separate stream, so that no split is calibrated on itself
BLOCK = 64


def check_dials(imbalance: float, context: float, seed: int) -> None:
    """Check the dials that pictures and scans share.

    Raises:
        ValueError: If a value is out of its range.
    """
    if not 10 <= imbalance <= 3000:
        raise ValueError(
            f"imbalance must be 10 to 3000, got {imbalance}; the default is 300, "
            "and 10 is as balanced as a room can be"
        )
    if not 0 <= context <= 1:
        raise ValueError(
            f"context must be 0 (things anywhere) to 1 (on hosts only), got {context}; "
            "the default is 0.9"
        )
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}; the default is 0")


def generator(*key: int) -> np.random.Generator:
    """The random generator for a key of non-negative integers."""
    return np.random.Generator(np.random.SFC64(key))


@lru_cache(maxsize=64)
def strata(num_kinds: int, seed: int, stream: int, block: int) -> np.ndarray:
    """Numbers in [0, 1) for a block of samples, (64, 2, num_kinds): a Latin hypercube.

    They are even in every column, so counts rounded by them keep the planned rates within the
    block; with independent numbers, the counts of rare classes would depend on luck.
    """
    rng = generator(seed, stream, block, 0)
    order = rng.permuted(np.tile(np.arange(BLOCK)[:, None], 2 * num_kinds), axis=0)
    return ((order + rng.random(order.shape)) / BLOCK).reshape(BLOCK, 2, num_kinds)


def long_tail(num_classes: int, imbalance: float) -> np.ndarray:
    """Shares (K,) of a geometric series, float64, sum 1; the first over the last is `imbalance`."""
    series = imbalance ** (-np.arange(num_classes) / (num_classes - 1))
    return np.asarray(series / series.sum())
