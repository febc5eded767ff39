"""PrototypeContrastLoss: contrast every pixel with a moving average direction of each class."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from equiseg.centers.centers import mean_by_class
from equiseg.centers.sums import Labelling
from equiseg.losses.arguments import check_number, is_number
from equiseg.losses.cosines import directions, products, with_lengths
from equiseg.losses.feature_loss import FeatureLoss, wide, without_unlabelled
from equiseg.losses.pixel_loss import mean_of_known
from equiseg.losses.shifted_cross_entropy import shifted_cross_entropy
from equiseg.ranks import summing_group


class PrototypeContrastLoss(FeatureLoss):
    r"""Supervised contrast of pixels with class prototypes, after PaCo.

    .. math:: L = \mathrm{mean}_i\, -\log \mathrm{softmax}_{y_i}(P \hat h_i / \tau), \quad
        p_k \leftarrow \mathrm{normalise}(\mu p_k + (1 - \mu) \hat c_k)

    with :math:`\hat h` the normalised feature and :math:`\hat c_k` the direction of the mean
    normalised feature of class k in the batch. In training the prototypes are updated before the
    batch is scored; the first batch with a class sets its prototype. Prototypes get no gradient. A
    class that was never seen has no prototype and is left out. Add the loss to the pixel loss.

    Cui et al., "Parametric Contrastive Learning", ICCV 2021 (arXiv 2107.12028), contrast samples
    with other samples and with one center per class, so that every class is present in each batch.
    This loss uses only the centers, as moving averages instead of learned vectors, as in Zhou et
    al., "Rethinking Semantic Segmentation: A Prototype View", CVPR 2022 (arXiv 2203.15102); it
    forms no pairs of pixels. The cosines are resized, not the features.

    Args:
        num_classes: Number of classes K.
        in_features: Channels C of the features.
        temperature: Divisor tau of the cosines. 0.1, as in the prototype view.
        momentum: Share mu of a prototype that a batch with its class keeps. 0.99 averages over
            about 100 such batches, so that a batch with few pixels of the class moves it little.
        ignore_index: Label value to leave out.
        sync: Join the batches of all ranks while training under ``torch.distributed``, so that all
            have the same prototypes. A process group: its ranks only. False: this rank only. Never
            communicates in eval mode.

    Raises:
        ValueError: If an argument cannot work.
    """

    prototypes_KD: Tensor

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        temperature: float = 0.1,
        momentum: float = 0.99,
        ignore_index: int = 255,
        sync: bool | dist.ProcessGroup = True,
    ) -> None:
        super().__init__(num_classes, in_features, ignore_index=ignore_index)
        check_number("temperature", temperature, default=0.1, positive=True)
        if not (is_number(momentum) and 0 <= momentum < 1):
            raise ValueError(
                f"momentum must be in [0, 1), got {momentum!r}; 0 takes each batch by itself"
            )
        self.temperature = temperature
        self.momentum = momentum
        self.sync = sync
        self.register_buffer("prototypes_KD", torch.zeros(num_classes, in_features))

    def logits(self, features: Tensor) -> Tensor:
        """(B, K, *spatial) or (N, K) cosines with the prototypes over the temperature."""
        return self._scaled_cosines(*with_lengths(features))

    def forward(self, features: Tensor, labels: Tensor, *, inverse: Tensor | None = None) -> Tensor:
        """Scalar loss of one batch, see :class:`FeatureLoss`; updates prototypes in training."""
        self.check(features, labels, inverse)
        with torch.autocast(features.device.type, enabled=False):
            features, lengths = with_lengths(
                wide(without_unlabelled(features, labels, inverse, self))
            )
            if self.training:
                self._update(features.detach() / lengths.detach(), labels, inverse)
            return self.score(self._scaled_cosines(features, lengths), labels, inverse)

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """See the class."""
        seen_K = self.prototypes_KD.any(1)
        lowest = torch.finfo(logits_BKP.dtype).min
        losses_BP = shifted_cross_entropy(
            logits_BKP,
            targets_BP,
            lambda logits, _: logits.masked_fill(~seen_K.unsqueeze(1), lowest),
        )
        return mean_of_known(losses_BP, known_BP & seen_K[targets_BP])

    def _scaled_cosines(self, features: Tensor, lengths: Tensor) -> Tensor:
        # Divided, the prototypes are a copy: autograd saves its input, and the buffer will change.
        return products(features, self.prototypes_KD / self.temperature) / lengths

    @torch.no_grad()
    def _update(self, unit_features: Tensor, labels: Tensor, inverse: Tensor | None) -> None:
        """Move the prototypes of the present classes towards the batch."""
        labelling = Labelling(labels, self.num_classes, self.ignore_index, inverse=inverse)
        centers_KD, _, present_K = mean_by_class(
            unit_features, labelling, process_group=summing_group(self.sync)
        )
        news_KD = directions(centers_KD)
        olds_KD = self.prototypes_KD.to(news_KD.dtype)
        moved_KD = directions(torch.lerp(news_KD, olds_KD, self.momentum))
        moved_KD = torch.where(olds_KD.any(1, keepdim=True), moved_KD, news_KD)
        self.prototypes_KD.copy_(torch.where(present_K.unsqueeze(1), moved_KD, olds_KD))
