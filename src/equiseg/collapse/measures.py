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
    """The geometry of the centers, the spread around them, and the classifier beside them.

    S_W is the covariance within classes, S_B that of the present centers about their unweighted
    mean, K' their number. All but ``nearest_center_agreement`` (1) and what :class:`Geometry` says
    of its own are 0 at collapse. NaN where there is nothing to measure.

    Attributes:
        nc1_pinv: tr(S_W pinv(S_B)) / K' (NC1; Papyan, Han and Donoho 2020, arXiv 2008.08186). A
            direction in which the centers do not differ, but for rounding, is left out.
        nc1_svd: tr(S_W inv(S_B)) along the K' - 1 leading directions of S_B (or the D there are),
            however little the centers differ along them, and not divided by K': the truncated SVD
            of the code that Papyan et al. 2020 gave away and that public code repeats.
        nc1_ratio: tr S_W / tr S_B, which no weak direction dominates (Hui et al. 2022, arXiv
            2202.08384; Tirer et al. 2023, arXiv 2210.16658).
        cdnv: Class-distance normalised variance, the mean over pairs of
            (var_k + var_k') / (2 |mu_k - mu_k'|^2) (Galanti et al. 2022, arXiv 2112.15121).
        self_duality: Squared distance of the centered centers and the classifier rows, as they
            are, each scaled to unit Frobenius norm: between 0 and 4 (NC3; Papyan et al. 2020).
            NaN without a classifier.
        nearest_center_agreement: Share of the labelled pixels that the classifier gives to the
            class whose center is nearest (NC4; Papyan et al. 2020). NaN unless it was counted.
        classifier: Geometry of the classifier rows of the present classes, about their own mean.
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
    def of(  # type: ignore[override]  # of moments, where its parent is of vectors
        cls,
        moments: ClassMoments,
        classifier_KD: Tensor | None = None,
        *,
        average: Literal["class", "pixel"] = "class",
        among: Sequence[int] | None = None,
        nearest_center_agreement: float = math.nan,
    ) -> CollapseMeasures:
        """Measure what a pass over the data has counted.

        Args:
            moments: Of the features that the classifier is given.
            classifier_KD: (K, D) weight rows of the classifier.
            average: S_W as the mean over the present classes, or over the pixels, as in
                :meth:`ClassMoments.within_DD`.
            among: Measure these classes alone, as in :meth:`Geometry.of`: S_W and the pairs are
                theirs, while S_B, K' and the mean of the centers stay those of all present ones. So
                nc1_ratio is the mean of those of the groups, weighed by their classes.
            nearest_center_agreement: As counted by :class:`equiseg.CollapseMetric`.

        Raises:
            ValueError: If the classifier is not shaped as the centers, or ``among`` names a class
                that does not exist.
        """
        present_K = moments.present_K.cpu()
        centers_KD = moments.centers_KD.cpu()
        rows_KD = None if classifier_KD is None else classifier_KD.detach().cpu().double()
        if rows_KD is not None and rows_KD.shape != centers_KD.shape:
            raise ValueError(
                f"classifier_KD must be shaped as the centers {tuple(centers_KD.shape)}, got "
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
        """All numbers by name, the classifier's as ``classifier_NAME``: for a log or JSON.

        Left out are the agreement with the nearest center where it was not counted, and the
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
        groups: The classes of each.
        classifier_KD: As there.
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

    S_B is never inverted: the singular vectors v_i of the K' centered centers diagonalise it, to
    s_i^2 / K', so that tr(S_W pinv(S_B)) is the sum of v_i^T S_W v_i K' / s_i^2.
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
    """NaN for fewer than two classes."""
    centers, variances = centers_KD[measured_K], variances_K[measured_K]
    differs = ~torch.eye(len(centers), dtype=torch.bool)
    exact = "donot_use_mm_for_euclid_dist"
    squared = torch.cdist(centers, centers, compute_mode=exact).square()
    both = variances.unsqueeze(0) + variances.unsqueeze(1)
    return float((both / (2 * squared))[differs].mean())


def _self_duality(
    centers_KD: Tensor, rows_KD: Tensor, present_K: Tensor, chosen_K: Tensor
) -> float:
    """NaN for fewer than two classes."""
    if int((present_K & chosen_K).sum()) < 2:
        return math.nan
    centers, rows = centers_KD[present_K], rows_KD[present_K]
    centers = (centers - centers.mean(0))[chosen_K[present_K]]
    rows = rows[chosen_K[present_K]]
    return float((rows / rows.norm() - centers / centers.norm()).square().sum())
