"""Neural collapse, measured."""

from equiseg.collapse.measures import UNDEFINED, CollapseMeasures
from equiseg.collapse.moments import CenterMoments

__all__ = ["UNDEFINED", "CenterMoments", "CollapseMeasures"]
