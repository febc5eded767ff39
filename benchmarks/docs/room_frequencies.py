"""Frequencies of the built-in scans: the tables of docs/explanation/built_in_scans.md."""

import numpy as np

from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.data.synthetic.scans.dataset import RoomScans
from equiseg.data.synthetic.scans.kinds import SHELL

CELL = 0.2  # meters; classes within one cell are neighbours


def measure(num_scans=512, **dials):
    data = RoomScans(ScansConfig(**dials), "train", num_scans)
    K = len(data.classes)
    points_K, rooms_K, pairs_KK = np.zeros(K), np.zeros(K), np.zeros((K, K))
    for sample in data:
        labels_N = sample.labels_N.numpy()
        points_K += np.bincount(labels_N, minlength=K)
        rooms_K[np.unique(labels_N)] += 1
        cells_N3 = np.floor(sample.xyz_N3.numpy() / CELL).astype(int) + 1
        cells_N = np.ravel_multi_index(cells_N3.T, (64, 64, 64))
        cell_P, class_P = np.unique(np.stack([cells_N, labels_N]), axis=1)
        _, row_P = np.unique(cell_P, return_inverse=True)
        holds_VK = np.zeros((row_P.max() + 1, K), np.float32)
        holds_VK[row_P, class_P] = 1
        pairs_KK += holds_VK.T @ holds_VK
    np.fill_diagonal(pairs_KK, 0)
    # Every class has the same weight; objects without neighbours are left out.
    total_K = pairs_KK[SHELL:].sum(1, keepdims=True)
    seen = np.divide(
        pairs_KK[SHELL:], total_K, out=np.zeros_like(pairs_KK[SHELL:]), where=total_K > 0
    )
    ratio = np.divide(seen, seen.mean(0), out=np.ones_like(seen), where=seen > 0)
    return data.classes, points_K, rooms_K, (seen * np.log2(ratio)).sum() / len(seen)


def spread(points_K, rooms_K):
    shares_K = points_K / points_K.sum()
    return round(shares_K[0] / shares_K[-1], 1), int(rooms_K[-1]), int(rooms_K.min())


if __name__ == "__main__":
    classes, points_K, rooms_K, _ = measure()
    for name, points, rooms in zip(classes, points_K, rooms_K, strict=True):
        share, present, each = points / points_K.sum(), rooms / 512, points / max(rooms, 1)
        print(f"{name:12} {share:8.3%} of points, in {present:4.0%} of rooms, {each:5.0f} there")
    for num_classes in (20, 40, 100, 200):
        _, points_K, rooms_K, bits = measure(num_classes=num_classes)
        rare = np.median(points_K[-10:] / np.maximum(rooms_K[-10:], 1))
        print(num_classes, *spread(points_K, rooms_K), round(rare), round(bits, 2))
    for imbalance in (10, 30, 300, 3000):
        for context in (0, 0.5, 0.9, 1):
            _, points_K, rooms_K, bits = measure(imbalance=imbalance, context=context, points=5000)
            print(imbalance, context, *spread(points_K, rooms_K), round(bits, 2), flush=True)
