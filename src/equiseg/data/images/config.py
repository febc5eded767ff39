"""Options for random changes to training images."""

from __future__ import annotations

from dataclasses import dataclass

from equiseg.data.rare_options import check_rare
from equiseg.dotted_names import absolute_name, is_dotted
from equiseg.foreign_text import short

MOST_SCALE = 20  # a larger factor is a mistake, and makes images of gigabytes
MOST_REGIONS = 1000
MOST_PIXELS = 1 << 26  # of an image for training: 64 million, 8,192 squared


def check_size(name: str, size: tuple[int, int]) -> None:
    """Refuse an image size that is not positive, or too large for any training.

    Args:
        name: The option, for the message.
        size: (H, W) in pixels.

    Raises:
        ValueError: If it is out of range.
    """
    if len(size) != 2 or min(size) < 1 or size[0] * size[1] > MOST_PIXELS:
        raise ValueError(
            f"{name} must be (H, W) of at least 1 pixel a side and at most {MOST_PIXELS:,} pixels, "
            f"got {short(size)}"
        )


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to a training image.

    Attributes:
        crop: (H, W) of the training crop; None takes the size of the images.
        scale: Range of the random resize, drawn log-uniformly. [0.5, 2] is usual for large images;
            in small images, a narrower range keeps small rare objects visible.
        flip: Probability of a left-right flip.
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of contrast.
        saturation: Largest relative change of saturation.
        rare: Probability of choosing the place of the crop by class: a class of the image is drawn,
            then one of its pixels, and the crop contains this pixel at a random position. With 0,
            every place is equally likely and classes appear as often as they occur.
        rare_power: Classes are drawn with probability proportional to (1 / training pixels) **
            power: 0 draws all equally often, 1 favours the rarest.
        paste: Probability of pasting regions from other images: a class is drawn, an image that
            contains it, and a connected region of the class (see ``copy_paste.py``). The region is
            resized by ``scale`` relative to the image and mirrored with probability ``flip``.
        paste_power: Like ``rare_power``. 0.5 pastes mostly rare classes, but not only the very
            rarest.
        paste_regions: Largest number of regions to paste; the number is drawn uniformly from 1 to
            this one.
        extra: A transform of your own, "my_module.transform" or "file.py:transform", called last
            as ``transform(image, labels, generator)``: image float32 (C, H, W) in [0, 1], labels
            int64 (H, W). It returns both in these shapes and uses no other source of random
            numbers.
    """

    crop: tuple[int, int] | None = None
    scale: tuple[float, float] = (0.75, 1.5)
    flip: float = 0.5
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    rare: float = 0.0
    rare_power: float = 0.0
    paste: float = 0.0
    paste_power: float = 0.5
    paste_regions: int = 3
    extra: str | None = None

    def __post_init__(self) -> None:
        if self.extra is not None:
            if not is_dotted(self.extra):
                raise ValueError(
                    "extra must be a dotted name (my_module.transform) or a file and a name "
                    f"(file.py:transform), got {self.extra!r:.80}"
                )
            object.__setattr__(self, "extra", absolute_name(self.extra))
        if len(self.scale) != 2 or not (
            1 / MOST_SCALE <= self.scale[0] <= self.scale[1] <= MOST_SCALE
        ):
            raise ValueError(
                f"scale must be {1 / MOST_SCALE:.2g} <= low <= high <= {MOST_SCALE}, got "
                f"{short(self.scale)}; (1, 1) does not resize"
            )
        if self.crop is not None:
            check_size("crop", self.crop)
        if not 0 <= self.flip <= 1:
            raise ValueError(
                f"flip must be a probability in [0, 1], got {self.flip}; 0 never flips"
            )
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be in [0, 1), got {getattr(self, name)}; 0 leaves it as it is"
                )
        default = AugmentConfig
        check_rare("rare", self.rare, self.rare_power, default.rare_power)
        check_rare("paste", self.paste, self.paste_power, default.paste_power)
        if not 1 <= self.paste_regions <= MOST_REGIONS:
            raise ValueError(
                f"paste_regions must be 1 to {MOST_REGIONS}, got {short(self.paste_regions)}"
            )
        if self.paste_regions != default.paste_regions and not self.paste:
            raise ValueError(
                f"paste_regions has no effect without paste, got {self.paste_regions}; set paste "
                "above 0"
            )
