"""Which attribute of a scan holds its labels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from equiseg.data.errors import DataError
from equiseg.foreign_text import short

USUAL = ""
"""The choice of a label by its usual names, if a card names none."""
LABEL_NAMES = (
    *("label", "labels", "class", "classes", "classification", "semantic", "semantics"),
    *("segment", "segment200", "segment20", "semantic_gt", "sem_class", "sem_label"),
    *("semantic_class", "semantic_label", "class_id", "class_label", "category", "ground_truth"),
)
"""Usual names of labels, in lower case."""


def choose_label(names: Iterable[str], label_name: str | None, file: Path) -> str | None:
    """The attribute with the class codes of a file.

    Args:
        names: All attributes of the file.
        label_name: Its name, in any case; "" takes the only one among :data:`LABEL_NAMES`; None
            reads no labels.
        file: The file, for messages.

    Returns:
        One of the names; None without labels.

    Raises:
        DataError: If there is no attribute of this name, or several have usual names.
    """
    names = list(names)
    if label_name is None:
        return None
    if label_name:
        exact = [name for name in names if name == label_name]
        found = exact or [name for name in names if name.lower() == label_name.lower()]
        if not found:
            raise DataError(
                f"{file}: has no attribute {label_name!r:.80} for labels, only "
                f"{short(names, 300)}; correct label_name in the card"
            )
        return found[0]
    found = [name for name in names if name.lower() in LABEL_NAMES]
    if len(found) > 1:
        raise DataError(
            f"{file}: labels may be {short(' or '.join(map(repr, found)), 300)}; choose one in "
            f"the card, as in label_name: {found[0]}"
        )
    return found[0] if found else None
