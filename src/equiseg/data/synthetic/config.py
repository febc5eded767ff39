"""Options of the built-in data: seeded pictures and scans of rooms with a long tail."""

from __future__ import annotations

from dataclasses import dataclass, field

from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.data.synthetic.scans.config import ScansConfig

OLD_NAMES = {"scenes": "pictures", "rooms": "scans"}  # in config files of older runs


@dataclass(frozen=True)
class SyntheticConfig:
    """The built-in data: cards "pictures" and "scans".

    Attributes:
        pictures: The built-in pictures, when the card is "pictures".
        scans: The built-in scans, when the card is "scans".
        num_samples: Numbers of pictures or scans in train, val and test.

    Raises:
        ValueError: If a split would be empty.
    """

    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    scans: ScansConfig = field(default_factory=ScansConfig)
    num_samples: tuple[int, int, int] = (400, 100, 200)

    def __post_init__(self) -> None:
        if min(self.num_samples) < 1:
            raise ValueError(
                f"num_samples must be at least 1 in train, val and test, got {self.num_samples}"
            )
