"""Metrics over a whole data set, as torchmetrics count them: batch by batch, over all ranks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equiseg.metrics.calibration import Calibration, CalibrationError
    from equiseg.metrics.collapse_metric import CollapseMetric
    from equiseg.metrics.segmentation import Score, SegmentationScore

__all__ = ["Calibration", "CalibrationError", "CollapseMetric", "Score", "SegmentationScore"]
_MODULES = {
    "Calibration": "calibration",
    "CalibrationError": "calibration",
    "CollapseMetric": "collapse_metric",
    "Score": "segmentation",
    "SegmentationScore": "segmentation",
}


def __getattr__(name: str) -> Any:
    # The catalogue of scores is read without torch, which the metrics need.
    if name in _MODULES:
        return getattr(import_module(f"equiseg.metrics.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'equiseg.metrics' has no attribute {name!r}")
