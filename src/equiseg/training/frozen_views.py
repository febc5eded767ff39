"""KeptViews: maps of frozen encoder stages, computed once and stored."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from equiseg.data.loading import TrainingView
from equiseg.progress import Track, untracked

KeptSample = tuple[tuple[Tensor, ...], Tensor]


class KeptViews(Dataset[KeptSample]):
    """Maps of the frozen stages for a few augmented views of every training image.

    Frozen stages always give the same maps for the same view. With stored maps, training runs only
    the rest of the network. Draw number d of an image trains on its view ``d % num_views``. Maps
    are stored in bfloat16.

    Args:
        view: Augmented samples.
        encoder: Its ``frozen_maps(images, stages)`` gives the maps.
        stages: Number of frozen stages.
        num_views: Augmented views kept of each image.
        track: Shows the progress over the views.
    """

    def __init__(
        self,
        view: TrainingView,
        encoder: nn.Module,
        stages: int,
        num_views: int,
        track: Track = untracked,
    ) -> None:
        self.num_images = len(view)
        self.num_views = num_views
        self._kept: list[KeptSample] = []
        was_training = encoder.training
        encoder.eval()
        with torch.inference_mode():
            for key in track(range(num_views * self.num_images), "frozen stages"):
                image, labels = view[key]
                maps = encoder.frozen_maps(image[None], stages)  # type: ignore[operator]
                kept = tuple(m[0].bfloat16().clone() for m in maps)
                small = labels.to(torch.uint8) if labels.max() < 256 else labels
                self._kept.append((kept, small))
        encoder.train(was_training)

    def __len__(self) -> int:
        """Number of images."""
        return self.num_images

    def __getitem__(self, key: int) -> KeptSample:
        """Maps of the frozen stages in float32 and labels int64 of one draw."""
        draw, index = divmod(key, self.num_images)
        maps, labels = self._kept[draw % self.num_views * self.num_images + index]
        return tuple(m.float() for m in maps), labels.long()
