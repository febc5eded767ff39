"""Frequencies of the built-in pictures: the tables of docs/explanation/built_in_pictures.md."""

import numpy as np

from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.data.synthetic.pictures.dataset import RoomPictures
from equiseg.data.synthetic.pictures.layout import CEILING


def measure(num_images=512, **dials):
    data = RoomPictures(PicturesConfig(**dials), "train", num_images)
    labels, K = np.stack([sample.labels.numpy() for sample in data]).astype(int), len(data.classes)
    shares_K = np.bincount(labels.ravel(), minlength=K) / labels.size
    images_K = [(labels == k).any((1, 2)).mean() for k in range(K)]
    pairs_KK = np.zeros((K, K))  # pixels of two classes that touch
    for a, b in ((labels[:, 1:], labels[:, :-1]), (labels[:, :, 1:], labels[:, :, :-1])):
        pairs_KK += np.bincount((a * K + b).ravel(), minlength=K * K).reshape(K, K)
    pairs_KK = (pairs_KK + pairs_KK.T) * (1 - np.eye(K))
    seen = pairs_KK[CEILING + 1 :] / pairs_KK[CEILING + 1 :].sum(1, keepdims=True)
    ratio = np.divide(seen, seen.mean(0), out=np.ones_like(seen), where=seen > 0)
    return data.classes, shares_K, images_K, (seen * np.log2(ratio)).sum() / len(seen)


if __name__ == "__main__":
    for name, share, images in zip(*measure()[:3], strict=True):
        print(f"{name:8} {100 * share:7.3f} % of pixels, in {100 * images:3.0f} % of images")
    for imbalance in (10, 30, 300, 3000):
        for context in (0, 0.5, 0.9, 1):
            _, shares_K, _, bits = measure(imbalance=imbalance, context=context)
            print(imbalance, context, round(shares_K.max() / shares_K.min(), 1), round(bits, 2))
