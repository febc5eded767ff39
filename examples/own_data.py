"""A data set class of your own: discs on three kinds of ground, as two-channel images."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch


class Discs:
    """One split; ``root`` is the folder of the data, which this class does not need."""

    class_names = ["ground", "disc", "ring"]
    ignore_index = 255  # optional
    background = "ground"  # optional

    def __init__(self, split, root=None):
        self.seed = {"train": 0, "val": 1, "test": 2}[split]

    def __len__(self):
        return 8

    def __getitem__(self, i):
        """Image (C, H, W), uint8 or float in [0, 1]; labels (H, W), whole numbers."""
        generator = torch.Generator().manual_seed(8 * self.seed + i)
        row, column = (16 + 32 * torch.rand(2, generator=generator)).tolist()
        rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
        distance = ((rows - row) ** 2 + (columns - column) ** 2).sqrt()
        labels = (distance < 12).long() + (distance < 4).long()
        image = torch.rand(2, 64, 64, generator=generator) / 2
        image[0] += labels / 4
        return image, labels


if __name__ == "__main__":
    from equiseg.cli.main import main

    with TemporaryDirectory() as folder:
        options = ["--data.card", f"{__file__}:Discs", "--out", str(Path(folder) / "run")]
        network = str(Path(__file__).with_name("own_model.py")) + ":build"
        options += ["--model.name", network, "--epochs", "2", "--batch_size", "4"]
        main(["train", *options])
