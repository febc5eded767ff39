"""equiseg: semantic segmentation of imbalanced data with center collapse regularization."""

from typing import TYPE_CHECKING, Any

from equiseg.centers import ClassCenters, class_centers
from equiseg.centers.label_sides import LabelSide, label_side, voxel_side
from equiseg.collapse import ClassMoments, CollapseMeasures
from equiseg.frames import frame, largest_cosine, simplex_etf, softmax_code
from equiseg.imbalance import (
    ClassStatistics,
    ContextStatistics,
    FrequencyGroups,
    class_prior,
    class_weights,
)
from equiseg.labels import check_labels
from equiseg.losses import CenterCollapseLoss
from equiseg.tap import FeatureTap

if TYPE_CHECKING:
    from equiseg.metrics import (
        Calibration,
        CalibrationError,
        CollapseMetric,
        Score,
        SegmentationScore,
    )

__version__ = "0.1.0"

__all__ = [
    "Calibration",
    "CalibrationError",
    "CenterCollapseLoss",
    "ClassCenters",
    "ClassMoments",
    "ClassStatistics",
    "CollapseMeasures",
    "CollapseMetric",
    "ContextStatistics",
    "FeatureTap",
    "FrequencyGroups",
    "LabelSide",
    "Score",
    "SegmentationScore",
    "check_labels",
    "class_centers",
    "class_prior",
    "class_weights",
    "frame",
    "label_side",
    "largest_cosine",
    "simplex_etf",
    "softmax_code",
    "voxel_side",
]


def __getattr__(name: str) -> Any:
    # The metrics need torchmetrics; a user of the losses alone should not.
    if name in (
        "Calibration",
        "CalibrationError",
        "CollapseMetric",
        "Score",
        "SegmentationScore",
    ):
        from equiseg import metrics

        return getattr(metrics, name)
    raise AttributeError(f"module 'equiseg' has no attribute {name!r}")
