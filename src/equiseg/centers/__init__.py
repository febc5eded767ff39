"""Class centers of a batch, from small feature maps, without resizing them."""

from equiseg.centers.centers import ClassCenters, class_centers
from equiseg.centers.label_sides import LabelSide, label_side, voxel_side

__all__ = ["ClassCenters", "LabelSide", "class_centers", "label_side", "voxel_side"]
