"""PixelLoss: the base of every loss over logits: checks, precision, resizing, ignored labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.labels import check_inputs, check_num_classes, fold_ignored, is_checkable
from equiseg.losses.fixed_buffers import FixedBuffers
from equiseg.resize import LINEAR_MODES


class PixelLoss(FixedBuffers):
    """A loss over logits and labels of pixels, voxels or points.

    A subclass implements :meth:`of_pixels`. Its inputs are checked, in float32 (float64 stays)
    under any autocast, resized to the labels, and flat: B maps of P pixels, with the classes along
    dimension 1, as in the losses of torch. Points are one map.

    Logits must be finite. A NaN or infinite one at an ignored label does not change the value; on
    an accelerator and in compiled code its gradient is NaN, as in ``torch.nn.CrossEntropyLoss``.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    def __init__(self, num_classes: int, *, ignore_index: int = 255) -> None:
        super().__init__()
        check_num_classes(num_classes, ignore_index)
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, labels: Tensor, *, inverse: Tensor | None = None) -> Tensor:
        """Scalar loss of one batch; zero, connected to the graph, where nothing is labelled.

        Args:
            logits: (B, K, *spatial) or (N, K); (V, K) voxels with an ``inverse`` map.
            labels: (B, *Spatial) of the same or a larger size, or (N,).
            inverse: (N,) int64, the voxel of each labelled point, which gets its voxel's logits.

        Raises:
            TypeError: If dtypes are wrong.
            ValueError: If shapes disagree, or (on eager CPU tensors) a label is out of range.
        """
        self.check(logits, labels, inverse)
        with torch.autocast(logits.device.type, enabled=False):
            return self.score(logits, labels, inverse)

    def check(self, logits: Tensor, labels: Tensor, inverse: Tensor | None) -> None:
        """Check the inputs once per forward pass; later steps do not check again."""
        check_inputs(
            logits,
            labels,
            self.num_classes,
            ignore_index=self.ignore_index,
            inverse=inverse,
            name="logits",
        )

    def score(self, logits: Tensor, labels: Tensor, inverse: Tensor | None) -> Tensor:
        """The loss of checked logits, at their own size, and labels."""
        logits = self.at_labels(logits, labels)
        targets = fold_ignored(labels, self.num_classes, self.ignore_index)
        if labels.ndim == 1:
            logits, targets = logits.T.unsqueeze(0), targets.unsqueeze(0)
        if inverse is not None:
            logits = logits.index_select(2, inverse)
        targets_BP = targets.flatten(1)
        known_BP = targets_BP < self.num_classes
        targets_BP = targets_BP.clamp(max=self.num_classes - 1)
        logits_BKP = logits.flatten(2)
        if is_checkable(labels) and not bool(logits_BKP.detach().sum().isfinite()):
            # Their losses are masked, but zero times infinity is NaN in the gradients.
            logits_BKP = torch.where(known_BP.unsqueeze(1), logits_BKP, 0)
        return self.of_pixels(logits_BKP, targets_BP, known_BP)

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """The loss of a batch of pixels.

        Shapes must not depend on values (``torch.compile``): mask by ``known_BP``, do not index.

        Args:
            logits_BKP: (B, K, P) float32 or float64.
            targets_BP: (B, P) int64 class ids; arbitrary where not known.
            known_BP: (B, P) bool, whether the pixel is labelled.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement of_pixels")

    def at_labels(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Logits in float32 or float64, resized to the labels."""
        if logits.shape[1] != self.num_classes:
            raise ValueError(
                f"logits must have num_classes={self.num_classes} channels, got {logits.shape[1]} "
                f"in {tuple(logits.shape)}; build the loss with num_classes={logits.shape[1]}"
            )
        if logits.dtype != torch.float64:
            logits = logits.float()  # a sum over a batch overflows half precision
        if logits.shape[2:] != labels.shape[1:]:
            logits = F.interpolate(logits, labels.shape[1:], mode=LINEAR_MODES[labels.ndim - 1])
        return logits


def mean_of_known(values: Tensor, known: Tensor) -> Tensor:
    """Mean of the known values; zero, connected to the graph, if there are none."""
    return torch.where(known, values, 0).sum() / known.sum().clamp(min=1)
