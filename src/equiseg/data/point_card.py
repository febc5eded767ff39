"""PointCard: description of a folder of labelled point clouds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from equiseg.data.card import DataCard
from equiseg.data.card_fields import (
    group_problems,
    length_problems,
    not_all,
    pattern_problems,
    shown,
    split_problems,
    unused_split_problems,
)
from equiseg.data.points.formats.table import find_format


@dataclass(frozen=True, kw_only=True)
class PointCard(DataCard):
    """A folder of labelled point clouds.

    Attributes:
        form: Format of the files: "las" (also LAZ), "ply", "arrays" (NPZ files or folders of NPY
            files), "semantic_kitti" or "scannet200" (their official layouts), or a function
            ``read(path) -> PointCloud`` of your own: "my_module.read" or "file.py:read", the file
            relative to the card.
        points: Files (folders for NPY) under the root, as a pattern like ``{split}/*.laz``.
            Not needed for "semantic_kitti" and "scannet200".
        splits: For each split (train, val, test) the text that replaces ``{split}``, or the list of
            its scan names without suffix, or a text file under the root with one name per line. Or
            a list of split names, such as ``[train, train, val,
            test]``: blocks are then assigned to the splits in this pattern, stratified by class
            (``equiseg.data.points.store.split_blocks``).
        features: The network's input at each point, in addition to its coordinates: rgb, nir,
            intensity, returns, normal, height (above ground, computed), or the name of an attribute
            of the files. Without features, the input is a constant.
        voxel: Side of a voxel, in meters.
        block: Side of the square blocks that scans are cut into, in meters. None uses whole scans.
        margin: Width of the context around a block, in meters: the network sees its points, but
            they are neither learned nor scored.
        label_name: Name of the attribute with the class codes, for the forms "las" (a dimension),
            "ply" (a property) and "arrays" (an array). None takes the one with a usual name
            (``label``, ``class``, ``classification``, ``semantic``, ``segment``, ...; LAS files
            always have ``classification``); if several have one, the error names them.
        ignore_others: Whether to ignore codes that the card does not name; False refuses them.
        groups: Names of the classes in head, common and tail, if a benchmark defines them. None
            takes thirds by training frequency.
    """

    form: str
    splits: Mapping[str, str | Sequence[str]] | Sequence[str]
    points: str = ""
    features: Sequence[str] = field(default_factory=tuple)
    voxel: float = 0.05
    block: float | None = None
    margin: float = 0.0
    label_name: str | None = None
    ignore_others: bool = False
    groups: Mapping[str, Sequence[str]] | None = None

    def _own_problems(self) -> Iterator[str]:
        try:
            scan_format = find_format(self.form)
        except ValueError as error:
            yield str(error)
            scan_format = None
        if scan_format is not None and scan_format.official is None:
            if not self.points:
                yield f"points must be given for form {self.form!r}, as in '{{split}}/*.laz'"
            yield from pattern_problems(
                "points", self.points, "pattern of files, with or without {split}"
            )
            if isinstance(self.points, str) and not self.points.replace("{split}", "").strip("/"):
                yield f"points must name files, as in '{{split}}/*.laz', got {shown(self.points)}"
            yield from unused_split_problems(self.splits, [self.points])
        if self.label_name is not None:
            if not isinstance(self.label_name, str) or not self.label_name:
                yield f"label_name must be the name of an attribute, got {self.label_name!r:.80}"
            elif scan_format is not None and not scan_format.chosen_labels:
                yield f"label_name has no meaning for form {self.form!r}, whose labels have a place"
        if isinstance(self.splits, Mapping):
            yield from split_problems(self.splits, "scan")
        elif not self.splits or not_all(str, self.splits):
            yield (
                "splits must map split names to folders or lists of scan names, or be a list of "
                f"split names such as [train, train, val, test], got {shown(self.splits)}"
            )
        elif self.block is None:
            yield "splits that deal blocks need block, the side of a block in meters"
        if wrong := not_all(str, self.features):
            yield f"features must be a list of names, got {shown(wrong)}"
        yield from length_problems("voxel", self.voxel)
        if self.block is not None:
            yield from length_problems("block", self.block)
        yield from length_problems("margin", self.margin, or_zero=True)
        if self.margin and self.block is None:
            yield f"margin needs blocks to lie around, got {shown(self.margin)} without block"
        if not isinstance(self.ignore_others, bool):
            yield f"ignore_others must be true or false, got {shown(self.ignore_others)}"
        if self.groups is not None:
            yield from group_problems(self.groups, self.classes, self.ignore_classes)

    def _usual_color(self, value: int) -> str | None:
        """LAS files are drawn in the colours of their standard, in every viewer."""
        from equiseg.data.points.asprs import ASPRS_COLORS

        return ASPRS_COLORS.get(value) if self.form == "las" else None
