"""Sparse convolutional networks of point clouds, in pure torch."""

from equiseg.models.sparse.layers import (
    BatchNorm,
    GlobalPool,
    ReLU,
    SparseConv3d,
    SparseConvTranspose3d,
    SparsePool3d,
    SubmanifoldConv3d,
)
from equiseg.models.sparse.minkowski import load_minkowski
from equiseg.models.sparse.minkunet import (
    MinkUNet,
    MinkUNet14A,
    MinkUNet18A,
    MinkUNet34A,
    MinkUNet34C,
    MinkUNetSmall,
)
from equiseg.models.sparse.tensor import SparseTensor
from equiseg.models.sparse.voxel_set import VoxelSet

__all__ = [
    "BatchNorm",
    "GlobalPool",
    "MinkUNet",
    "MinkUNet14A",
    "MinkUNet18A",
    "MinkUNet34A",
    "MinkUNet34C",
    "MinkUNetSmall",
    "ReLU",
    "SparseConv3d",
    "SparseConvTranspose3d",
    "SparsePool3d",
    "SparseTensor",
    "SubmanifoldConv3d",
    "VoxelSet",
    "load_minkowski",
]
