"""A random change of training images of your own: a grey box that hides part of the image."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

IGNORED = 255


def transform(image, labels, generator):
    """Image float32 (C, H, W) in [0, 1] and labels int64 (H, W), changed and returned.

    All random numbers come from the generator, so a run can be resumed, with any number of workers.
    """
    height, width = labels.shape
    top = int(torch.randint(height - height // 4, (), generator=generator))
    left = int(torch.randint(width - width // 4, (), generator=generator))
    box = (..., slice(top, top + height // 4), slice(left, left + width // 4))
    image, labels = image.clone(), labels.clone()
    image[box] = 0.5
    labels[box] = IGNORED
    return image, labels


if __name__ == "__main__":
    from equiseg.cli.main import main

    with TemporaryDirectory() as folder:
        data = ["--data.num_samples", "[8, 2, 2]", "--data.pictures.image_size", "[48, 64]"]
        options = ["--data.augment.extra", f"{__file__}:transform", "--epochs", "1"]
        main(["train", *data, *options, "--batch_size", "4", "--out", str(Path(folder) / "run")])
