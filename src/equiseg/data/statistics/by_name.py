"""Open labelled data by name, to count them: a card, built-in data, masks or scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from equiseg.data.config import DataConfig
from equiseg.data.errors import DataError
from equiseg.data.points.formats.table import scan_suffixes
from equiseg.data.sources import find_source, is_built_in, is_own_name
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.progress import Track, untracked


class Named(NamedTuple):
    """One split of labelled data.

    Attributes:
        data: ``SegmentationData`` or ``PointData``.
        title: Name of the data.
        split: Which split; empty where there is none.
        sample: Kind of a sample: "image", "scan" or "block".
        bare: Whether classes are the values of files: those that occur, named by their number.
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
    track: Track = untracked,
) -> Named:
    """Open labelled data by the name a user gives; no image is read yet.

    Args:
        name: A folder of masks, a scan, a folder of scans, or anything that a training's card may
            name. A path that exists means masks or scans, unless ``root`` says that a card is
            meant; for folders called "pictures" or "scans" give the path ("./scans").
        split: Of a card or of built-in data; None takes train, or the card's first.
        root: Folder of the data of a card.
        ignore_values: Values that mean "not labelled", of data without a card; None is 255 alone.
        synthetic: The built-in data; None takes the defaults.
        track: Shows the progress over scans.

    Raises:
        DataError: If there are no such data, or they cannot be used.
        ValueError: If an option does not apply to these data.
    """
    path = Path(name)
    bare = path.suffix not in (".yaml", ".yml") and path.exists() and root is None
    if bare and not is_built_in(name):
        _refuse(name, split=split)
        return _bare(path, (255,) if ignore_values is None else ignore_values, track)
    _refuse(name, ignore_values=ignore_values)
    if not path.exists() and (
        path.suffix.lower() in scan_suffixes() or (len(path.parts) > 1 and not is_own_name(name))
    ):
        raise DataError(f"{path}: no such file or folder")
    config = DataConfig(card=name, root=root, synthetic=synthetic or SyntheticConfig())
    source = find_source(config).without_context()
    known = source.all_splits()
    chosen = split or ("train" if "train" in known else known[0])
    return Named(source.open(chosen, track), source.title, chosen, source.sample)


def _bare(path: Path, ignore_values: Sequence[int], track: Track) -> Named:
    from equiseg.data.images.masks import MASK_SUFFIXES, MaskFolder

    if path.is_dir() and any(file.suffix.lower() in MASK_SUFFIXES for file in path.rglob("*")):
        title = path.resolve().name
        return Named(MaskFolder(path, ignore_values), title, "", "image", bare=True)
    from equiseg.data.points.folder import PointFolder
    from equiseg.data.statistics.unlabelled_scans import ALL, card_of_scans

    card = card_of_scans(path, ignore_values, track)
    return Named(PointFolder(card, ALL, track=track), card.name, "", "scan", bare=True)


def _refuse(name: str, **options: object) -> None:
    for option, given in options.items():
        if given is not None:
            raise ValueError(
                f"{option} has no meaning for {name}, got {given!r}; leave it out"
                + ("" if option != "ignore_values" else ", or write it into the card")
            )
