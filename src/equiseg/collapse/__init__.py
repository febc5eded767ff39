"""Neural collapse: class moments of the features, collapse measures, and gradients per class."""

from equiseg.collapse.center_branch import center_gradients
from equiseg.collapse.geometry import Geometry, NearestPair, nearest_pairs
from equiseg.collapse.gradients import BranchGradients, PowerLaw
from equiseg.collapse.measures import CollapseMeasures, measures_by_group
from equiseg.collapse.moments import ClassMoments
from equiseg.collapse.pixel_branch import pixel_gradients

__all__ = [
    "BranchGradients",
    "ClassMoments",
    "CollapseMeasures",
    "Geometry",
    "NearestPair",
    "PowerLaw",
    "center_gradients",
    "measures_by_group",
    "nearest_pairs",
    "pixel_gradients",
]
