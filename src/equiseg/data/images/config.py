"""Random changes to training images, as options."""

from __future__ import annotations

from dataclasses import dataclass

from equiseg.data.rare_options import check_rare
from equiseg.dotted_names import absolute_name, is_dotted


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to a training image.

    Attributes:
        crop: (H, W) of the training crop; None takes the size of the images.
        scale: Range of the random resize, drawn log-uniformly. [0.5, 2] is the field's habit for
            large images; small ones keep their rare things with a narrower range.
        flip: Probability of a left-right flip.
        brightness: Largest relative change of brightness; the next two likewise.
        contrast: See ``brightness``.
        saturation: See ``brightness``.
        rare: Probability of choosing the place of the crop by class: one of the classes in the
            image first, then a pixel of it, which the crop holds at a random place. 0 takes any
            place, which shows classes as often as they occur.
        rare_power: Classes are drawn in proportion to one over their number of training pixels, to
            this power: 0 all alike, 1 in favour of the rarest.
        paste: Probability of pasting things cut out of other images: a class is drawn, an image
            that holds it, and a connected region of it there (see ``copy_paste.py``).
            They are resized by ``scale``, against the image, and mirrored as ``flip`` says.
        paste_power: As ``rare_power``. 0.5 brings mostly what is rare, and not the very rarest
            alone.
        paste_regions: Most regions to paste; from 1 to so many are drawn, all numbers alike, and
            pasted where they fit.
        extra: A transform of your own, "my_module.transform" or "file.py:transform", called last
            as ``transform(image, labels, generator)``: image float32 (C, H, W) in [0, 1], labels
            int64 (H, W). It returns both in these shapes and draws from the generator alone.
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
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(
                f"scale must be 0 < low <= high, got {self.scale}; (1, 1) does not resize"
            )
        if self.crop is not None and (len(self.crop) != 2 or min(self.crop) < 1):
            raise ValueError(f"crop must be a positive (H, W) or None, got {self.crop}")
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
        if self.paste_regions < 1:
            raise ValueError(f"paste_regions must be at least 1, got {self.paste_regions}")
        if self.paste_regions != default.paste_regions and not self.paste:
            raise ValueError(
                f"paste_regions has no effect without paste, got {self.paste_regions}; set paste "
                "above 0"
            )
