"""Checks of labels: values, ignored pixels, classes that are absent, rare or too small."""

from __future__ import annotations

from collections.abc import Iterator

from equiseg.data.doctor.checkup import Checkup
from equiseg.data.doctor.finding import Finding, number_of, some
from equiseg.data.doctor.record import SplitRecord

_MOSTLY_IGNORED = 0.5
_SMEARED_VALUES = 6  # this many strange values ...
_SMEARED_SHARE = 0.1  # ... on this share of the pixels at most: edges that were interpolated
_CELL = 16  # pixels per cell of a stride-4 map, the output stride of most networks
_REFUSED = "training stops before its first step"


def colour_masks(checkup: Checkup) -> Iterator[Finding]:
    """Masks of colours instead of class values."""
    for record in checkup.records.values():
        if masks := [t.message for t in record.troubles if t.kind == "colour"]:
            yield Finding(
                "error",
                record.name,
                f"{number_of(len(masks), 'mask')} without a single channel: {some(masks)}",
                f"{_REFUSED}: save masks with one value a pixel (mode L or P), not colours; where "
                "each colour is a class, convert them once by a table of colours",
            )


def strange_values(checkup: Checkup) -> Iterator[Finding]:
    """Labels that are neither classes nor ignored, and their probable cause."""
    for record in checkup.records.values():
        troubles = [t for t in record.troubles if t.kind == "values"]
        if troubles:
            values = sorted(record.strange)
            yield Finding(
                "error",
                record.name,
                f"values {some(values)} are neither classes nor ignored, on "
                f"{number_of(record.strange.total(), checkup.place)} in "
                f"{number_of(len(troubles), 'file')}: {some([t.file for t in troubles])}",
                f"{_REFUSED}: {_cause(checkup, record)}",
            )


def _cause(checkup: Checkup, record: SplitRecord) -> str:
    values, num_classes = set(record.strange), len(checkup.spec.classes)
    total = record.strange.total()
    smeared = total <= _SMEARED_SHARE * (total + record.strange_beside)
    if len(values) >= _SMEARED_VALUES and smeared:
        return (
            "many values on few pixels, so the masks seem resized with interpolation (or drawn "
            "with smooth edges); make them anew with nearest-neighbour resizing"
        )
    if checkup.listed and values == {num_classes}:
        first = checkup.spec.classes[0]
        zeros = int(record.statistics.pixels_K[0])
        if not zeros:
            return (
                f"no value is 0, so the masks seem to count from 1: write classes as a mapping "
                f"{{1: {first}, ..., {num_classes}: {checkup.spec.classes[-1]}}}"
            )
        return (
            f"if 0 means nothing and 1 is {first!r}, write classes as a mapping {{1: {first}, ..., "
            f"{num_classes}: {checkup.spec.classes[-1]}}} with ignore_values: [0]; otherwise "
            f"name class {num_classes} in the card"
        )
    return "add them to classes of the card, or to ignore_values if they are not labels"


def ignored_pixels(checkup: Checkup) -> Iterator[Finding]:
    """Samples without labels, and splits that are mostly ignored."""
    for record in checkup.records.values():
        if record.blank:
            yield Finding(
                "warning",
                record.name,
                f"{number_of(len(record.blank), checkup.sample)} without a labelled "
                f"{checkup.place}: {some(record.blank)}",
                "they cost time without effect; label them or leave them out of the split",
            )
        labelled = int(record.statistics.pixels_K.sum())
        share = record.ignored / max(labelled + record.ignored, 1)
        if share > _MOSTLY_IGNORED and labelled:
            yield Finding(
                "hint",
                record.name,
                f"{share:.0%} of the {checkup.place}s are ignored",
                "nothing is learned or scored there; if these values are classes, name them "
                f"under classes of the card (value {checkup.spec.ignore_index} is always ignored "
                "unless it is named, or ignore_index is another)",
            )


