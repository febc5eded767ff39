"""How far class centers and classifier are from neural collapse.

The measures of Papyan, Han and Donoho 2020 (arXiv 2008.08186), over the classes that are present:
an absent class has no center, and a zero in its place would spoil every angle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class CollapseMeasures:
    """Distances from the collapsed state; each is 0 when collapse is complete.

    Centers are taken from the unweighted mean of the present centers: the pixel mean would be the
    mean of the head classes.

    Attributes:
        equinorm: Relative spread of the norms, std |v_k| / mean |v_k| (NC2).
        equiangularity: Spread of the cosines, std over pairs of cos(v_k, v_k') (NC2).
        maximal_separation: Mean over pairs of |cos(v_k, v_k') + 1 / (K - 1)| (NC2).
        self_duality: Squared distance of the centers and the classifier rows, each scaled to unit
            Frobenius norm, between 0 and 4 (NC3). NaN when no classifier was given.
        num_classes: Number of classes measured.
    """

    equinorm: float
    equiangularity: float
    maximal_separation: float
    self_duality: float
    num_classes: int

    @classmethod
    def of(
        cls, centers_KD: Tensor, present_K: Tensor, classifier_KD: Tensor | None = None
    ) -> CollapseMeasures:
        """Measure class centers against collapse.

        Args:
            centers_KD: (K, D) class centers.
            present_K: (K,) bool, which rows are real.
            classifier_KD: (K, D) weight rows of the classifier, for self-duality.

        Raises:
            ValueError: If fewer than two classes are present or a shape differs.
        """
        if present_K.dtype != torch.bool or present_K.shape != centers_KD.shape[:1]:
            raise ValueError(
                f"present_K must be bool with one value for each of the {len(centers_KD)} centers, "
                f"got {present_K.dtype} {tuple(present_K.shape)}; counts_K > 0 gives it"
            )
        present = present_K.cpu()
        count = int(present.sum())
        if count < 2:
            raise ValueError(
                f"present_K must name at least 2 classes, got {count}; angles need two centers, so "
                "measure over more data"
            )
        if classifier_KD is not None and classifier_KD.shape != centers_KD.shape:
            raise ValueError(
                f"classifier_KD must be shaped as the centers {tuple(centers_KD.shape)}, got "
                f"{tuple(classifier_KD.shape)}; pass weight.flatten(1), or None"
            )
        centers = centers_KD.detach().double().cpu()[present]
        centered = centers - centers.mean(0)
        norms = centered.norm(dim=1)
        unit = F.normalize(centered, dim=1)
        cosines = (unit @ unit.T)[~torch.eye(count, dtype=torch.bool)]
        duality = float("nan")
        if classifier_KD is not None:
            rows = classifier_KD.detach().double().cpu()
            # Leaving classes out moves the mean of the rows as it moves that of the centers.
            rows = rows[present] - rows[present].mean(0) + rows.mean(0)
            duality = float((rows / rows.norm() - centered / centered.norm()).square().sum())
        return cls(
            equinorm=float(norms.std(correction=0) / norms.mean()),
            equiangularity=float(cosines.std(correction=0)),
            maximal_separation=float((cosines + 1 / (count - 1)).abs().mean()),
            self_duality=duality,
            num_classes=count,
        )


UNDEFINED = CollapseMeasures(math.nan, math.nan, math.nan, math.nan, 0)
"""What fewer than two classes give."""
