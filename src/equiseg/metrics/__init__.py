"""Metrics over a whole data set (torchmetrics): updated batch by batch, summed over all ranks."""

from typing import TYPE_CHECKING

from equiseg.lazy_names import lazy_names

if TYPE_CHECKING:
    from equiseg.metrics.calibration import CalibrationError
    from equiseg.metrics.collapse_metric import CollapseMetric
    from equiseg.metrics.confidence_bins import Calibration
    from equiseg.metrics.score import Score
    from equiseg.metrics.segmentation import SegmentationScore

__all__ = ["Calibration", "CalibrationError", "CollapseMetric", "Score", "SegmentationScore"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Calibration": "equiseg.metrics.confidence_bins",
        "CalibrationError": "equiseg.metrics.calibration",
        "CollapseMetric": "equiseg.metrics.collapse_metric",
        "Score": "equiseg.metrics.score",
        "SegmentationScore": "equiseg.metrics.segmentation",
    },
    dict.fromkeys(
        ("CalibrationError", "CollapseMetric", "SegmentationScore"),
        ("torchmetrics", "equiseg[metrics]"),
    ),
)
