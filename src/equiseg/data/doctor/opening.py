"""Opening the splits of a card as far as that is possible."""

from __future__ import annotations

import dataclasses
from typing import Any

from equiseg.data.card import ImageCard, PointCard
from equiseg.data.doctor.finding import Finding
from equiseg.data.doctor.record import Track
from equiseg.data.errors import DataError

_NEEDED = {
    "train": "training needs it",
    "val": "training chooses the weights by it",
}


def open_splits(
    card: ImageCard | PointCard, track: Track = lambda items, _: items
) -> tuple[dict[str, Any], list[Finding]]:
    """The splits train, val and test of a card, and what stands in their way.

    Images and masks without partner are a finding, and the others are opened. Scans that cannot
    be used are all named, and keep their split closed.

    Args:
        card: The data set.
        track: Wraps (scans, what is done), to show progress.

    Returns:
        The splits that could be opened, and errors for the rest.
    """
    known = card.split_names()
    findings = [
        Finding(
            "error",
            split,
            f"card {card.name} has no split {split!r}, only {known}",
            f"{reason}: name it under splits; any images that are not in another split will do",
        )
        for split, reason in _NEEDED.items()
        if split not in known
    ]
    if "test" not in known:
        findings.append(
            Finding(
                "hint",
                "test",
                f"card {card.name} has no split 'test'",
                "scores on val are too good, as the weights are chosen by them; keep some images "
                "for test",
            )
        )
    try:
        card.ids_by_value()
        card.background_id()
    except DataError as error:
        return {}, [Finding("error", "card", str(error), "no split can be read until it is mended")]
    opened: dict[str, Any] = {}
    for split in (*_NEEDED, "test"):
        if split not in known:
            continue
        try:
            opened[split] = _opened(card, split, track)
        except DataError as error:
            findings.append(
                Finding(
                    "error",
                    split,
                    str(error),
                    "training stops before its first step; add what is missing, or take its "
                    "partner out of the split",
                )
            )
            if isinstance(card, ImageCard):
                try:
                    opened[split] = _opened(_with_partners(card, split), split, track)
                except (DataError, OSError):
                    continue  # nothing more to see here
    return opened, findings


def _opened(card: ImageCard | PointCard, split: str, track: Track) -> Any:
    if isinstance(card, PointCard):
        from equiseg.data.points.folder import PointFolder

        return PointFolder(card, split, track=lambda scans: track(scans, f"scans of {split}"))
    from equiseg.data.images.folder import ImageFolder

    return ImageFolder(card, split)


def _with_partners(card: ImageCard, split: str) -> ImageCard:
    """The card with only those images of a split that have a mask."""
    from equiseg.data.images.folder import IMAGE_SUFFIXES

    chosen = card.splits[split]
    part = chosen if isinstance(chosen, str) else ""
    images, annotations = (
        pattern.format(split=part) for pattern in (card.images, card.annotations)
    )
    stems = [
        {
            file.stem
            for file in (card.path / folder).iterdir()
            if file.suffix.lower() in IMAGE_SUFFIXES
        }
        for folder in (images, annotations)
    ]
    names = stems[0] & stems[1]
    if not isinstance(chosen, str):
        names &= set(chosen)
    return dataclasses.replace(
        card, images=images, annotations=annotations, splits={split: sorted(names)}
    )
