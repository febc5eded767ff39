"""Gradient of the center branch per class; shapes as in ``gradients.py``."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from equiseg.centers.centers import ClassCenters, mean_by_class
from equiseg.centers.sums import Labelling
from equiseg.collapse.gradients import BranchGradients, errors, norms
from equiseg.labels import check_inputs

_SHORTEST_CENTER = 1e-6  # as in the loss: shorter centers have no direction and no gradient


class CenterBranch(Protocol):
    """The interface of a center regularizer such as :class:`equiseg.CenterCollapseLoss`.

    ``before_averaging`` and ``projection`` are affine maps of rows, or the identity.
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
    projection: nn.Module
    relu: bool

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether training normalises the features by batch statistics."""

    def before_averaging(self, features: Tensor) -> Tensor:
        """The features from which the centers are computed."""


@torch.no_grad()
def center_gradients(
    features: Tensor,
    labels: Tensor,
    branch: CenterBranch,
    *,
    inverse: Tensor | None = None,
) -> BranchGradients:
    """The gradient of the center branch for a batch, weight and scale included.

    The normalised center of class k has logits ``s M z_k + log prior``, and each of the n_k pixels
    gets 1 / n_k of the gradient on the center, so the mass of the class is the norm of that
    gradient. The rows are the rows of the frame, which is fixed in training: their gradient is the
    gradient that a learnable classifier of the centers would get.

    Args:
        features: As in :class:`equiseg.CenterCollapseLoss`.
        labels: As in :class:`equiseg.CenterCollapseLoss`.
        branch: The loss; in eval mode if it uses batch statistics, which would mix the classes.
            Dropout is left out.
        inverse: (N,) int64, the voxel of each labelled point.

    Returns:
        Parts and masses (see :class:`BranchGradients`), zero where a class is absent.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If the shapes or labels are wrong, or the branch uses batch statistics.
    """
    if branch.training and branch.uses_batch_statistics:
        raise ValueError(
            "branch must not be in training: it would normalise by the batch and mix the classes; "
            "call loss.eval() first"
        )
    frame_KD = branch.frame_KD.detach().double()
    num_classes = len(frame_KD)
    check_inputs(features, labels, num_classes, ignore_index=branch.ignore_index, inverse=inverse)
    if features.shape[1] != branch.in_features:
        raise ValueError(
            f"features must have the branch's in_features={branch.in_features} channels, got "
            f"{features.shape[1]} in {tuple(features.shape)}; pass the input of the classifier"
        )
    labelling = Labelling(labels, num_classes, branch.ignore_index, branch.align_corners, inverse)
    return _of_centers(mean_by_class(features.detach().double(), labelling), branch, frame_KD)


def _of_centers(centers: ClassCenters, branch: CenterBranch, frame_KD: Tensor) -> BranchGradients:
    """The gradient of the branch at these centers."""
    present_K = centers.counts_K >= branch.min_count
    y_P = present_K.nonzero().flatten()  # every present class is one sample
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
    error_P, others_PK = errors(scores_PK, y_P)
    factor = branch.weight * branch.scale / max(len(y_P), 1)

    def on_centers(on_unit_PD: Tensor) -> Tensor:
        """(K', C) gradient on the centers, from the gradient on their normalised images."""
        # Normalisation passes only the part orthogonal to the center.
        along_P = (on_unit_PD * unit_PD).sum(1)
        on_points_PD: Tensor = (on_unit_PD - along_P.unsqueeze(1) * unit_PD) / divisor_P1
        return (on_points_PD * passed_PD) @ linear_CD.T

    pull_PC = on_centers(-factor * error_P.unsqueeze(1) * frame_KD[y_P])
    push_PC = on_centers(factor * others_PK @ frame_KD)
    totals_4K = frame_KD.new_zeros(4, len(frame_KD))
    totals_4K[:, y_P] = torch.stack([*norms(pull_PC, push_PC), error_P])
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


def _affine(branch: CenterBranch, like: Tensor) -> tuple[Tensor, Tensor]:
    """(C, D) matrix and (D,) offset of the affine map from features to the frame's space."""
    channels = branch.in_features
    probes = torch.cat([like.new_zeros(1, channels), torch.eye(channels).to(like)])
    images_PD: Tensor = branch.projection(branch.before_averaging(probes))
    return images_PD[1:] - images_PD[0], images_PD[0]
