"""CollapseMeasures: how far features and classifier are from neural collapse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

from equiseg.collapse.geometry import Geometry, chosen_classes
from equiseg.collapse.moments import ClassMoments
from equiseg.imbalance import FrequencyGroups


@dataclass(frozen=True, eq=False)
class CollapseMeasures(Geometry):
    """The geometry of the centers, the spread around them, and the geometry of the classifier.

    S_W is the covariance within classes, S_B the covariance of the present centers about their
    unweighted mean, K' their number. At collapse all are 0, except ``nearest_center_agreement`` (1)
    and the attributes of :class:`Geometry`, which give their own values. NaN if there is nothing
    to measure.

    Attributes:
        nc1_pinv: tr(S_W pinv(S_B)) / K' (NC1; Papyan, Han and Donoho 2020, arXiv 2008.08186).
            Directions in which the centers are equal up to rounding are left out.
        nc1_svd: tr(S_W inv(S_B)) along the K' - 1 leading directions of S_B (at most D), however
            little the centers differ along them, and not divided by K': the truncated SVD in the
            code of Papyan et al. 2020, which other public code repeats.
        nc1_ratio: tr S_W / tr S_B; weak directions cannot dominate it (Hui et al. 2022, arXiv
            2202.08384; Tirer et al. 2023, arXiv 2210.16658).
        cdnv: Class-distance normalised variance, the mean over pairs of
            (var_k + var_k') / (2 |mu_k - mu_k'|^2) (Galanti et al. 2022, arXiv 2112.15121).
        self_duality: Squared distance between the centered centers and the (not centered)
            classifier rows, each scaled to unit Frobenius norm: between 0 and 4 (NC3; Papyan et al.
            2020). NaN without a classifier.
        nearest_center_agreement: Share of the labelled pixels for which the classifier predicts the
            class with the nearest center (NC4; Papyan et al. 2020). NaN unless it was counted.
        classifier: Geometry of the classifier rows of the present classes, centered at their mean.
            None without a classifier.
    """

    nc1_pinv: float
    nc1_svd: float
    nc1_ratio: float
    cdnv: float
    self_duality: float
    nearest_center_agreement: float
    classifier: Geometry | None

    @classmethod
    def of(  # type: ignore[override]  # takes moments, its parent takes vectors
        cls,
        moments: ClassMoments,
        classifier_KD: Tensor | None = None,
        *,
        average: Literal["class", "pixel"] = "class",
        among: Sequence[int] | None = None,
        nearest_center_agreement: float = math.nan,
    ) -> CollapseMeasures:
        """Compute the measures from the moments of a data set.

        Args:
            moments: Moments of the classifier's input features.
            classifier_KD: (K, D) weight rows of the classifier.
            average: S_W as the mean over the present classes, or over the pixels, as in
                :meth:`ClassMoments.within_DD`.
            among: Measure only these classes, as in :meth:`Geometry.of`: S_W and the pairs use
                them, while S_B, K' and the mean of the centers use all present classes. So the
                nc1_ratio of all classes is the mean over the groups, weighted by their classes.
            nearest_center_agreement: As counted by :class:`equiseg.CollapseMetric`.

        Raises:
            ValueError: If classifier and centers have different shapes, or ``among`` names a class
                that does not exist.
        """
        present_K = moments.present_K.cpu()
        centers_KD = moments.centers_KD.cpu()
        rows_KD = None if classifier_KD is None else classifier_KD.detach().cpu().double()
        if rows_KD is not None and rows_KD.shape != centers_KD.shape:
            raise ValueError(
                f"classifier_KD must have the shape of the centers {tuple(centers_KD.shape)}, got "
                f"{tuple(rows_KD.shape)}; pass weight.flatten(1), or None"
            )
        centers = Geometry.of(centers_KD, present_K, centered=True, among=among)
        chosen_K = chosen_classes(len(present_K), among)
        nc1_pinv, nc1_svd, nc1_ratio = _within_over_between(moments, chosen_K, average)
        classifier, self_duality = None, math.nan
        if rows_KD is not None:
            classifier = Geometry.of(rows_KD, present_K, centered=True, among=among)
            self_duality = _self_duality(centers_KD, rows_KD, present_K, chosen_K)
        return cls(
            **vars(centers),
            nc1_pinv=nc1_pinv,
            nc1_svd=nc1_svd,
            nc1_ratio=nc1_ratio,
            cdnv=_cdnv(centers_KD, moments.variances_K.cpu(), present_K & chosen_K),
            self_duality=self_duality,
            nearest_center_agreement=nearest_center_agreement,
            classifier=classifier,
        )

    def numbers(self) -> dict[str, float]:
        """All numbers by name, for a log or JSON; numbers of the classifier as ``classifier_NAME``.

        It leaves out the agreement with the nearest center if that was not counted, and the
        margins, which take long.
        """
        numbers = _numbers(self)
        if math.isnan(self.nearest_center_agreement):
            del numbers["nearest_center_agreement"]
        if self.classifier is not None:
            rows = _numbers(self.classifier)
            del rows["num_present"]  # the same classes
            numbers |= {f"classifier_{name}": value for name, value in rows.items()}
        return numbers


def measures_by_group(
    moments: ClassMoments, groups: FrequencyGroups, classifier_KD: Tensor | None = None
) -> dict[str, CollapseMeasures]:
    """The measures of head, common and tail, each ``among`` its classes.

    Args:
        moments: As in :meth:`CollapseMeasures.of`.
        groups: The classes of each group.
        classifier_KD: As in :meth:`CollapseMeasures.of`.
    """
    return {
        name: CollapseMeasures.of(moments, classifier_KD, among=class_ids)
        for name, class_ids in groups
    }


def _numbers(geometry: Geometry) -> dict[str, float]:
    values = {field.name: getattr(geometry, field.name) for field in fields(geometry)}
    return {name: value for name, value in values.items() if isinstance(value, (int, float))}


def _within_over_between(
    moments: ClassMoments, chosen_K: Tensor, average: Literal["class", "pixel"]
) -> tuple[float, float, float]:
    """The three forms of NC1.

    S_B is never inverted: the singular vectors v_i of the K' centered centers diagonalise it, with
    eigenvalues s_i^2 / K', so tr(S_W pinv(S_B)) is the sum of v_i^T S_W v_i K' / s_i^2.
    """
    present_K = moments.present_K.cpu()
    centers = moments.centers_KD.cpu()[present_K]
    count = len(centers)
    if count < 2 or not centers.isfinite().all():
        return math.nan, math.nan, math.nan
    theirs = replace(moments, counts_K=moments.counts_K * chosen_K.to(moments.counts_K.device))
    within_DD = theirs.within_DD(average).cpu()
    _, singular, directions = torch.linalg.svd(centers - centers.mean(0), full_matrices=False)
    between = singular.square() / count
    ratios = (directions @ within_DD * directions).sum(1) / between
    rounding = between.max() * centers.shape[1] * torch.finfo(torch.float64).eps
    return (
        float(ratios[between > rounding].sum() / count),
        float(ratios[: count - 1].sum()),
        float(within_DD.trace() / between.sum()),
    )


def _cdnv(centers_KD: Tensor, variances_K: Tensor, measured_K: Tensor) -> float:
    """Class-distance normalised variance; NaN for fewer than two classes."""
    centers, variances = centers_KD[measured_K], variances_K[measured_K]
    differs = ~torch.eye(len(centers), dtype=torch.bool)
    exact = "donot_use_mm_for_euclid_dist"
    squared = torch.cdist(centers, centers, compute_mode=exact).square()
    both = variances.unsqueeze(0) + variances.unsqueeze(1)
    return float((both / (2 * squared))[differs].mean())


def _self_duality(
    centers_KD: Tensor, rows_KD: Tensor, present_K: Tensor, chosen_K: Tensor
) -> float:
    """Squared distance of scaled centers and rows; NaN for fewer than two classes."""
    if int((present_K & chosen_K).sum()) < 2:
        return math.nan
    centers, rows = centers_KD[present_K], rows_KD[present_K]
    centers = (centers - centers.mean(0))[chosen_K[present_K]]
    rows = rows[chosen_K[present_K]]
    return float((rows / rows.norm() - centers / centers.norm()).square().sum())
