"""Opening labelled data by name for counting: a card, built-in data, masks or scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from equiseg.data.config import DataConfig
from equiseg.data.errors import DataError
from equiseg.data.points.formats.table import scan_suffixes
from equiseg.data.sources import find_source, is_built_in, is_own_name
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.foreign_files import list_files
from equiseg.progress import Track, untracked


class Named(NamedTuple):
    """One split of labelled data.

    Attributes:
        data: ``SegmentationData`` or ``PointData``.
        title: Name of the data.
        split: Name of the split; empty if there are no splits.
        sample: Kind of a sample: "image", "scan" or "block".
        bare: Whether there is no card, so that the values in the files are the classes.
    """

    data: Any
    title: str
    split: str
    sample: str
    bare: bool = False


def open_named(
    name: str,
    *,
    split: str | None = None,
    root: str | None = None,
    ignore_values: Sequence[int] | None = None,
    synthetic: SyntheticConfig | None = None,
    num_workers: int = 0,
    track: Track = untracked,
) -> Named:
    """Open labelled data by the name a user gives; no image is read yet.

    Args:
        name: A folder of masks, a scan, a folder of scans, or any value of ``data.card``. An
            existing path means masks or scans, unless ``root`` is given, which only cards have; for
            folders called "pictures" or "scans" give the path ("./scans").
        split: Split of a card or of built-in data; None takes train, or the first split of the
            card.
        root: Folder of the data of a card.
        ignore_values: Values that mean "not labelled", for data without a card; None is 255 alone.
        synthetic: Options of the built-in data; None takes the defaults.
        num_workers: Worker processes that read scans the first time; 0 reads in this process.
        track: Shows the progress over scans.

    Raises:
        DataError: If the data do not exist or cannot be used.
        ValueError: If an option does not apply to these data.
    """
    path = Path(name)
    bare = path.suffix not in (".yaml", ".yml") and path.exists() and root is None
    if bare and not is_built_in(name):
        _refuse(name, split=split)
        ignored = (255,) if ignore_values is None else ignore_values
        return _bare(path, ignored, num_workers, track)
    _refuse(name, ignore_values=ignore_values)
    if not path.exists() and (
        path.suffix.lower() in scan_suffixes() or (len(path.parts) > 1 and not is_own_name(name))
    ):
        raise DataError(f"{path}: no such file or folder")
    synthetic = synthetic or SyntheticConfig()
    config = DataConfig(card=name, root=root, synthetic=synthetic, num_workers=num_workers)
    source = find_source(config).without_context()
    known = source.all_splits()
    chosen = split or ("train" if "train" in known else known[0])
    return Named(source.open(chosen, track), source.title, chosen, source.sample)


def _bare(path: Path, ignore_values: Sequence[int], num_workers: int, track: Track) -> Named:
    from equiseg.data.images.masks import MASK_SUFFIXES, MaskFolder

    if path.is_dir() and list_files(path, MASK_SUFFIXES, nested=True):
        title = path.resolve().name
        return Named(MaskFolder(path, ignore_values), title, "", "image", bare=True)
    from equiseg.data.points.folder import PointFolder
    from equiseg.data.statistics.unlabelled_scans import ALL, card_of_scans

    card = card_of_scans(path, ignore_values, num_workers, track)
    data = PointFolder(card, ALL, track=track, num_workers=num_workers)
    return Named(data, card.name, "", "scan", bare=True)


def _refuse(name: str, **options: object) -> None:
    for option, given in options.items():
        if given is not None:
            raise ValueError(
                f"{option} has no meaning for {name}, got {given!r}; leave it out"
                + ("" if option != "ignore_values" else ", or write it into the card")
            )
