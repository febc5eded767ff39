"""equiseg stats."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

from equiseg.commands.early_checks import check_card_path
from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.data.synthetic.scans.config import ScansConfig

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from equiseg.data.statistics.profile import DataProfile
    from equiseg.records.data_statistics import DataStatistics

POSITIONAL = ("data",)
MAIN_OPTIONS = {
    "data": ("data", "root", "split", "ignore_values"),
    "results": ("out", "json"),
    "counting": ("batch_size", "num_workers", "threads"),
}
RENAMED = {"scenes": "pictures", "rooms": "scans", "num_scenes": "num_samples"}
_BATCH_SIZE = 8  # as in training
_UNFINISHED = "counting.sqlite"
_SHOWN_ROWS = 200  # at both ends of a table that is too long for a terminal


@dataclass(frozen=True)
class StatsOptions:
    """What is counted, and where the counts go.

    Attributes:
        split: The split of a card or of the built-in data. Default: train, or the card's first.
        root: The folder of the data of a card; overrides the card's own.
        batch_size: Images per batch, for the expected number of centers. Default: 8.
        num_workers: Worker processes that read and count; 0 counts in this one.
        out: The folder for statistics.json, classes.csv, figures/ and a page (report.html). With
            it, an interrupted count can be resumed.
        json: Print JSON and nothing else.
        ignore_values: Values that mean "not labelled" in masks or scans without a card. Default:
            [255].
        pictures: The built-in pictures.
        scans: The built-in scans.
        num_samples: Number of built-in pictures or scans to count.
        threads: CPU threads. None takes all cores.

    Raises:
        ValueError: If a number is too small.
    """

    split: str | None = None
    root: str | None = None
    batch_size: int | None = None
    num_workers: int = 0
    out: Path | None = None
    json: bool = False
    ignore_values: tuple[int, ...] | None = None
    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    scans: ScansConfig = field(default_factory=ScansConfig)
    num_samples: int = 400
    threads: int | None = None

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "num_workers": 0, "num_samples": 1}
        for name, lowest in least.items():
            given = getattr(self, name)
            if given is not None and given < lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {given}")


def stats(data: str, options: StatsOptions = StatsOptions()) -> None:
    """Count the classes of a data set: their imbalance and their context.

    Shows every class with its pixels, images, regions and its centers in a batch; the imbalance in
    each of these; and how much a pixel's neighbour says about its class. DATA may be the name of a
    card (camvid, ccp, ...) or a card of your own (.yaml); the built-in "pictures" or "scans"; a
    class of your own (my_module.MyData); a folder of masks, a scan (LAS, LAZ, PLY, NPZ) or a
    folder of scans, whose values are then the classes; a CSV file of counts with the columns
    class_id, name, pixels, images; or a statistics.json of this command.

    Args:
        data: The data to count: a card, built-in data, a folder, a file or counts.
        options: How they are counted, and where the results go.

    Raises:
        DataError: If there are no such data, or they cannot be used.
        ValueError: If an option does not apply to these data.
    """
    check_card_path(data)
    from rich.console import Console

    from equiseg.commands.command_text import command_text
    from equiseg.records.data_statistics import STATISTICS, DataStatistics
    from equiseg.runs.folder_kind import Outcome, check_outcome, mark_outcome
    from equiseg.runs.terminal import folder_line
    from equiseg.runs.threads import use_threads

    out = None if options.out is None else Path(options.out)
    if out is not None:
        check_outcome(out, Outcome.COUNTS)
    use_threads(options.threads)
    path = Path(data)
    if path.suffix in (".csv", ".json"):
        profile = _counted_before(path, options)
    else:
        profile = _counted(data, options, None if out is None else out / _UNFINISHED)
    if options.json:
        print(dumps(profile.summary()))
    else:
        show(DataStatistics.of(profile.record()), Console())
    if out is not None:
        from equiseg.commands.draw_page import draw_page
        from equiseg.runs.provenance import provenance

        mark_outcome(out, Outcome.COUNTS)
        command = command_text("stats", data, options)
        profile.save(out / STATISTICS, command=command, made=provenance())
        profile.table().write_csv(out / "classes.csv")
        page = draw_page(out)
        (out / _UNFINISHED).unlink(missing_ok=True)
        if not options.json:
            Console().print(folder_line("page: ", page))


def show(data: DataStatistics, console: Console) -> None:
    """Print the counts."""
    from equiseg.report.dataset.wording import caveats, ledes
    from equiseg.runs.terminal import as_is

    console.print(class_table(data))
    console.print(level_table(data))
    for line in (*ledes(data), *caveats(data)):
        console.print(as_is(line), highlight=False)


def class_table(data: DataStatistics) -> Table:
    """Every class with its counts, the most frequent first."""
    from rich.table import Table

    from equiseg.commands.tables import GROUP_STYLE
    from equiseg.report.dataset.wording import share
    from equiseg.report.wording import number
    from equiseg.runs.terminal import as_is

    levels = [level.name for level in data.levels]
    where = f"{data.title}, {data.split}" if data.split else data.title
    samples = f"{data.num_samples:,} {data.sample}s"
    table = Table(title=as_is(f"{where}: {samples}, most frequent class first"))
    table.add_column("class")
    for column in ("group", "share", *levels):
        table.add_column(column, justify="right")
    rows = data.class_rows
    rest = len(rows) - 2 * _SHOWN_ROWS
    for place, row in enumerate(rows):
        if rest > _SHOWN_ROWS and place == _SHOWN_ROWS:
            table.add_row(
                f"... {rest:,} more: --out writes all of them", "", "", *[""] * len(levels)
            )
        if rest > _SHOWN_ROWS and _SHOWN_ROWS <= place < len(rows) - _SHOWN_ROWS:
            continue
        counts = [number(row[n], 1, 3) if n == "centers" else f"{row[n]:,}" for n in levels]
        style = GROUP_STYLE[row["group"]]
        table.add_row(as_is(row["name"]), row["group"], share(row["share"]), *counts, style=style)
    return table


def level_table(data: DataStatistics) -> Table:
    """The imbalance of the classes, in each unit."""
    from rich.table import Table

    from equiseg.report.dataset.wording import factor
    from equiseg.report.wording import number

    batch = f"a batch of {data.batch_size} {data.sample}s"
    table = Table(title=f"imbalance [dim](centers: expected in {batch})[/dim]")
    table.add_column("counted in")
    for column in ("most frequent : rarest", "Gini", f"effective of {len(data.classes)} classes"):
        table.add_column(column, justify="right")
    for level in data.levels:
        classes = number(level.effective_num_classes, 1)
        ratio = factor(level.imbalance_factor)
        table.add_row(level.name, ratio, number(level.gini, 1, 2), classes)
    return table


def _counted_before(path: Path, options: StatsOptions) -> DataProfile:
    """Counts from a file."""
    from equiseg.data.statistics.profile import DataProfile
    from equiseg.imbalance import ClassTable

    names = ("split", "root", "ignore_values")
    if unused := [name for name in names if getattr(options, name) is not None]:
        raise ValueError(f"{', '.join(unused)} must be left out for the counts in {path}")
    if path.suffix == ".json":
        return DataProfile.load(path, options.batch_size)
    batch_size = options.batch_size or _BATCH_SIZE
    return DataProfile.of_table(path.stem, ClassTable.read_csv(path), batch_size)


def _counted(name: str, options: StatsOptions, unfinished: Path | None) -> DataProfile:
    """Counts of the data of a name, with a bar on the way."""
    from rich.console import Console

    from equiseg.data.statistics.counting import count_data
    from equiseg.data.statistics.open_by_name import open_named
    from equiseg.data.statistics.profile import DataProfile
    from equiseg.data.synthetic.config import SyntheticConfig
    from equiseg.runs.progress_bar import tracked

    # Standard output is for the counts.
    shown = partial(tracked, console=Console(stderr=True))
    numbers = (options.num_samples,) * 3
    named = open_named(
        name,
        split=options.split,
        root=options.root,
        ignore_values=options.ignore_values,
        synthetic=SyntheticConfig(options.pictures, options.scans, numbers),
        num_workers=options.num_workers,
        track=shown,
    )
    counts = count_data(
        named.data,
        num_workers=options.num_workers,
        progress_file=unfinished,
        track=shown,
    )
    return DataProfile.of(named, counts, options.batch_size or _BATCH_SIZE)
