"""Checks of samples: files, sizes, numbers, duplicates and leaks between splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from equiseg.data.doctor.checkup import Checkup
from equiseg.data.doctor.finding import Finding, number_of, some
from equiseg.data.doctor.record import DARK, Fingerprint
from equiseg.frames import frame, largest_cosine

_SMALLEST = 32  # pixels: the smallest side that networks accept
_USUAL_CROP = 512
_SAME_GREY = 2.0  # of 255: mean difference of thumbs that compression may cause
_MOST_CLASSES = 1000  # above this, computing the frame takes many seconds


def broken_files(checkup: Checkup) -> Iterator[Finding]:
    """Files that cannot be read, or images and masks that do not match."""
    for record in checkup.records.values():
        if messages := [t.message for t in record.troubles if t.kind == "file"]:
            yield Finding(
                "error",
                record.name,
                f"{number_of(len(messages), 'file')} that cannot be used: {some(messages, '; ')}",
                "training stops before its first step; repair them or leave them out of the split",
            )


def sizes(checkup: Checkup) -> Iterator[Finding]:
    """Images that are too small for networks, and training images of several sizes."""
    if checkup.spec.holds_points:
        return
    for record in checkup.records.values():
        small = {size: n for size, n in record.sizes.items() if min(size) < _SMALLEST}
        if small:
            yield Finding(
                "error",
                record.name,
                f"{number_of(sum(small.values()), 'image')} with a side below {_SMALLEST} pixels, "
                f"such as {_shown(min(small))} (height x width)",
                f"networks take sides of {_SMALLEST} pixels and more; enlarge them with "
                f"--data.size '[{_SMALLEST * 2}, {_SMALLEST * 2}]'",
            )
    train = checkup.records.get("train")
    if train is not None and len(train.sizes) > 1:
        every = sorted(train.sizes.elements())
        middle = np.median(every, axis=0).astype(int).tolist()
        crop = [max(_SMALLEST, min(_USUAL_CROP, side // 32 * 32)) for side in middle]
        size = _of_same_shape(middle)
        yield Finding(
            "warning",
            "train",
            f"training images have {len(train.sizes)} sizes, from {_shown(every[0])} to "
            f"{_shown(every[-1])} (height x width)",
            f"a batch holds one size, so training asks for --data.augment.crop '{crop}', or "
            f"--data.size '{size}' to resize (height x width)",
        )


def brightness(checkup: Checkup) -> Iterator[Finding]:
    """Images that are nearly black, for example because a 16-bit file has 12-bit values."""
    for record in checkup.records.values():
        if record.dark:
            yield Finding(
                "warning",
                record.name,
                f"{number_of(len(record.dark), 'image')} nearly black, without a value above "
                f"{DARK - 1} of 255: {some(record.dark)}",
                "values of 10 or 12 bits in a 16-bit file are read as 16 bits; multiply them by 64 "
                "or 16 when saving. Of 8-bit files, check the exposure",
            )


def turned(checkup: Checkup) -> Iterator[Finding]:
    """Photographs with an EXIF turn that keeps the size: no size check finds a wrong mask."""
    for record in checkup.records.values():
        if record.turned:
            yield Finding(
                "warning",
                record.name,
                f"{number_of(len(record.turned), 'image')} that EXIF data turn without changing "
                f"the size: {some(record.turned)}",
                "masks are taken to be drawn on the turned image, as viewers show it; if yours "
                "were drawn on the pixels as saved, save the images without EXIF data",
            )


def too_few(checkup: Checkup) -> Iterator[Finding]:
    """Fewer training samples than a batch."""
    train = checkup.records.get("train")
    if train is not None and train.statistics.num_images < checkup.planned.batch_size:
        count = train.statistics.num_images
        yield Finding(
            "error",
            "train",
            f"{number_of(count, checkup.sample)} for batches of {checkup.planned.batch_size}",
            f"training stops before its first step; add {checkup.sample}s, or --batch_size {count}",
        )


def leaks(checkup: Checkup) -> Iterator[Finding]:
    """Samples in two splits: with the same content, or with the same name and a similar look."""
    for one, other in combinations(checkup.records.values(), 2):
        names = {print_.content: print_.name for print_ in one.fingerprints}
        same = [
            names[print_.content]
            if names[print_.content] == print_.name
            else f"{names[print_.content]} = {print_.name}"
            for print_ in other.fingerprints
            if print_.content in names
        ]
        if same:
            yield Finding(
                "error",
                f"{one.name} and {other.name}",
                f"{number_of(len(same), checkup.sample)} of {other.name} also in {one.name}: "
                f"{some(same)}",
                f"scores on {other.name} are too good to be true; keep each {checkup.sample} in one"
                " split only",
            )
        by_name = {print_.name: print_ for print_ in one.fingerprints}
        alike = [
            print_.name
            for print_ in other.fingerprints
            if print_.name in by_name and _alike(print_, by_name[print_.name])
        ]
        if alike:
            yield Finding(
                "warning",
                f"{one.name} and {other.name}",
                f"{number_of(len(alike), checkup.sample)} of one name look the same, but not "
                f"pixel by pixel: {some(alike)}",
                f"if they are copies, saved again or resized, scores on {other.name} are too good "
                "to be true; keep each in one split only",
            )


def duplicates(checkup: Checkup) -> Iterator[Finding]:
    """Samples that occur twice in a split, with the same or different labels."""
    for record in checkup.records.values():
        groups: dict[bytes, list[Fingerprint]] = defaultdict(list)
        for print_ in record.fingerprints:
            groups[print_.content].append(print_)
        twins = [group for group in groups.values() if len(group) > 1]
        if not twins:
            continue
        torn = [group for group in twins if len({print_.labels for print_ in group}) > 1]
        shown = [" = ".join(print_.name for print_ in group[:3]) for group in torn or twins]
        if torn:
            yield Finding(
                "warning",
                record.name,
                f"{number_of(len(torn), checkup.sample)} found more than once, with different "
                f"labels: {some(shown)}",
                "no network can satisfy both; keep the better labels of each",
            )
        else:
            extra = sum(len(group) - 1 for group in twins)
            yield Finding(
                "hint",
                record.name,
                f"{number_of(extra, checkup.sample)} found more than once: {some(shown)}",
                "they count several times in training and scores; keep one of each",
            )


def dimensions(checkup: Checkup) -> Iterator[Finding]:
    """More classes than the features can separate at equal angles."""
    num_classes, dim = len(checkup.spec.classes), checkup.planned.dim
    if dim is None or num_classes <= dim + 1:
        return
    closest = "closer than at right angles"
    if num_classes <= max(2 * dim, _MOST_CLASSES):
        closest = f"at cosine {largest_cosine(frame(num_classes, dim)):.3f}"
    yield Finding(
        "hint",
        "classes",
        f"{num_classes} classes, but {dim} features before the classifier",
        f"equal angles (cosine {-1 / (num_classes - 1):.4f}) need {num_classes - 1} dimensions; "
        f"the frame is a softmax code, its closest classes {closest}: as good as {dim} dimensions "
        "allow; center_collapse(projection=learnable) in --method makes room for the simplex",
    )


def _alike(one: Fingerprint, other: Fingerprint) -> bool:
    if one.thumb is None or other.thumb is None or one.content == other.content:
        return False
    difference = np.abs(one.thumb.astype(int) - other.thumb.astype(int)).mean()
    return bool(difference <= _SAME_GREY)


def _of_same_shape(size: list[int]) -> list[int]:
    """About the same height : width, multiples of 32, the longer side at most that of a crop."""
    factor = min(1.0, _USUAL_CROP / max(size))
    return [max(_SMALLEST, round(side * factor / 32) * 32) for side in size]


def _shown(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
