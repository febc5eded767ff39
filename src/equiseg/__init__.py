"""equiseg: semantic segmentation of imbalanced data with center collapse regularization."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from equiseg.lazy_names import lazy_names

if TYPE_CHECKING:
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
    from equiseg.metrics import (
        BoundaryResult,
        BoundaryScore,
        Calibration,
        CalibrationError,
        CollapseMetric,
        ImageResult,
        ImageScore,
        ObjectResult,
        ObjectScore,
        Score,
        SegmentationScore,
    )
    from equiseg.tap import FeatureTap

__version__ = "0.1.0"

_HOMES = {
    "BoundaryResult": "equiseg.metrics",
    "Calibration": "equiseg.metrics",
    "CenterCollapseLoss": "equiseg.losses.center_collapse",
    "ClassCenters": "equiseg.centers",
    "ClassMoments": "equiseg.collapse",
    "ClassStatistics": "equiseg.imbalance",
    "CollapseMeasures": "equiseg.collapse",
    "ContextStatistics": "equiseg.imbalance",
    "FeatureTap": "equiseg.tap",
    "FrequencyGroups": "equiseg.imbalance",
    "ImageResult": "equiseg.metrics",
    "LabelSide": "equiseg.centers",
    "ObjectResult": "equiseg.metrics",
    "Score": "equiseg.metrics",
    "check_labels": "equiseg.labels",
    "class_centers": "equiseg.centers",
    "class_prior": "equiseg.imbalance",
    "class_weights": "equiseg.imbalance",
    "frame": "equiseg.frames",
    "label_side": "equiseg.centers",
    "largest_cosine": "equiseg.frames",
    "simplex_etf": "equiseg.frames",
    "softmax_code": "equiseg.frames",
    "voxel_side": "equiseg.centers",
}
_METRICS = dict.fromkeys(
    (
        "BoundaryScore",
        "CalibrationError",
        "CollapseMetric",
        "ImageScore",
        "ObjectScore",
        "SegmentationScore",
    ),
    "equiseg.metrics",
)

__all__ = [
    "BoundaryResult",
    "Calibration",
    "CenterCollapseLoss",
    "ClassCenters",
    "ClassMoments",
    "ClassStatistics",
    "CollapseMeasures",
    "ContextStatistics",
    "FeatureTap",
    "FrequencyGroups",
    "ImageResult",
    "LabelSide",
    "ObjectResult",
    "Score",
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
if find_spec("torchmetrics"):  # a star import must work without the extra
    __all__ += [
        "BoundaryScore",
        "CalibrationError",
        "CollapseMetric",
        "ImageScore",
        "ObjectScore",
        "SegmentationScore",
    ]

__getattr__, __dir__ = lazy_names(
    __name__,
    _HOMES | _METRICS,
    dict.fromkeys(_METRICS, ("torchmetrics", "equiseg[metrics]")),
)
