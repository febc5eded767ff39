"""Metrics over a whole data set, as torchmetrics count them: batch by batch, over all ranks."""

from equiseg.metrics.calibration import Calibration, CalibrationError
from equiseg.metrics.collapse_metric import CollapseMetric
from equiseg.metrics.segmentation import Score, SegmentationScore

__all__ = ["Calibration", "CalibrationError", "CollapseMetric", "Score", "SegmentationScore"]
