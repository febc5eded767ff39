"""Data sets by their form on disk, the built-in scenes, joint transforms and loading."""

from equiseg.data.cache import CachedData, survey
from equiseg.data.card import DataCard, ImageCard, PointCard, load_card
from equiseg.data.errors import DataError
from equiseg.data.sample import Sample, SegmentationData

__all__ = [
    "CachedData",
    "DataCard",
    "DataError",
    "ImageCard",
    "PointCard",
    "Sample",
    "SegmentationData",
    "load_card",
    "survey",
]
