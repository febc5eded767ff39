"""A network of your own, for images of any number of channels."""

from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn


def build(num_classes, in_channels):
    """Images (B, C, H, W) in [0, 1] to logits (B, K, H / 4, W / 4)."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, num_classes, 1),  # the classifier; --model.layer names it where unclear
    )


if __name__ == "__main__":
    from equiseg.cli.main import main

    with TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        data = ["--data.num_samples", "[8, 2, 2]", "--data.pictures.image_size", "[48, 64]"]
        options = ["--model.name", f"{__file__}:build", "--epochs", "1", "--batch_size", "4"]
        main(["train", *data, *options, "--out", run])
        main(["evaluate", "--run", run])  # finds the function again
