"""The line "Time" of every card in docs/losses, from benchmarks/results/losses.json.

python -m benchmarks.docs.loss_times
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.measure import RESULTS
from equiseg import losses

CARDS = RESULTS.parent.parent / "docs/losses"
CLASSES = (19, 150)
UNIT = "cross_entropy of torch"
MONAI = "dice as in MONAI"
CLASSIFIER = "classifier and cross_entropy"
_LINE = re.compile(r"^\*\*Time\.\*\* .*\n\n", re.MULTILINE)
_NEXT = "**Golden value.**"
_BASES = (losses.PixelLoss, losses.FeatureLoss)

# Every public loss, by the name of its file and card.
LOSSES: dict[str, type[nn.Module]] = {
    loss.__module__.rpartition(".")[2]: loss
    for _, loss in inspect.getmembers(losses, inspect.isclass)
    if issubclass(loss, nn.Module) and loss not in _BASES
}


def saved_rows() -> list[dict[str, Any]]:
    """The rows of the last full measurement."""
    rows: list[dict[str, Any]] = json.loads((RESULTS / "losses.json").read_text("utf-8"))["rows"]
    return rows


def line(name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """The line of a loss."""
    costs = {(row["loss"], row["classes"]): row["cross entropies"] for row in rows}
    few, many = (f"{costs[name, classes]:.1f}" for classes in CLASSES)
    text = (
        f"**Time.** {few} times torch's cross entropy at label size with {CLASSES[0]} classes, "
        f"{many} with {CLASSES[1]}"
    )
    if "in_features" in inspect.signature(LOSSES[name]).parameters:
        few, many = (f"{costs[CLASSIFIER, classes]:.1f}" for classes in CLASSES)
        text += f" (a linear classifier with cross entropy: {few} and {many})"
    return f"{text}; forward and backward, one thread (`python -m benchmarks.speed.losses`)."


def with_line(card: str, text: str) -> str:
    """A card with this line before its golden value.

    Raises:
        ValueError: If the card has no golden value.
    """
    card = _LINE.sub("", card)
    if card.count(_NEXT) != 1:
        raise ValueError(f"a card must have one {_NEXT!r}, got {card.count(_NEXT)}")
    return card.replace(_NEXT, f"{text}\n\n{_NEXT}")


def write_cards(rows: list[dict[str, Any]]) -> list[Path]:
    """Write the line of every loss into its card."""
    paths = [CARDS / f"{name}.md" for name in LOSSES]
    for name, path in zip(LOSSES, paths, strict=True):
        card = with_line(path.read_text("utf-8"), line(name, rows))
        path.write_text(card, encoding="utf-8")
    return paths


if __name__ == "__main__":
    for path in write_cards(saved_rows()):
        print(path)
