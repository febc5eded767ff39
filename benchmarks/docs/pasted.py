"""Copy-paste on the built-in pictures: writes docs/images/pasted.png."""

from pathlib import Path

import torch

from equiseg.data.class_draw import ClassDraw
from equiseg.data.images.copy_paste import CopyPaste
from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.data.synthetic.pictures.dataset import RoomPictures
from equiseg.imbalance import FrequencyGroups
from equiseg.labels import count_labels
from equiseg.report.examples.grid import example_figure

IMAGE = Path(__file__).parents[2] / "docs/images/pasted.png"
SHOWN = (4, 13)  # pictures that look different


def main() -> None:
    scenes = RoomPictures(PicturesConfig(image_size=(240, 320)), "train", 200)
    num_classes = len(scenes.classes)
    counts_SK = torch.stack([count_labels(scene.labels, num_classes) for scene in scenes])
    draw = ClassDraw(counts_SK, 0.5, tuple(counts_SK.shape))
    paste = CopyPaste(scenes, draw, scale=(0.75, 1.5), flip=0.5, regions=3)
    images, labels, before = [], [], []
    for index in SHOWN:
        scene = scenes[index]
        image, mask = scene.image.clone(), scene.labels.clone()
        paste(image, mask, torch.Generator().manual_seed(index))
        images.append(image.permute(1, 2, 0).numpy())
        labels.append(mask.numpy())
        before.append(scene.labels.numpy())
    groups = FrequencyGroups.from_counts(counts_SK.sum(0))
    order = [*groups.head, *groups.common, *groups.tail]
    titles = {"labels before pasting": before}
    figure = example_figure(images, labels, titles, scenes.classes, groups.tail, order)
    figure.savefig(IMAGE, dpi=100, bbox_inches="tight", pad_inches=0.05)


if __name__ == "__main__":
    main()
