"""What each class does to the gradient: of pixel cross entropy, and of the center branch.

Zhong et al. 2023 (arXiv 2301.01100) argue from gradients. With softmax probabilities p of a sample
of class y, the gradient of its loss on its feature is ``-(1 - p_y) w_y + sum_k p_k w_k`` over the
other classes k: a pull to the own row of the classifier and a push from the others. The gradient on
row k has a part from samples of class k and a part from all others. In pixel cross entropy every
pixel weighs the same, so a class's gradient grows with its number of pixels, times how wrong the
network still is there. In the center branch every present class is one sample.

All of it in closed form and float64. Nothing is trained, and no gradient of the network is taken.

Shapes: K classes, K' present ones, D dim, U cells of one map, P label pixels, C corners,
R = min(K, D).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.centers import class_centers
from equiseg.labels import check_labels, check_num_classes, check_shapes, count_labels
from equiseg.resize import axis_of, corners

_SHORTEST_CENTER = 1e-6  # as the loss: shorter centers have no direction, and no gradient
_CHUNK_VALUES = 2**17  # of the scores of some pixels: 1 MB, a core's cache


@dataclass(frozen=True, eq=False)
class BranchGradients:
    """The gradient of one branch of the loss, class by class, of one batch or the sum of several.

    Over a data set they add up batch by batch, ``total = total + pixel_gradients(...)``; every
    field then is a sum over ``num_batches`` batches. Norms are taken before adding up: the masses
    are what training feels, while vectors of different batches may cancel.

    Attributes:
        rows_within_KD: (K, D) float64 gradient on row k of the classifier (or the frame, were it
            learnable) from the samples of class k.
        rows_between_KD: (K, D) float64, from those of all other classes. Both together are the
            gradient on the rows.
        mass_K: (K,) float64, over the pixels of each class the sum of |dL/dx|, x the feature
            resized to the labels.
        pull_K: (K,) float64, the same for the part along the class's own row.
        push_K: (K,) float64, the same for the part along the other rows.
        error_K: (K,) float64 mean over the class's samples of 1 - p, p the probability given to
            their own class: how wrong the branch still is.
        counts_K: (K,) int64 label pixels (points) that take part.
        batches_K: (K,) int64, in how many batches the class had a gradient.
        num_batches: How many batches were added up.
    """

    rows_within_KD: Tensor
    rows_between_KD: Tensor
    mass_K: Tensor
    pull_K: Tensor
    push_K: Tensor
    error_K: Tensor
    counts_K: Tensor
    batches_K: Tensor
    num_batches: int = 1

    def __add__(self, other: BranchGradients) -> BranchGradients:
        """The sum over the batches of both.

        Raises:
            ValueError: If they are of other classes or dimensions.
        """
        shapes = tuple(self.rows_within_KD.shape), tuple(other.rows_within_KD.shape)
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"gradients must agree in (K, D) to be added up, got {shapes[0]} and {shapes[1]}; "
                "add up each branch by itself"
            )
        theirs = vars(other)
        return BranchGradients(**{name: value + theirs[name] for name, value in vars(self).items()})

    @property
    def mean_mass_K(self) -> Tensor:
        """(K,) gradient mass of the mean step, batches without the class among them."""
        return self.mass_K / self.num_batches

    @property
    def present_mass_K(self) -> Tensor:
        """(K,) gradient mass in a batch that holds the class; NaN where none did."""
        return self.mass_K / self.batches_K

    @property
    def present_counts_K(self) -> Tensor:
        """(K,) mean pixels in a batch that holds the class; NaN where none did."""
        return self.counts_K / self.batches_K

    @property
    def present_error_K(self) -> Tensor:
        """(K,) mean error in the batches that hold the class; NaN where none did."""
        return self.error_K / self.batches_K


class PowerLaw(NamedTuple):
    """``mass = factor * size ** exponent``: a straight line where both axes are logarithmic.

    Attributes:
        exponent: The slope. 1 for what grows with the size, 0 for what does not depend on it.
        factor: The value at size 1.
    """

    exponent: float
    factor: float

    @classmethod
    def fit(cls, sizes_K: Tensor, masses_K: Tensor) -> PowerLaw:
        """Least squares on the logarithms, every class the same weight.

        Classes without size or mass have no logarithm and are left out; NaN where fewer than two
        sizes remain.
        """
        known = (sizes_K > 0) & (masses_K > 0)
        x, y = sizes_K[known].double().log(), masses_K[known].double().log()
        if not len(x) or x.min() == x.max():
            return cls(math.nan, math.nan)
        from_mean = x - x.mean()
        exponent = float(from_mean @ y / from_mean.square().sum())
        return cls(exponent, math.exp(float(y.mean()) - exponent * float(x.mean())))


class CenterBranch(Protocol):
    """What a regularizer of the centers consists of: :class:`equiseg.CenterCollapseLoss` is one.

    ``reduction`` and ``projection`` are affine maps of rows (or the identity).
    """

    training: bool
    in_features: int
    frame_KD: Tensor
    weight: float
    scale: float
    log_prior_K: Tensor | None
    min_count: int
    ignore_index: int
    align_corners: bool
    reduction: nn.Module
    projection: nn.Module
    relu: bool


@torch.no_grad()
def pixel_gradients(
    features: Tensor,
    labels: Tensor,
    weight_KD: Tensor,
    bias_K: Tensor | None = None,
    *,
    ignore_index: int = 255,
    align_corners: bool = False,
    inverse: Tensor | None = None,
) -> BranchGradients:
    """The gradient of the mean pixel cross entropy of a batch, of logits resized to the labels.

    Image by image and some pixels at a time: nothing of size (B, K, H, W) or (D, H, W) is formed.

    Args:
        features: (B, D, *spatial) input of the pixel classifier, (N, D) points, or (V, D) voxels
            with an ``inverse`` map.
        labels: (B, *Spatial) integer ids, each side at least the feature's, or (N,).
        weight_KD: (K, D) rows of the classifier; of a 1x1 convolution ``weight.flatten(1)``.
        bias_K: (K,) its bias, if it has one.
        ignore_index: Label value to leave out.
        align_corners: The convention of the resize.
        inverse: (N,) int64, the voxel of each labelled point.

    Returns:
        Parts and masses (see :class:`BranchGradients`), zero without a valid pixel.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If the shapes disagree, the classifier is none of these features, or a label is
            out of range.
    """
    num_classes, dim = len(weight_KD), features.shape[1]
    check_num_classes(num_classes, ignore_index)
    check_shapes(features, labels, inverse)
    if weight_KD.shape != (num_classes, dim) or (bias_K is not None and len(bias_K) != num_classes):
        bias = "no bias" if bias_K is None else f"a bias {tuple(bias_K.shape)}"
        raise ValueError(
            f"weight must be (K, {dim}), one row a class for features of {dim} channels, with a "
            f"bias (K,) or none, got {tuple(weight_KD.shape)} with {bias}; pass weight.flatten(1) "
            "of a 1x1 convolution"
        )
    check_labels(labels, num_classes, ignore_index)
    weight_KD = weight_KD.detach().double()
    counts_K = count_labels(labels, num_classes, ignore_index)
    within_KD, between_KD = torch.zeros_like(weight_KD), torch.zeros_like(weight_KD)
    totals_4K = weight_KD.new_zeros(4, num_classes)  # mass, pull, push, error
    # Rows turned into the space they span: norms stay, and K numbers do for D.
    turned_KR = torch.linalg.qr(weight_KD.T, mode="r").R.T
    size = max(1, _CHUNK_VALUES // num_classes)
    for rows_UD, ids_P, cell_PC, weight_PC in _maps(
        features, labels, ignore_index, align_corners, inverse
    ):
        scores_UK = rows_UD @ weight_KD.T
        if bias_K is not None:
            scores_UK += bias_K.double()
        # The transposed resize of the gradient on the scores, own class and other classes apart.
        own_UK, others_UK = torch.zeros_like(scores_UK), torch.zeros_like(scores_UK)
        for first in range(0, len(ids_P), size):
            chunk = slice(first, first + size)
            y_P, cell, weight = ids_P[chunk], cell_PC[chunk], weight_PC[chunk]
            scores_PK = F.embedding_bag(cell, scores_UK, per_sample_weights=weight, mode="sum")
            error_P, others_PK = _errors(scores_PK, y_P)
            pull_PR = -error_P.unsqueeze(1) * turned_KR[y_P]
            push_PR = others_PK @ turned_KR
            norms_4P = torch.stack([*_norms(pull_PR, push_PR), error_P])
            totals_4K.index_add_(1, y_P, norms_4P)
            for cell_P, weight_P in zip(cell.T, weight.T, strict=True):
                place_P = cell_P * num_classes + y_P
                own_UK.view(-1).index_add_(0, place_P, -weight_P * error_P)
                others_UK.index_add_(0, cell_P, weight_P.unsqueeze(1) * others_PK)
        within_KD += own_UK.T @ rows_UD
        between_KD += others_UK.T @ rows_UD
    pixels = counts_K.sum().clamp(min=1)
    mass_K, pull_K, push_K = totals_4K[:3] / pixels
    error_K = totals_4K[3] / counts_K.clamp(min=1)
    present_K = (counts_K > 0).long()
    return BranchGradients(
        within_KD / pixels,
        between_KD / pixels,
        mass_K,
        pull_K,
        push_K,
        error_K,
        counts_K,
        present_K,
    )


@torch.no_grad()
def center_gradients(
    features: Tensor,
    labels: Tensor,
    branch: CenterBranch,
    *,
    inverse: Tensor | None = None,
) -> BranchGradients:
    """The gradient of the center branch of a batch, weight and scale included.

    The normalised center of class k has logits ``s M z_k + log prior``, and each of the n_k pixels
    gets 1 / n_k of the gradient on the center, so that the mass of the class is that gradient's
    norm. Rows are those of the frame, which is fixed in training: their gradient is what a
    learnable classifier of the centers would feel.

    Args:
        features: As in :class:`equiseg.CenterCollapseLoss`.
        labels: As there.
        branch: The loss, not in training where it has a ``reduction``: batch statistics would mix
            the classes. Dropout is left out.
        inverse: (N,) int64, the voxel of each labelled point.

    Returns:
        Parts and masses (see :class:`BranchGradients`), zero where a class is absent.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If the shapes or labels are wrong, or the branch takes batch statistics.
    """
    if branch.training and not isinstance(branch.reduction, nn.Identity):
        raise ValueError(
            "branch must not be in training, for its reduction would normalise by the batch and "
            "mix the classes; call loss.eval() first"
        )
    check_shapes(features, labels, inverse)
    if features.shape[1] != branch.in_features:
        raise ValueError(
            f"features must have the branch's in_features={branch.in_features} channels, got "
            f"{features.shape[1]} in {tuple(features.shape)}; pass the input of the classifier"
        )
    frame_KD = branch.frame_KD.detach().double()
    num_classes = len(frame_KD)
    centers = class_centers(
        features.detach().double(),
        labels,
        num_classes,
        ignore_index=branch.ignore_index,
        align_corners=branch.align_corners,
        inverse=inverse,
    )
    present_K = centers.counts_K >= branch.min_count
    y_P = present_K.nonzero().flatten()  # here every present class is one sample
    linear_CD, offset_D = _affine(branch, frame_KD)
    points_PD = centers.centers_KD[y_P] @ linear_CD + offset_D
    passed_PD = points_PD > 0 if branch.relu else torch.ones_like(points_PD, dtype=torch.bool)
    points_PD = points_PD * passed_PD
    length_P = points_PD.norm(dim=1)
    divisor_P1 = length_P.masked_fill(length_P < _SHORTEST_CENTER, math.inf).unsqueeze(1)
    unit_PD = points_PD / divisor_P1
    scores_PK = branch.scale * unit_PD @ frame_KD.T
    if branch.log_prior_K is not None:
        scores_PK += branch.log_prior_K.double()
    error_P, others_PK = _errors(scores_PK, y_P)
    factor = branch.weight * branch.scale / max(len(y_P), 1)

    def on_centers(on_unit_PD: Tensor) -> Tensor:
        """(K', C) gradient on the centers from that on their normalised images."""
        # Normalising lets only the part across the center through.
        along_P = (on_unit_PD * unit_PD).sum(1)
        on_points_PD: Tensor = (on_unit_PD - along_P.unsqueeze(1) * unit_PD) / divisor_P1
        return (on_points_PD * passed_PD) @ linear_CD.T

    pull_PC = on_centers(-factor * error_P.unsqueeze(1) * frame_KD[y_P])
    push_PC = on_centers(factor * others_PK @ frame_KD)
    totals_4K = frame_KD.new_zeros(4, num_classes)
    totals_4K[:, y_P] = torch.stack([*_norms(pull_PC, push_PC), error_P])
    mass_K, pull_K, push_K, error_K = totals_4K
    within_KD = torch.zeros_like(frame_KD)
    within_KD[y_P] = -factor * error_P.unsqueeze(1) * unit_PD
    return BranchGradients(
        within_KD,
        factor * others_PK.T @ unit_PD,
        mass_K,
        pull_K,
        push_K,
        error_K,
        centers.counts_K * present_K,
        present_K.long(),
    )


def _maps(
    features: Tensor,
    labels: Tensor,
    ignore_index: int,
    align_corners: bool,
    inverse: Tensor | None,
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Map by map its (U, D) cells, and of its valid pixels ids, (P, C) source cells and weights."""
    if features.ndim == 2:
        if inverse is None:
            inverse = torch.arange(len(labels), device=labels.device)
        features, labels = features.T.unsqueeze(0), labels.unsqueeze(0)
        pairs = [(inverse, torch.ones_like(inverse))]
        denominator = 1
    else:
        axes = [
            axis_of(small, large, align_corners, labels.device)
            for small, large in zip(features.shape[2:], labels.shape[1:], strict=True)
        ]
        pairs = corners(axes, labels.device)
        denominator = math.prod(axis.denominator for axis in axes)
    cell_PC, units_PC = (torch.stack(tensors, 1) for tensors in zip(*pairs, strict=True))
    for map_, image_labels in zip(features.detach(), labels, strict=True):
        ids = image_labels.flatten().long()  # in 8 bits, comparing with -100 would wrap around
        known = ids != ignore_index
        rows_UD = map_.flatten(1).T.double()
        yield rows_UD, ids[known], cell_PC[known], units_PC[known].double() / denominator


def _affine(branch: CenterBranch, like: Tensor) -> tuple[Tensor, Tensor]:
    """(C, D) matrix and (D,) offset of the maps between the centers and the frame."""
    channels = branch.in_features
    probes = torch.cat([like.new_zeros(1, channels), torch.eye(channels).to(like)])
    images_PD: Tensor = branch.projection(branch.reduction(probes))
    return images_PD[1:] - images_PD[0], images_PD[0]


def _errors(scores_PK: Tensor, y_P: Tensor) -> tuple[Tensor, Tensor]:
    """(P,) 1 - p of the own class and (P, K) p of the others, zero at the own.

    The first is the sum of the second: 1 - p would round an error below 1e-16 to zero.
    """
    others_PK = scores_PK.softmax(1).scatter_(1, y_P.unsqueeze(1), 0.0)
    return others_PK.sum(1), others_PK


def _norms(pull_PD: Tensor, push_PD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(P,) norms of the whole gradient and its two parts."""
    return (pull_PD + push_PD).norm(dim=1), pull_PD.norm(dim=1), push_PD.norm(dim=1)
