"""A scan format of your own: text files with x, y, z, a grey value and a class code per line."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from equiseg.data import PointCloud

CARD = """
name: fields
form: {reader}:read
points: "{{split}}/*.xyz"
splits: {{train: train, val: val}}
classes: {{1: ground, 2: bush}}
features: [grey]
voxel: 0.5
"""


def read(path):
    """The points of one file; attributes are named in the card under ``features``."""
    table = np.loadtxt(path)
    return PointCloud(table[:, :3], {"grey": table[:, 3]}, table[:, 4])


if __name__ == "__main__":
    from equiseg.cli.main import main

    with TemporaryDirectory() as name:
        folder, rng = Path(name), np.random.default_rng(0)
        for split in ("train", "val"):
            (folder / split).mkdir()
            for scan in range(4):
                xyz, codes = rng.uniform(0, 10, (400, 3)), rng.integers(1, 3, 400)
                xyz[:, 2] = codes - 1
                table = np.column_stack([xyz, rng.random(400), codes])
                np.savetxt(folder / split / f"{scan}.xyz", table)
        (folder / "fields.yaml").write_text(CARD.format(reader=Path(__file__).resolve()))
        options = ["--data.root", name, "--epochs", "1", "--batch_size", "2"]
        card = ["--data.card", str(folder / "fields.yaml")]
        main(["train", *card, *options, "--out", str(folder / "run")])
