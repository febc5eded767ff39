"""Opening the splits of a data set, and findings for splits that cannot be opened."""

from __future__ import annotations

import dataclasses
from typing import Any

from equiseg.data.card import ImageCard
from equiseg.data.doctor.finding import Finding
from equiseg.data.errors import DataError
from equiseg.data.sources import ImageSource, Source
from equiseg.progress import Track, untracked

_NEEDED = {
    "train": "training needs it",
    "val": "training chooses the weights by it",
}


def open_splits(source: Source, track: Track = untracked) -> tuple[dict[str, Any], list[Finding]]:
    """Open the splits train, val and test of a data set, with a finding for each failure.

    Images without a mask and masks without an image are reported, and the other pairs are opened.
    If scans cannot be used, all of them are named and their split is left out.

    Args:
        source: The data set.
        track: Shows the progress over scans.

    Returns:
        The opened splits, and errors for the others.
    """
    known = source.all_splits()
    findings = _missing_splits(source.title, known)
    try:
        source.check()
    except DataError as error:
        return {}, [
            Finding("error", "card", str(error), "correct the card; no split can be read before")
        ]
    opened: dict[str, Any] = {}
    for split in (*_NEEDED, "test"):
        if split not in known:
            continue
        try:
            opened[split] = source.open(split, track)
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
            if isinstance(source, ImageSource):
                card = _with_partners(source.card, split)
                try:
                    opened[split] = ImageSource(source.config, card).open(split, track)
                except (DataError, OSError):
                    continue  # nothing else to check here
    return opened, findings


def _missing_splits(title: str, known: list[str]) -> list[Finding]:
    """A finding for each of train, val and test that is missing."""
    findings = [
        Finding(
            "error",
            split,
            f"card {title} has no split {split!r}, only {known}",
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
                f"card {title} has no split 'test'",
                "scores on val are too good, as the weights are chosen by them; keep some images "
                "for test",
            )
        )
    return findings


def _with_partners(card: ImageCard, split: str) -> ImageCard:
    """The card with only the images of a split that have a mask."""
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
