"""CrossEntropyLoss: cross entropy over pixels or points."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from equiseg.labels import fold_ignored
from equiseg.losses.pixel_loss import PixelLoss, mean_of_known


class CrossEntropyLoss(PixelLoss):
    r"""Mean cross entropy over the labelled pixels or points.

    .. math:: L = \frac{1}{P} \sum_p -\log \mathrm{softmax}_{y_p}(z_p)

    Like ``torch.nn.CrossEntropyLoss``, with two differences: logits smaller than the labels are
    resized to them, and a batch without labels gives zero, connected to the graph, instead of NaN.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.

    Examples:
        >>> import torch
        >>> from equiseg.losses import CrossEntropyLoss
        >>> loss = CrossEntropyLoss(num_classes=3)
        >>> logits = torch.zeros(2, 3, 8, 8, requires_grad=True)  # smaller than the labels
        >>> labels = torch.randint(0, 3, (2, 32, 32))
        >>> round(loss(logits, labels).item(), 4)
        1.0986
    """

    def score(self, logits: Tensor, labels: Tensor, inverse: Tensor | None) -> Tensor:
        """See :class:`PixelLoss`; with an ``inverse`` map, logits of points are never formed."""
        if inverse is None:
            return super().score(logits, labels, inverse)
        log_chances_VK = F.log_softmax(self.at_labels(logits, labels), 1)
        targets_N = fold_ignored(labels, self.num_classes, self.ignore_index)
        known_N = targets_N < self.num_classes
        classes_N = targets_N.clamp(max=self.num_classes - 1)
        return mean_of_known(-log_chances_VK[inverse, classes_N], known_N)

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """See the class."""
        return mean_of_known(F.cross_entropy(logits_BKP, targets_BP, reduction="none"), known_BP)
