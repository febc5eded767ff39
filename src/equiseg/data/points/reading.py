"""ScanReading: how scans are read for a network, stored with its weights."""

from __future__ import annotations

from dataclasses import dataclass

from equiseg.data.point_card import PointCard


@dataclass(frozen=True)
class ScanReading:
    """How scans are read for a network of point clouds, and how its classes are written.

    Attributes:
        form: Format of its training data (see ``PointCard``).
        features: Attributes of a point that are the network's input (see ``PointCard``).
        voxel_size: Side of a voxel, in meters.
        block: Side of the blocks that a scan is cut into, in meters; None uses whole scans.
        margin: Context around a block, in meters.
        codes: The code of each class in written files.
    """

    form: str
    features: tuple[str, ...]
    voxel_size: float
    block: float | None
    margin: float
    codes: tuple[int, ...]

    @classmethod
    def of(cls, card: PointCard) -> ScanReading:
        """The reading that the card of the training data describes."""
        # If several codes mean one class, the first of them is written.
        code_of = {class_id: code for code, class_id in reversed(card.ids_by_value().items())}
        codes = tuple(code_of[k] for k in range(len(card.class_names())))
        return cls(card.form, tuple(card.features), card.voxel, card.block, card.margin, codes)
