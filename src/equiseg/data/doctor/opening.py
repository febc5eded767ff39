"""Opening the splits of a data set, and findings for splits that cannot be opened."""

from __future__ import annotations

from typing import Any

from equiseg.data.doctor.finding import Finding
from equiseg.data.sources import ImageSource, Source
from equiseg.foreign_files import FileError
from equiseg.progress import Track, untracked

_NEEDED = {
    "train": "training needs it",
    "val": "training chooses the weights by it",
}


def open_splits(source: Source, track: Track = untracked) -> tuple[dict[str, Any], list[Finding]]:
    """Open the splits train, val and test of a data set, with a finding for each failure.

    Images without a mask and masks without an image are reported, and the other pairs are opened.
    If scans cannot be used, all of them are named and their split is left out. Splits that share
    files are opened, too; :func:`examine` reports them.

    Args:
        source: The data set.
        track: Shows the progress over scans.

    Returns:
        The opened splits, and errors for the others.
    """
    known = source.all_splits()
    findings = _missing_splits(source.title, source.sample, known)
    try:
        source.check()
    except FileError as error:
        return {}, [
            Finding("error", "card", str(error), "correct the card; no split can be read before")
        ]
    opened: dict[str, Any] = {}
    for split in (*_NEEDED, "test"):
        if split not in known:
            continue
        alone = source.of_split(split)
        try:
            opened[split] = alone.open(split, track)
        except FileError as error:
            findings.append(
                Finding(
                    "error",
                    split,
                    str(error),
                    "training stops before its first step; correct the card, add what is missing, "
                    "or take its partner out of the split",
                )
            )
            if isinstance(alone, ImageSource):
                try:
                    found = alone.open_pairs(split, complete=False)
                except FileError:
                    continue  # nothing else to check here
                if len(found):
                    opened[split] = found
    return opened, findings


def _missing_splits(title: str, sample: str, known: list[str]) -> list[Finding]:
    """A finding for each of train, val and test that is missing."""
    findings = [
        Finding(
            "error",
            split,
            f"card {title} has no split {split!r}, only {known}",
            f"{reason}: name it under splits; any {sample}s that are not in another split will do",
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
                "scores on val are too good, as the weights are chosen by them; keep some "
                f"{sample}s for test",
            )
        )
    return findings
