"""Metrics over a whole data set (torchmetrics): updated batch by batch, summed over all ranks."""

from typing import TYPE_CHECKING

from equiseg.lazy_names import lazy_names

if TYPE_CHECKING:
    from equiseg.metrics.boundaries import BoundaryScore
    from equiseg.metrics.boundary_counts import BoundaryResult
    from equiseg.metrics.calibration import CalibrationError
    from equiseg.metrics.collapse_metric import CollapseMetric
    from equiseg.metrics.confidence_bins import Calibration
    from equiseg.metrics.image_ious import ImageResult
    from equiseg.metrics.images import ImageScore
    from equiseg.metrics.object_result import ObjectResult
    from equiseg.metrics.objects import ObjectScore
    from equiseg.metrics.score import Score
    from equiseg.metrics.segmentation import SegmentationScore

__all__ = [
    "BoundaryResult",
    "BoundaryScore",
    "Calibration",
    "CalibrationError",
    "CollapseMetric",
    "ImageResult",
    "ImageScore",
    "ObjectResult",
    "ObjectScore",
    "Score",
    "SegmentationScore",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BoundaryResult": "equiseg.metrics.boundary_counts",
        "BoundaryScore": "equiseg.metrics.boundaries",
        "Calibration": "equiseg.metrics.confidence_bins",
        "CalibrationError": "equiseg.metrics.calibration",
        "CollapseMetric": "equiseg.metrics.collapse_metric",
        "ImageResult": "equiseg.metrics.image_ious",
        "ImageScore": "equiseg.metrics.images",
        "ObjectResult": "equiseg.metrics.object_result",
        "ObjectScore": "equiseg.metrics.objects",
        "Score": "equiseg.metrics.score",
        "SegmentationScore": "equiseg.metrics.segmentation",
    },
    dict.fromkeys(
        (
            "BoundaryScore",
            "CalibrationError",
            "CollapseMetric",
            "ImageScore",
            "ObjectScore",
            "SegmentationScore",
        ),
        ("torchmetrics", "equiseg[metrics]"),
    ),
)
