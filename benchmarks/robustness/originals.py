"""Good files of every kind that equiseg reads, small ones; the mutated inputs start from them."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import yaml
from PIL import Image

from equiseg.data.points.formats.scannet import benchmark_ids

METHODS, TASKS = ("cross_entropy", "ceco"), ("one", "two")
CLASSES = ("road", "car", "sign")
HEIGHT, WIDTH = 40, 48
POINTS = 300
IMAGES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "PNG": ("png", "RGB", {}),
    "PNG, 16 bit": ("png", "I;16", {}),
    "PNG, palette": ("png", "P", {}),
    "JPEG": ("jpg", "RGB", {"quality": 90}),
    "JPEG, progressive": ("jpg", "RGB", {"quality": 90, "progressive": True}),
    "TIFF": ("tif", "RGB", {}),
    "TIFF, LZW": ("tif", "RGB", {"compression": "tiff_lzw"}),
    "TIFF, deflate": ("tif", "RGB", {"compression": "tiff_adobe_deflate"}),
    "WebP": ("webp", "RGB", {"lossless": True}),
    "BMP": ("bmp", "RGB", {}),
}
"""Of each kind of image its suffix, its mode, and how it is saved."""
MASKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "PNG": ("png", "L", {}),
    "PNG, 16 bit": ("png", "I;16", {}),
    "PNG, palette": ("png", "P", {}),
    "TIFF": ("tif", "L", {}),
    "TIFF, deflate": ("tif", "L", {"compression": "tiff_adobe_deflate"}),
    "BMP": ("bmp", "L", {}),
}
"""Of each kind of mask the same."""


def _pixels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:, WIDTH // 2 :], labels[: HEIGHT // 3, : WIDTH // 3], labels[-3:] = 1, 2, 255
    smooth = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH))[..., None] * (1, 2, 0)
    return (smooth + labels[..., None] % 3 * 40 + rng.integers(0, 9, smooth.shape)).astype(
        np.uint8
    ), labels


def _saved(pixels: np.ndarray, path: Path, mode: str, options: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "I;16":
        wide = pixels if pixels.ndim == 2 else pixels[..., 0] * np.uint16(257)
        Image.fromarray(wide.astype(np.uint16)).save(path, **options)
        return
    image = Image.fromarray(pixels)
    if mode == "P" and pixels.ndim == 2:
        image.putpalette(bytes(range(256)) * 3)
    elif mode == "P":
        image = image.quantize(64)
    image.save(path, **options)


def write_images(folder: Path, image: str = "PNG", mask: str = "PNG") -> None:
    """A card, ``card.yaml``, of three images and masks of these kinds, with a file of classes."""
    pixels, labels = _pixels()
    for number, split in enumerate(("train", "train", "val")):
        suffix, mode, options = IMAGES[image]
        some = np.roll(pixels, number, 0)
        _saved(some, folder / f"images/{split}/{number}.{suffix}", mode, options)
        suffix, mode, options = MASKS[mask]
        some = np.roll(labels, number, 0)
        _saved(some, folder / f"annotations/{split}/{number}.{suffix}", mode, options)
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    card = {
        "name": "street",
        "root": ".",
        "classes": "classes.txt",
        "splits": {"train": "train", "val": "val"},
        "background": "road",
        "about": "made up",
    }
    (folder / "card.yaml").write_text(yaml.safe_dump(card, sort_keys=False))


def _cloud(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "xyz": (rng.random((POINTS, 3)) * (8, 8, 2)).astype(np.float32),
        "rgb": rng.integers(0, 255, (POINTS, 3), dtype=np.uint8),
        "intensity": rng.random(POINTS).astype(np.float32),
        "labels": (rng.random(POINTS) * 3).astype(np.uint8),
    }


def _las(path: Path, cloud: dict[str, np.ndarray], form: int) -> None:
    header = laspy.LasHeader(point_format=form, version="1.4" if form > 5 else "1.2")
    header.scales = [0.001] * 3
    header.add_extra_dim(laspy.ExtraBytesParams("height_of", "float32"))
    scan = laspy.LasData(header)
    scan.x, scan.y, scan.z = cloud["xyz"].T
    scan.red, scan.green, scan.blue = cloud["rgb"].T.astype(np.uint16) * 257
    scan.intensity = (cloud["intensity"] * 65535).astype(np.uint16)
    scan.classification = cloud["labels"]
    scan.write(str(path))


def _ply(path: Path, cloud: dict[str, np.ndarray], form: str) -> None:
    lines = [f"ply\nformat {form} 1.0\ncomment made up\nelement camera 2"]
    lines += ["property list uchar int seen\nproperty float x", f"element vertex {POINTS}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"property uchar {name}" for name in ("red", "green", "blue", "label")]
    lines += ["element face 1\nproperty list uchar int vertex_indices\nend_header\n"]
    head = "\n".join(lines).encode()
    columns = [*cloud["xyz"].T, *cloud["rgb"].T, cloud["labels"]]
    if form == "ascii":
        rows = [
            "2 1 2 0.5",
            "1 7 0.25",
            *(" ".join(map(str, row)) for row in zip(*columns, strict=True)),
        ]
        path.write_bytes(head + "\n".join([*rows, "3 0 1 2"]).encode() + b"\n")
        return
    order = ">" if "big" in form else "<"
    kinds = [f"{order}f4"] * 3 + ["u1"] * 4
    vertices = np.empty(POINTS, [(f"c{i}", kind) for i, kind in enumerate(kinds)])
    for i, column in enumerate(columns):
        vertices[f"c{i}"] = column
    i4, f4 = (np.dtype(order + kind) for kind in ("i4", "f4"))

    def camera(seen: list[int]) -> bytes:
        return bytes([len(seen)]) + np.array(seen, i4).tobytes() + np.array([0.5], f4).tobytes()

    face = b"\3" + np.array([0, 1, 2], i4).tobytes()
    path.write_bytes(head + camera([1, 2]) + camera([7]) + vertices.tobytes() + face)


def write_scans(folder: Path, kind: str) -> None:
    """A card of scans of one kind: "LAS", "LAZ", "PLY, ascii", "NPZ", "NPY folder", ..."""
    folder.mkdir(parents=True)
    form, points, features = "arrays", "{split}/*", ["rgb", "intensity"]
    for number, split in enumerate(("train", "val")):
        place, cloud = folder / split, _cloud(number)
        place.mkdir()
        if kind in ("LAS", "LAS 1.2", "LAZ"):
            form, points = "las", "{split}/*.la[sz]"
            suffix = "laz" if kind == "LAZ" else "las"
            _las(place / f"scan.{suffix}", cloud, 3 if kind == "LAS 1.2" else 7)
        elif kind.startswith("PLY"):
            form, points, features = "ply", "{split}/*.ply", ["rgb"]
            order = {"PLY, ascii": "ascii", "PLY": "binary_little_endian"}
            _ply(place / "scan.ply", cloud, order.get(kind, "binary_big_endian"))
        elif kind == "NPZ":
            np.savez(place / "scan.npz", **cloud)
        elif kind == "NPZ, compressed":
            np.savez_compressed(place / "scan.npz", **cloud)
        elif kind == "NPZ, range image":
            image = np.concatenate([cloud["xyz"], cloud["intensity"][:, None]], 1).reshape(
                10, 30, 4
            )
            labels = cloud["labels"].reshape(10, 30)
            np.savez(place / "scan.npz", feat=image, label=labels)
            features = ["intensity"]
        else:
            (place / "scan").mkdir()
            for name, array in cloud.items():
                np.save(place / "scan" / f"{name}.npy", array)
    card = {
        "name": "scans",
        "root": ".",
        "form": form,
        "points": points,
        "features": features,
        "splits": {"train": "train", "val": "val"},
        "classes": dict(enumerate(CLASSES)),
        "voxel": 0.5,
    }
    (folder / "card.yaml").write_text(yaml.safe_dump(card, sort_keys=False))


def write_kitti(folder: Path) -> None:
    """One scan of each split of SemanticKITTI."""
    for sequence in ("00", "08"):
        place = folder / "sequences" / sequence
        (place / "velodyne").mkdir(parents=True)
        (place / "labels").mkdir()
        cloud = _cloud(int(sequence))
        rows = np.concatenate([cloud["xyz"], cloud["intensity"][:, None]], 1)
        rows.astype("<f4").tofile(place / "velodyne/000000.bin")
        ids = np.array([10, 40, 50], np.uint32)[cloud["labels"]]
        ids.tofile(place / "labels/000000.label")


def write_scannet(folder: Path, *, preprocessed: bool) -> None:
    """One scene of ScanNet in one of its layouts, and a submission of its test split."""
    ids = np.array(benchmark_ids())
    for number, split in enumerate(("train", "val", "test")):
        name, cloud = f"scene000{number}_00", _cloud(number)
        classes = cloud["labels"].astype(np.int64) * 7
        if preprocessed:
            place = folder / split / name
            place.mkdir(parents=True)
            np.save(place / "coord.npy", cloud["xyz"])
            np.save(place / "color.npy", cloud["rgb"])
            np.save(place / "segment200.npy", classes)
        else:
            place = folder / ("scans_test" if split == "test" else "scans") / name
            place.mkdir(parents=True)
            _ply(place / f"{name}_vh_clean_2.ply", cloud, "binary_little_endian")
            segments = {"segIndices": classes.tolist()}
            (place / f"{name}_vh_clean_2.0.010000.segs.json").write_text(json.dumps(segments))
            groups = [{"label": f"thing {k}", "segments": [7 * k]} for k in range(3)]
            (place / f"{name}.aggregation.json").write_text(json.dumps({"segGroups": groups}))
            (folder / f"scannetv2_{split}.txt").write_text(f"{name}\n")
        if split == "test":
            (folder / "submission").mkdir()
            lines = "".join(f"{one}\n" for one in ids[classes])
            (folder / "submission" / f"{name}.txt").write_text(lines)
    if not preprocessed:
        rows = [{"raw_category": f"thing {i}", "id": one} for i, one in enumerate(ids.tolist())]
        with (folder / "scannetv2-labels.combined.tsv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "raw_category"], delimiter="\t")
            writer.writeheader()
            writer.writerows(rows)


def tiny_options(folder: Path, **changes: Any) -> Any:
    """A training of one epoch on the images of :func:`write_images`."""
    from equiseg.data.config import DataConfig
    from equiseg.training.config import TrainConfig

    data = DataConfig(card=str(folder / "card.yaml"))
    config = TrainConfig(data=data, epochs=1, batch_size=2, threads=1, score_test=False)
    return dataclasses.replace(config, **changes)


def write_records(folder: Path) -> None:
    """A comparison, a study, a diagnosis and statistics, as the verbs leave them."""
    from equiseg import commands
    from equiseg.commands.compare import CompareOptions
    from equiseg.commands.diagnose import DiagnoseOptions
    from equiseg.commands.stats import StatsOptions
    from equiseg.study.comparison import Comparison
    from equiseg.study.record import Study, Trial

    street = folder / "street"
    write_images(street)
    runs = {method: folder / "comparison" / method / "seed0" for method in METHODS}
    for method, place in runs.items():
        commands.train(tiny_options(street, method=method), place, page=False)
    options = CompareOptions(METHODS, seeds=(0,), split="val")
    commands.compare(tiny_options(street), folder / "comparison", options)
    comparison = Comparison.collect({m: [p] for m, p in runs.items()}, [0], "val")
    tuning = {m: [Trial(m, 0.5, True), Trial(f"2*{m}", float("nan"), False)] for m in METHODS}
    for task in TASKS:
        comparison.save(folder / "study" / task / "comparison.json")
        for method, trials in tuning.items():
            known = {"select": "miou", "trials": [dataclasses.asdict(t) for t in trials]}
            (folder / "study" / task / method).mkdir()
            text = json.dumps(known).replace("NaN", "null")
            (folder / "study" / task / method / "tuning.json").write_text(text)
    study = Study(dict.fromkeys(TASKS, comparison), dict.fromkeys(TASKS, tuning), "miou")
    study.save(folder / "study")
    diagnosis = DiagnoseOptions(
        split="val", out=folder / "diagnosis", baseline=runs["cross_entropy"]
    )
    commands.diagnose(runs["ceco"], diagnosis)
    commands.stats(str(street / "card.yaml"), StatsOptions(out=folder / "statistics"))
