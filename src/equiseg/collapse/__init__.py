"""Neural collapse, measured."""

from equiseg.collapse.measures import CollapseMeasures
from equiseg.collapse.moments import CenterMoments

__all__ = ["CenterMoments", "CollapseMeasures"]