def absent_classes(checkup: Checkup) -> Iterator[Finding]:
    """Classes that do not occur in a split."""
    present = {
        name: {k for k, images in enumerate(record.statistics.images_K.tolist()) if images}
        for name, record in checkup.records.items()
    }
    every, anywhere = set(range(len(checkup.spec.classes))), set().union(*present.values())
    if len(anywhere) == 1:
        yield Finding(
            "error",
            "classes",
            f"only class {checkup.spec.classes[anywhere.copy().pop()]!r} occurs",
            "only one class would be learned: "
            + (
                "check the codes of the scans and the classes of the card"
                if checkup.spec.holds_points
                else "check the values of the masks; where they are 0 and 255, the card needs "
                "classes: {0: ..., 255: ...} and another ignore_index"
            ),
        )
        return
    if nowhere := sorted(every - anywhere):
        counted = checkup.listed and nowhere == [0]
        yield Finding(
            "warning",
            "classes",
            f"no {checkup.sample} holds {_classes(checkup, nowhere)}",
            "where the network predicts one, its IoU is 0 and lowers the mean; take them out of "
            "the card, or name them in ignore_classes"
            + (", unless the masks count from 1: then map the values" * counted),
        )
    train = present.get("train", anywhere)
    if untaught := sorted(anywhere - train):
        yield Finding(
            "warning",
            "train",
            f"train lacks {_classes(checkup, untaught)}, which other splits hold",
            "they cannot be learned, and their IoU of 0 is part of the mean; move "
            f"{checkup.sample}s that hold them to train, or ignore them (ignore_classes)",
        )
    if blind := sorted(train - present.get("val", train)):
        yield Finding(
            "warning",
            "val",
            f"val lacks {_classes(checkup, blind)}",
            "the best weights are chosen by mIoU on val, which ignores them; move some "
            f"{checkup.sample}s that hold them from train to val",
        )
    if unscored := sorted(train - present.get("test", train)):
        yield Finding(
            "hint",
            "test",
            f"test lacks {_classes(checkup, unscored)}",
            "the mIoU on test leaves them out, or counts them as 0 if they are predicted",
        )


def rare_classes(checkup: Checkup) -> Iterator[Finding]:
    """Classes in too few training images to be learned or trusted."""
    record = checkup.records.get("train")
    if record is None:
        return
    images_K = record.statistics.images_K
    order = images_K.argsort(stable=True).tolist()
    rare = [k for k in order if 0 < int(images_K[k]) < checkup.planned.min_images]
    if not rare or record.statistics.num_images < checkup.planned.min_images:
        return
    centers_K = record.statistics.centers_per_batch(checkup.planned.batch_size)
    shown = [f"{checkup.spec.classes[k]} ({images_K[k]})" for k in rare]
    if checkup.spec.holds_points:
        cure = "--data.points.crop.rare 0.5 chooses scans by class"
    else:
        cure = "--data.sampling.by rare_class draws them more often; or add images, or merge them "
        cure += "with similar classes (a mapping may repeat names)"
    share = float(centers_K[rare[0]])
    rarest = checkup.spec.classes[rare[0]]
    seldom = f"only {share:.0%} of batches of {checkup.planned.batch_size} hold {rarest!r}, and "
    yield Finding(
        "warning",
        "train",
        f"{number_of(len(rare), 'class')} in fewer than {checkup.planned.min_images} training "
        f"{checkup.sample}s (in how many): {some(shown)}",
        f"{seldom if share <= 0.5 else ''}scores rest on few {checkup.sample}s: "
        f"{cure}; compare methods over several seeds",
    )


def small_classes(checkup: Checkup) -> Iterator[Finding]:
    """Classes that never have enough pixels for a center or for a cell of the features."""
    record = checkup.records.get("train")
    if record is None:
        return
    largest = record.largest_K.tolist()
    # The most pixels in any batch, without augmentation that enlarges images.
    few = [
        k
        for k, n in enumerate(largest)
        if 0 < n * checkup.planned.batch_size < checkup.planned.min_count
    ]
    if few:
        yield Finding(
            "warning",
            "train",
            f"{_classes(checkup, few)} never reach min_count={checkup.planned.min_count} "
            f"{checkup.place}s in a batch of {checkup.planned.batch_size}",
            "the center branch never sees them; lower min_count of center_collapse in --method",
        )
    tiny = [k for k, n in enumerate(largest) if 0 < n < _CELL and k not in few]
    if tiny and not checkup.spec.holds_points:
        yield Finding(
            "hint",
            "train",
            f"{_classes(checkup, tiny)} never cover {_CELL} pixels of an image",
            f"that is less than one cell of the features (stride 4, {_CELL} pixels): too small to "
            "be found; use larger images, or merge them with what surrounds them",
        )


def _classes(checkup: Checkup, ids: list[int]) -> str:
    return f"{number_of(len(ids), 'class')} ({some(checkup.names(ids))})"
