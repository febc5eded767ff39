"""The optional types and names by which a loss tells training its needs.

Training reads them from any loss, built-in or your own; all of them are optional.

- **Parameters typed** :data:`ClassPrior`, :data:`ClassCounts` or :data:`ClassWeight` receive
  vectors computed from the training labels.
- **An ``in_features`` parameter** makes it a loss over features instead of logits.
- **``classifier_rows``**: the loss provides the classifier, see :class:`BringsClassifier`.
- **``begin_epoch``**: the loss changes during training, see :class:`BeginsEpoch`.
- **A ``label_side`` parameter of forward**: the loss averages features by class, and takes the part
  of it that data workers make from the labels, see :class:`TakesLabelSide`.
- **``adjusts_logits = True``**: training already adds the log-prior to the logits, so that post-hoc
  adjustment would add it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Protocol, get_args

from torch import Tensor

if TYPE_CHECKING:
    from equiseg.centers.label_sides import LabelSide
    from equiseg.imbalance import ClassStatistics


class FromLabels(Enum):
    """Vectors of one number per class that training computes from its labels."""

    PRIOR = "prior"
    COUNTS = "counts"
    WEIGHT = "weight"


ClassPrior = Annotated[Tensor | Sequence[float], FromLabels.PRIOR]
"""(K,) positive class shares; in a method ``pixel``, ``image`` or numbers."""

ClassCounts = Annotated[Tensor | Sequence[float], FromLabels.COUNTS]
"""(K,) positive class counts; in a method ``pixel``, ``image`` or numbers."""

ClassWeight = Annotated[Tensor | Sequence[float], FromLabels.WEIGHT]
"""(K,) positive class weights; in a method a formula of ``equiseg.class_weights`` or numbers."""


class BringsClassifier(Protocol):
    """A loss whose rows become the network's classifier, which then no longer learns."""

    @property
    def classifier_rows(self) -> Tensor:
        """(K, C) rows of the linear classifier; it has no bias."""


class BeginsEpoch(Protocol):
    """A loss that changes during training, as deferred reweighting does."""

    def begin_epoch(self, share: float, statistics: ClassStatistics) -> None:
        """Called before every epoch.

        Args:
            share: Share of the training's epochs that are done, 0 to below 1.
            statistics: Counts of the training labels.
        """


class TakesLabelSide(Protocol):
    """A loss over features that takes the label side, as every :class:`CenterLoss` does.

    Attributes:
        align_corners: Convention of the resize that the side must follow.
    """

    align_corners: bool

    def forward(
        self,
        features: Tensor,
        labels: Tensor,
        *,
        inverse: Tensor | None = None,
        label_side: LabelSide | None = None,
    ) -> Tensor:
        """The loss; without a side it makes its own."""


def from_labels(annotation: Any) -> FromLabels | None:
    """The kind of vector that a parameter of this type receives; None for any other type."""
    found = (part for part in getattr(annotation, "__metadata__", ()))
    kinds = [part for part in found if isinstance(part, FromLabels)]
    if kinds:
        return kinds[0]
    return next((kind for part in get_args(annotation) if (kind := from_labels(part))), None)
