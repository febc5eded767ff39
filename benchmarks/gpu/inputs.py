"""Writes CamVid and CCP into one small folder, for a machine with a GPU.

python -m benchmarks.gpu.inputs --out FOLDER [--data ../shared/data] [--quality 78]

Writes the images and masks of all splits below FOLDER/camvid (at their size, 480x360) and
FOLDER/ccp (at 256x384, width x height), for ``python -m benchmarks.gpu --data FOLDER``. Images are
JPEG, masks PNG with the values of the originals. At quality 78 the folder has about 40 MB.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from equiseg.data import load_card
from equiseg.data.images.folder import ImageFolder

SIZES = {"camvid": (360, 480), "ccp": (384, 256)}  # (H, W)


def carry(name: str, size: tuple[int, int], source: Path, out: Path, quality: int) -> int:
    """Write every split of a card at this size; returns the number of images."""
    card = load_card(name, source / name)
    pairs = [map(Path, pair) for split in card.splits for pair in ImageFolder(card, split).pairs]
    for image_file, mask_file in pairs:
        image = _target(image_file, card.path, out / name, ".jpg")
        with Image.open(image_file) as opened:
            rgb = opened.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR)
            rgb.save(image, quality=quality, optimize=True, progressive=True)
        with Image.open(mask_file) as opened:
            values = opened.resize(size[::-1], Image.Resampling.NEAREST)
            # Without the palette: the values are the classes.
            plain = Image.fromarray(np.asarray(values))
            plain.save(_target(mask_file, card.path, out / name, ".png"), optimize=True)
    return len(pairs)


def _target(file: Path, root: Path, out: Path, suffix: str) -> Path:
    target = out / file.relative_to(root).with_suffix(suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--quality", type=int, default=78)
    arguments = parser.parse_args()
    for name, size in SIZES.items():
        images = carry(name, size, arguments.data, arguments.out, arguments.quality)
        print(f"{name}: {images} images of {size[1]}x{size[0]}", flush=True)
    files = [file for file in arguments.out.rglob("*") if file.is_file()]
    size_mb = sum(file.stat().st_size for file in files) / 1e6
    print(f"{arguments.out}: {len(files)} files, {size_mb:.1f} MB")
