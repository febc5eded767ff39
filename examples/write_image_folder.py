"""Write a small folder of images and masks, with a card, from the built-in pictures: ./street."""

import shutil

# --8<-- [start:body]
from pathlib import Path

from PIL import Image

from equiseg.data.synthetic.pictures.dataset import PicturesConfig, RoomPictures

config = PicturesConfig(num_classes=8, image_size=(64, 80), imbalance=100)
for split, count in {"train": 192, "val": 64, "test": 64}.items():
    images, masks = Path("street/images") / split, Path("street/annotations") / split
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    for image, labels, name in RoomPictures(config, split, count):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(images / f"{name}.jpg")
        Image.fromarray(labels.numpy()).save(masks / f"{name}.png")
# --8<-- [end:body]
shutil.copy(Path(__file__).with_name("street_card.yaml"), "street/card.yaml")
print("street/: images and masks of train, val and test, with card.yaml")
