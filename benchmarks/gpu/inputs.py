"""The inputs of benchmarks.gpu in one folder that is quick to carry: data sets and weights.

python -m benchmarks.gpu.inputs --out FOLDER [--data ../shared/data] [--quality 78]

Writes, under the folders their cards name, so that ``--data.root FOLDER/camvid`` opens them,

- camvid: all 701 images at 480x360, as they are used everywhere, with their masks;
- ccp: the 800 images of its splits at 256x384 (width x height), with their masks;
- lite0.safetensors: the ImageNet weights of the encoder of fpn-lite0, in half precision.

Images are JPEG, masks PNG with the values of the originals. JPEG quality 78 keeps all of it under
50 MB at these sizes; 90 would need 65.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save_file

from equiseg.data import load_card
from equiseg.data.images.folder import ImageFolder
from equiseg.models.lite0 import Lite0Encoder

SIZES = {"camvid": (360, 480), "ccp": (384, 256)}  # (H, W)


def carry(name: str, size: tuple[int, int], source: Path, out: Path, quality: int) -> int:
    """Write every split of a card at a size; returns the number of images."""
    card = load_card(name, source / name)
    pairs = [pair for split in card.splits for pair in ImageFolder(card, split).pairs]
    for image_file, mask_file in pairs:
        image = _target(image_file, card.path, out / name, ".jpg")
        with Image.open(image_file) as opened:
            rgb = opened.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR)
            rgb.save(image, quality=quality, optimize=True, progressive=True)
        with Image.open(mask_file) as opened:
            values = opened.resize(size[::-1], Image.Resampling.NEAREST)
            # Not the palette's colours, where there is one: the values are the classes.
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
    weights = Lite0Encoder(pretrained=True).state_dict()
    halves = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    save_file(halves, arguments.out / "lite0.safetensors")
    files = [file for file in arguments.out.rglob("*") if file.is_file()]
    size_mb = sum(file.stat().st_size for file in files) / 1e6
    print(f"{arguments.out}: {len(files)} files, {size_mb:.1f} MB")
