"""equiseg stats."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from json import dumps
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from equiseg.commands.tables import GROUP_STYLE
from equiseg.data.statistics.by_name import open_named
from equiseg.data.statistics.counting import count_data
from equiseg.data.statistics.profile import DataProfile
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.imbalance import ClassTable
from equiseg.report.dataset.wording import caveats, factor, ledes, share
from equiseg.report.wording import number
from equiseg.runs.folder_kind import Outcome, check_outcome, mark_outcome
from equiseg.runs.progress import tracked

_BATCH_SIZE = 8  # as in training
_UNFINISHED = "counting.json"


def stats(
    data: str,
    split: str | None = None,
    root: str | None = None,
    batch_size: int | None = None,
    num_workers: int = 0,
    out: Path | None = None,
    json: bool = False,
    ignore_values: list[int] | None = None,
    pictures: PicturesConfig = PicturesConfig(),  # noqa: B008 - frozen
    scans: ScansConfig = ScansConfig(),  # noqa: B008 - frozen
    num_samples: int = 400,
) -> None:
    """Count the classes of a data set: how uneven they are, and how they lie together.

    Shows every class with its pixels, images, regions and its centers in a batch; the imbalance
    counted in each; and how much a pixel's neighbour tells of its class. DATA may be the name of a
    card (camvid, ccp, ...) or a card of your own (.yaml); "pictures" or "scans"; a class of your
    own (my_module.MyData); a folder of masks, a scan (LAS, LAZ, PLY, NPZ) or a folder of scans,
    whose values are then the classes; a CSV file of counts with the columns class_id, name,
    pixels, images; or a statistics.json of this command.

    Args:
        data: What to count.
        split: The split of a card or of the built-in data; train if not said otherwise, or the
            card's first.
        root: Folder of the data of a card; overrides the card's own.
        batch_size: Images in a batch, for the expected number of centers; 8 if not said otherwise.
        num_workers: Processes that read and count; 0 counts in this one.
        out: Folder for statistics.json, classes.csv, figures/ and a page (report.html). With it, a
            count that was interrupted goes on where it stopped.
        json: Print JSON for machines, and nothing else.
        ignore_values: Values of masks or scans without a card that mean "not labelled"; 255 if
            not said otherwise.
        pictures: The built-in pictures.
        scans: The built-in scans.
        num_samples: How many built-in pictures or scans to count.
    """
    least = {"batch_size": (batch_size, 1), "num_workers": (num_workers, 0)}
    for name, (given, lowest) in (least | {"num_samples": (num_samples, 1)}).items():
        if given is not None and given < lowest:
            raise ValueError(f"{name} must be at least {lowest}, got {given}")
    unfinished = None if out is None else out / _UNFINISHED
    if out is not None:
        check_outcome(out, Outcome.COUNTS)
    path = Path(data)
    if path.suffix in (".csv", ".json"):
        options = {"split": split, "root": root, "ignore_values": ignore_values}
        if unused := [name for name, given in options.items() if given is not None]:
            raise ValueError(f"{', '.join(unused)} must be left out for the counts in {data}")
        profile = _counted_before(path, batch_size)
    else:
        options = {"split": split, "root": root, "ignore_values": ignore_values}
        profile = _counted(
            data,
            batch_size or _BATCH_SIZE,
            num_workers,
            unfinished,
            synthetic=SyntheticConfig(pictures, scans, (num_samples,) * 3),
            **options,
        )
    if json:
        print(dumps(profile.summary()))
    else:
        show(profile, Console())
    if out is not None:
        from equiseg.report.dataset.page import report_data

        mark_outcome(out, Outcome.COUNTS)
        page = report_data(out, profile, "equiseg " + shlex.join(sys.argv[1:]))
        (out / _UNFINISHED).unlink(missing_ok=True)
        if not json:
            Console().print(f"page: [bold]{page}[/bold]")


def show(profile: DataProfile, console: Console) -> None:
    """Print what was counted."""
    console.print(class_table(profile))
    console.print(level_table(profile))
    for line in (*ledes(profile), *caveats(profile)):
        console.print(line, highlight=False)


def class_table(profile: DataProfile) -> Table:
    """Every class, by group, the most frequent first."""
    levels = [level.name for level in profile.levels]
    where = f"{profile.title}, {profile.split}" if profile.split else profile.title
    samples = f"{profile.statistics.num_images:,} {profile.sample}s"
    table = Table(title=f"{where}: {samples}, most frequent class first")
    table.add_column("class")
    for column in ("group", "share", *levels):
        table.add_column(column, justify="right")
    for row in profile.class_rows():
        counts = [f"{row[n]:.3f}" if n == "centers" else f"{row[n]:,}" for n in levels]
        style = GROUP_STYLE[row["group"]]
        table.add_row(row["name"], row["group"], share(row["share"]), *counts, style=style)
    return table


def level_table(profile: DataProfile) -> Table:
    """How uneven the classes are, counted in each unit."""
    batch = f"a batch of {profile.batch_size} {profile.sample}s"
    table = Table(title=f"imbalance [dim](centers: expected in {batch})[/dim]")
    table.add_column("counted in")
    for column in ("commonest : rarest", "Gini", f"effective of {len(profile.classes)} classes"):
        table.add_column(column, justify="right")
    for level in profile.levels:
        classes = number(level.effective_num_classes, 1)
        ratio = factor(level.imbalance_factor)
        table.add_row(level.name, ratio, number(level.gini, 1, 2), classes)
    return table


def _counted_before(path: Path, batch_size: int | None) -> DataProfile:
    """Counts from a file."""
    if path.suffix == ".json":
        return DataProfile.load(path, batch_size)
    return DataProfile.of_table(path.stem, ClassTable.read_csv(path), batch_size or _BATCH_SIZE)


def _counted(
    name: str, batch_size: int, num_workers: int, unfinished: Path | None, **options: Any
) -> DataProfile:
    """Counts of the data of a name, with a bar while they are made."""
    # Standard output is for what was counted.
    shown = partial(tracked, console=Console(stderr=True))
    named = open_named(name, track=shown, **options)
    counts = count_data(
        named.data,
        num_workers=num_workers,
        progress_file=unfinished,
        track=shown,
    )
    return DataProfile.of(named, counts, batch_size)
