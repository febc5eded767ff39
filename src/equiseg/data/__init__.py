"""Data sets by their form on disk, the built-in data, joint transforms and loading."""

from typing import TYPE_CHECKING

from equiseg.lazy_names import lazy_names

if TYPE_CHECKING:
    from equiseg.data.card import DataCard
    from equiseg.data.card_file import load_card
    from equiseg.data.errors import DataError
    from equiseg.data.image_card import ImageCard
    from equiseg.data.point_card import PointCard
    from equiseg.data.points.cloud import PointCloud
    from equiseg.data.sample import Sample, SegmentationData
    from equiseg.data.sample_cache import CachedData
    from equiseg.data.survey.samples import survey_samples

__all__ = [
    "CachedData",
    "DataCard",
    "DataError",
    "ImageCard",
    "PointCard",
    "PointCloud",
    "Sample",
    "SegmentationData",
    "load_card",
    "survey_samples",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CachedData": "equiseg.data.sample_cache",
        "DataCard": "equiseg.data.card",
        "DataError": "equiseg.data.errors",
        "ImageCard": "equiseg.data.image_card",
        "PointCard": "equiseg.data.point_card",
        "PointCloud": "equiseg.data.points.cloud",
        "Sample": "equiseg.data.sample",
        "SegmentationData": "equiseg.data.sample",
        "load_card": "equiseg.data.card_file",
        "survey_samples": "equiseg.data.survey.samples",
    },
)
