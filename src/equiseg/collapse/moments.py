"""ClassMoments: counts, means and covariances of each class over a data set, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from equiseg.centers.label_sides import count_in_voxels, transpose_labels
from equiseg.collapse.second_moments import (
    PairWeights,
    add_products,
    cell_weights,
    pixel_weights,
)
from equiseg.labels import check_num_classes, check_shapes, checked_counts

Resolution = Literal["label", "feature"]


@dataclass(eq=False)
class ClassMoments:
    """Sums over the labelled pixels (or points) of each class, in float64.

    One pass over a data set gives the first and second moments that every measure of neural
    collapse needs. Moments of parts of a data set can be merged and summed over ranks. An absent
    class is a row of zeros that :attr:`present_K` masks. Create it with :meth:`zeros`.

    At resolution "label" these are the moments of the features resized to the size of the labels,
    exact up to rounding, as from ``F.interpolate`` followed by a masked covariance; no tensor of
    size (D, H, W) or (K, H, W) is formed. At "feature" the second moments use the cells themselves,
    each weighted by the amount of the class on it: the centers are the same, and the covariance is
    not smoothed by resizing.

    Attributes:
        counts_K: (K,) int64 labelled pixels of each class.
        sums_KD: (K, D) float64 sums of their features.
        squares_KDD: (K, D, D) float64 sums of the outer products of the features: 8 K D^2 bytes,
            79 MB for 150 classes of 256 dimensions.
        ignore_index: Label value left out.
        resolution: Resolution of the second moments; the first moments do not depend on it.
    """

    counts_K: Tensor
    sums_KD: Tensor
    squares_KDD: Tensor
    ignore_index: int = 255
    resolution: Resolution = "label"

    @classmethod
    def zeros(
        cls,
        num_classes: int,
        in_features: int,
        *,
        ignore_index: int = 255,
        resolution: Resolution = "label",
        device: torch.device | str = "cpu",
    ) -> ClassMoments:
        """The moments of no data.

        Args:
            num_classes: Number of classes K.
            in_features: Channels D of the features.
            ignore_index: Label value to leave out. 8-bit masks use 255.
            resolution: "label" for features resized to the size of the labels, where a pixel
                classifier is scored; "feature" for the cells themselves.
            device: Device of the sums; batches are moved there. It must support float64.

        Raises:
            ValueError: If ``num_classes < 2``, ``in_features < 1``, ``ignore_index`` is a class or
                the resolution is neither of the two.
        """
        check_num_classes(num_classes, ignore_index)
        if in_features < 1:
            raise ValueError(
                f"in_features must be at least 1, got {in_features}; pass the channels of the "
                "features"
            )
        if resolution not in ("label", "feature"):
            raise ValueError(f"resolution must be 'label' or 'feature', got {resolution!r}")
        return cls(
            torch.zeros(num_classes, dtype=torch.int64, device=device),
            torch.zeros(num_classes, in_features, dtype=torch.float64, device=device),
            torch.zeros(num_classes, in_features, in_features, dtype=torch.float64, device=device),
            ignore_index,
            resolution,
        )

    # Inference mode can add in place to tensors made inside and outside of it.
    @torch.inference_mode()
    def update(
        self,
        features: Tensor,
        labels: Tensor,
        *,
        inverse: Tensor | None = None,
        align_corners: bool = False,
    ) -> None:
        """Add a batch, in place and without gradient.

        Args:
            features: (B, D, *spatial) maps with one to three spatial dimensions, (N, D) points, or
                (V, D) voxels with an ``inverse`` map. Finite, also where labels are ignored.
            labels: (B, *Spatial) integer ids, each side at least the feature's, or (N,).
            inverse: (N,) int64, the row of ``features`` that each labelled point lies in.
            align_corners: The convention of the resize, as in :func:`equiseg.class_centers`.

        Raises:
            TypeError: If features are not floating point or labels are not integers.
            ValueError: If the shapes, the labels or D do not fit.
        """
        num_classes, dim = self.sums_KD.shape
        check_shapes(features, labels, inverse)
        if features.shape[1] != dim:
            raise ValueError(
                f"features must have {dim} channels like these moments, got {features.shape[1]}; "
                "use one ClassMoments for each layer"
            )
        device = self.counts_K.device
        features, labels = features.to(device), labels.to(device)
        self.counts_K += checked_counts(labels, num_classes, ignore_index=self.ignore_index)
        if features.ndim == 2:  # points or voxels are one map with a label for each cell
            pairs = self._point_weights(labels, inverse, len(features))
            add_products(self.sums_KD, self.squares_KDD, features.T, pairs)
            return
        for map_, image_labels in zip(features, labels, strict=True):
            pairs = self._image_weights(image_labels, tuple(map_.shape[1:]), align_corners)
            add_products(self.sums_KD, self.squares_KDD, map_.flatten(1), pairs)

    def _point_weights(self, labels: Tensor, inverse: Tensor | None, cells: int) -> PairWeights:
        if inverse is None:
            inverse = torch.arange(cells, device=labels.device)
        side = count_in_voxels(
            labels,
            inverse.to(labels.device),
            cells,
            len(self.counts_K),
            self.ignore_index,
            torch.float64,
        )
        return cell_weights(side)

    def _image_weights(
        self, labels: Tensor, feature_size: tuple[int, ...], align_corners: bool
    ) -> PairWeights:
        if self.resolution == "label" and feature_size != labels.shape:
            return pixel_weights(labels, feature_size, self.ignore_index, align_corners)
        side = transpose_labels(
            labels.unsqueeze(0).cpu(),
            len(self.counts_K),
            feature_size,
            self.ignore_index,
            align_corners,
            torch.float64,
        )
        return cell_weights(side.to(labels.device))

    @torch.inference_mode()
    def merge(self, other: ClassMoments) -> None:
        """Add the moments of another part of the data, in place.

        Raises:
            ValueError: If classes, dimensions, ``ignore_index`` or resolution differ.
        """
        kinds = [
            (*moments.sums_KD.shape, moments.ignore_index, moments.resolution)
            for moments in (self, other)
        ]
        if kinds[0] != kinds[1]:
            raise ValueError(
                "moments must agree in K, D, ignore_index and resolution to be merged, got "
                f"{kinds[0]} and {kinds[1]}; make both with the same arguments"
            )
        for total, part in zip(self._tensors(), other._tensors(), strict=True):
            total += part.to(total.device)

    @torch.inference_mode()
    def all_reduce(self, process_group: Any = None) -> None:
        """Add up the moments of all ranks, in place: call it once, after the last batch.

        The tensors must be on a device that the backend supports: NCCL needs
        ``zeros(..., device="cuda")``. Without ``torch.distributed`` (one process) it does nothing.

        Args:
            process_group: The ranks to sum over; None takes all.
        """
        if not dist.is_available() or not dist.is_initialized():
            return
        for total in self._tensors():
            dist.all_reduce(total, group=process_group)

    def _tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.counts_K, self.sums_KD, self.squares_KDD

    @property
    def present_K(self) -> Tensor:
        """(K,) bool, whether each class has at least one pixel."""
        return self.counts_K > 0

    @property
    def centers_KD(self) -> Tensor:
        """(K, D) float64 means; absent rows are zero."""
        return self.sums_KD / self.counts_K.clamp(min=1).unsqueeze(1)

    @property
    def variances_K(self) -> Tensor:
        """(K,) float64 mean squared distance of a class's pixels to its center; NaN where absent.

        The trace of the population covariance.
        """
        squares_K = self.squares_KDD.diagonal(dim1=1, dim2=2).sum(1)
        variances_K = squares_K / self.counts_K - self.centers_KD.square().sum(1)
        return variances_K.clamp(min=0)  # rounding may leave -1e-16 of the squared norm

    def within_DD(self, average: Literal["class", "pixel"] = "class") -> Tensor:
        """(D, D) float64 within-class covariance; NaN where no class is present.

        Args:
            average: "class" for the mean of the population covariances of the present classes, in
                which rare and frequent classes count the same; "pixel" for the mean over pixels,
                each about the center of its class.

        Raises:
            ValueError: If average is neither of the two.
        """
        if average not in ("class", "pixel"):
            raise ValueError(f"average must be 'class' or 'pixel', got {average!r}")
        shares_K = self.present_K.double() if average == "class" else self.counts_K.double()
        shares_K = shares_K / shares_K.sum()
        per_pixel_K = shares_K / self.counts_K.clamp(min=1)
        centers_KD = self.centers_KD
        squares_DD = torch.einsum("k,kde->de", per_pixel_K, self.squares_KDD)
        return squares_DD - (centers_KD * shares_K.unsqueeze(1)).T @ centers_KD

    def between_DD(self) -> Tensor:
        """(D, D) float64 covariance of the present centers; NaN where no class is present.

        About their unweighted mean: the mean over pixels would be the mean of the head classes.
        """
        centers_KD = self.centers_KD[self.present_K]
        centered_KD = centers_KD - centers_KD.mean(0)
        return centered_KD.T @ centered_KD / len(centers_KD)
