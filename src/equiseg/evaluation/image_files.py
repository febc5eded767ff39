"""Finding and reading the image files that are predicted."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from equiseg.data.errors import DataError
from equiseg.data.images.decoded import image_size
from equiseg.data.images.opened import IMAGE_SUFFIXES
from equiseg.data.images.reading import read_image
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.large_images import LARGE_IMAGE, LEAST_SIDE
from equiseg.foreign_files import list_files
from equiseg.runs.weights import ModelCard

_MOST_OF_VIEWS = 1 << 29  # bytes of all logits, if logits of several views are averaged


class Photo(NamedTuple):
    """An image file, decoded as far as memory allows.

    Attributes:
        file: The file.
        size: (H, W) on disk.
        image: uint8 (3, H, W); None of a large image, which is decoded when it is predicted.
        shown: uint8 (3, h, w) at the size that the network takes; None of a large image.
    """

    file: Path
    size: tuple[int, int]
    image: Tensor | None
    shown: Tensor | None

    @property
    def is_large(self) -> bool:
        """Whether memory cannot hold the whole image and everything made of it."""
        return self.image is None


def image_files(sources: list[Path]) -> list[Path]:
    """The images among files and folders, in the order given, folders sorted.

    Hidden files, as systems and editors make them, are left out.

    Raises:
        DataError: If a source does not exist or a folder holds no image, all of them at once.
    """
    files: list[Path] = []
    problems: list[str] = []
    for source in sources:
        if source.is_dir():
            found = list_files(source, IMAGE_SUFFIXES)
            files += found
            if not found:
                problems.append(f"{source}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
        elif source.exists():
            files.append(source)
        else:
            problems.append(f"{source}: no such file or folder")
    if problems:
        raise DataError.listing("images that cannot be read", problems)
    return files


def check_channels(card: ModelCard) -> None:
    """Raise an error for a network that does not take RGB images.

    Raises:
        ValueError: If it takes images of other than 3 channels.
    """
    channels = (card.configuration or {}).get("in_channels", 3)
    if channels != 3:
        raise ValueError(
            f"predict reads RGB images, this network takes {channels} channels; call it in Python "
            "(equiseg.runs.weights.load_weights)"
        )


def read_photo(card: ModelCard, config: EvaluationConfig, file: Path) -> Photo:
    """Decode an image, unless it is large.

    Args:
        card: What the weights file says of the network.
        config: How the image is predicted.
        file: The image.

    Raises:
        DataError: If the file cannot be read.
    """
    size = image_size(file)
    if not _fits_whole(size, card, config):
        return Photo(file, size, None, None)
    image = read_image(file)
    wanted = network_size(card, size)
    return Photo(file, size, image, image if wanted == size else read_image(file, wanted))


def network_size(card: ModelCard, size: tuple[int, int]) -> tuple[int, int]:
    """(h, w) at which the network sees an image of this size, at least 32 a side."""
    height, width = card.size or size
    return max(height, LEAST_SIDE), max(width, LEAST_SIDE)


def _fits_whole(size: tuple[int, int], card: ModelCard, config: EvaluationConfig) -> bool:
    """Whether the image fits in memory as a whole, and its mirror image if it is needed."""
    pixels = size[0] * size[1]
    if pixels > LARGE_IMAGE:
        return False
    several = config.flip or config.window
    if card.size is not None or not several or config.scales != (1.0,):
        return True
    views = 2 if config.flip else 1
    return views * pixels <= LARGE_IMAGE and 4 * len(card.classes) * pixels <= _MOST_OF_VIEWS
