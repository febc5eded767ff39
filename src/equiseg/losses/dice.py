"""DiceLoss: the overlap of each class, twice the intersection over the sum of both areas."""

from __future__ import annotations

from equiseg.losses.tversky import TverskyLoss


class DiceLoss(TverskyLoss):
    r"""One minus the Dice coefficient of each class, averaged over the classes present.

    .. math:: L = \frac{1}{K'} \sum_{k\ \mathrm{present}} 1 - \frac{2 \sum_{y_i = k} p_{ik}}
        {n_k + \sum_i p_{ik}}

    over all pixels i of the batch: the Tversky loss with both weights 1/2. Absent classes are left
    out, so no smoothing term is needed, see :class:`TverskyLoss`.

    Milletari, Navab and Ahmadi, "V-Net: Fully Convolutional Neural Networks for Volumetric Medical
    Image Segmentation", 3DV 2016 (arXiv 1606.04797). They square each probability and label in
    the denominator; this is the form without squares, which is the F1 score for hard predictions.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.

    Examples:
        >>> import torch
        >>> from equiseg.losses import DiceLoss
        >>> certain = torch.tensor([[9.0, -9.0], [-9.0, 9.0]])  # two points
        >>> round(DiceLoss(num_classes=2)(certain, torch.tensor([0, 1])).item(), 4)
        0.0
    """

    def __init__(self, num_classes: int, *, ignore_index: int = 255) -> None:
        super().__init__(num_classes, alpha=0.5, beta=0.5, ignore_index=ignore_index)
