"""How uneven the classes are: counts, imbalance factors, groups, priors."""

from equiseg.imbalance.groups import FrequencyGroups
from equiseg.imbalance.statistics import ClassStatistics

__all__ = ["ClassStatistics", "FrequencyGroups"]
