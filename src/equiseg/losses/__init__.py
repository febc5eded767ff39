"""Losses, one to a file."""

from equiseg.losses.center_collapse import CenterCollapseLoss
from equiseg.losses.cross_entropy import CrossEntropyLoss

__all__ = ["CenterCollapseLoss", "CrossEntropyLoss"]
