"""CrossEntropyLoss: the pixel or point loss every method starts from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.labels import fold_ignored
from equiseg.losses.pixel_loss import PixelLoss


class CrossEntropyLoss(PixelLoss):
    r"""Mean cross entropy over the labelled pixels or points.

    .. math:: L = \frac{1}{P} \sum_p -\log \mathrm{softmax}_{y_p}(z_p)

    As ``torch.nn.CrossEntropyLoss``, save that logits smaller than the labels are resized to
    them, and that a batch without any label gives zero, connected to the graph, instead of NaN.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    def forward(self, logits: Tensor, labels: Tensor, *, inverse: Tensor | None = None) -> Tensor:
        """Scalar loss of one batch, as every pixel loss, without laying the pixels out in rows.

        With an ``inverse`` map the logits of the points are never formed.
        """
        with torch.autocast(logits.device.type, enabled=False):
            logits = self._at_labels(logits, labels, inverse)
            targets = fold_ignored(labels, self.num_classes, self.ignore_index)
            known = targets < self.num_classes
            if inverse is None:
                total = F.cross_entropy(
                    logits, targets, ignore_index=self.num_classes, reduction="sum"
                )
            else:
                classes = targets.clamp(max=self.num_classes - 1)
                total = -torch.where(known, F.log_softmax(logits, 1)[inverse, classes], 0).sum()
            return total / known.sum().clamp(min=1)
