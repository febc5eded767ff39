"""Dealing blocks to splits: a fixed rule that gives every split its share of rare classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def deal_blocks(counts_BK: np.ndarray, pattern: Sequence[str]) -> list[str]:
    """Deal blocks to splits like cards to players, starting with blocks of rare classes.

    1. Classes are processed by their number of points, the fewest first (ties: the lower id first);
       classes without points are skipped.
    2. The remaining blocks with this class are sorted by their number of its points, the largest
       first (ties: the lower index first).
    3. They are dealt in this order, each block to the next split of the pattern; the pattern
       repeats, and continues from class to class.
    4. Blocks without any labelled point are dealt last, by index.

    Every split gets its share of the blocks to within one round of the pattern. The rarest class is
    spread evenly: on made-up counts of 300 blocks, its shares deviate from the pattern a third as
    much as with a random split. The most common classes are spread as with a random split. The rule
    is deterministic, a simple form of iterative stratification (Sechidis, Tsoumakas & Vlahavas
    2011).

    Args:
        counts_BK: (B, K) labelled points of each class in each block.
        pattern: Names of splits; in [train, train, val, train, test] train takes 3 of 5 blocks.

    Returns:
        The split of each block, B names.

    Raises:
        ValueError: If the counts are not a table of numbers >= 0, or the pattern is empty.
    """
    counts_BK = np.asarray(counts_BK)
    if counts_BK.ndim != 2 or (counts_BK < 0).any():
        raise ValueError(
            f"counts_BK must be (blocks, classes) numbers >= 0, got shape {counts_BK.shape}"
        )
    if not pattern or isinstance(pattern, str):
        raise ValueError(f"pattern must be a list of split names, got {pattern!r}")
    undealt_B = np.ones(len(counts_BK), dtype=bool)
    order: list[int] = []
    for k in np.argsort(counts_BK.sum(axis=0), kind="stable"):
        holding = np.flatnonzero(undealt_B & (counts_BK[:, k] > 0))
        holding = holding[np.argsort(-counts_BK[holding, k].astype(np.float64), kind="stable")]
        undealt_B[holding] = False
        order += holding.tolist()
    order += np.flatnonzero(undealt_B).tolist()
    splits = [""] * len(order)
    for turn, block in enumerate(order):
        splits[block] = pattern[turn % len(pattern)]
    return splits
