"""Made-up ScanNet scenes, written as the official download and as preprocessed arrays."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equiseg.data.card_file import load_card
from equiseg.data.points.formats.scannet import benchmark_ids

SPLITS = {
    "train": ("scene0001_00", "scene0000_01", "scene0000_00"),
    "val": ("scene0002_00",),
    "test": ("scene0707_00",),
}
STEP = 0.08  # meters between vertices
# Raw category: label id, colour, and low and high corner of a box; a side of length 0 is a plane.
THINGS = {
    "floor": (3, (140, 110, 80), (0, 0, 0), (2, 2, 0)),
    "wall": (1, (220, 220, 210), (0, 0, 0), (0, 2, 1)),
    "table": (4, (90, 50, 20), (0.8, 0.8, 0.4), (1.5, 1.5, 0.4)),
    "chairs": (2, (30, 30, 160), (0.3, 1.2, 0), (0.6, 1.5, 0.4)),  # another word for id 2
    "cup": (130, (240, 20, 20), (1, 1, 0.45), (1.2, 1.2, 0.6)),  # in the tail
    "toy dinosaur": (1357, (20, 200, 20), (1.3, 0.2, 0), (1.5, 0.4, 0.2)),  # not in the benchmark
    "misspeled": (0, (90, 90, 90), (0.2, 0.2, 0), (0.4, 0.4, 0.2)),  # not in the label map
}
UNGROUPED = ((60, 60, 60), (1.7, 1.7, 0), (1.9, 1.9, 0.3))
COLUMNS = [
    *("id", "raw_category", "category", "count", "nyu40id", "eigen13id", "nyuClass", "nyu40class"),
    *("eigen13class", "ModelNet40", "ModelNet10", "ShapeNetCore55", "synsetoffset", "wnsynsetid"),
    *("wnsynsetkey", "mpcat40", "mpcat40index"),
]


class Scene(NamedTuple):
    """One scene, as it should be read."""

    xyz_N3: np.ndarray  # float32
    rgb_N3: np.ndarray  # uint8
    segments_N: np.ndarray
    groups: dict[str, list[int]]  # segments by raw category
    ids_N: np.ndarray


def made_up_scene(name: str) -> Scene:
    """A room whose things stand a little elsewhere in each scene."""
    rng = np.random.default_rng([*name.encode()])
    parts, colours, segments, ids, groups = [], [], [], [], {}
    things = [*THINGS.items(), (None, (0, *UNGROUPED))]
    for number, (category, (label_id, colour, low, high)) in enumerate(things):
        shift = rng.uniform(-0.1, 0.1, 3) * (1, 1, 0) if number > 1 else np.zeros(3)
        axes = [np.arange(a, b + 1e-6, STEP) for a, b in zip(low, high, strict=True)]
        xyz = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3) + shift
        segment = 1000 * number + 10 * (xyz[:, 0] > xyz[:, 0].mean())  # two halves, numbers apart
        parts.append(xyz)
        colours.append(np.clip(rng.normal(colour, 8, xyz.shape), 0, 255))
        segments.append(segment)
        ids.append(np.full(len(xyz), label_id))
        if category is not None:
            groups[category] = np.unique(segment).tolist()
    order = rng.permutation(sum(map(len, parts)))  # as in a mesh, neighbours lie apart
    return Scene(
        np.concatenate(parts)[order].astype(np.float32),
        np.concatenate(colours)[order].astype(np.uint8),
        np.concatenate(segments)[order].astype(np.int64),
        groups,
        np.concatenate(ids)[order],
    )


def write_official(root: Path) -> dict[str, Scene]:
    """Write the tree of the download: scans, scans_test, label map and split lists."""
    scenes = {name: made_up_scene(name) for names in SPLITS.values() for name in names}
    root.mkdir(parents=True, exist_ok=True)
    for split, names in SPLITS.items():
        (root / f"scannetv2_{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            folder = root / ("scans_test" if split == "test" else "scans") / name
            folder.mkdir(parents=True)
            _write_mesh(folder / f"{name}_vh_clean_2.ply", scenes[name])
            if split != "test":
                _write_labels(folder, name, scenes[name])
    _write_label_map(root / "scannetv2-labels.combined.tsv")
    return scenes


def write_preprocessed(root: Path) -> dict[str, Scene]:
    """Write the same scenes as arrays."""
    scenes = {name: made_up_scene(name) for names in SPLITS.values() for name in names}
    for split, names in SPLITS.items():
        for name in names:
            scene, folder = scenes[name], root / split / name
            folder.mkdir(parents=True)
            np.save(folder / "coord.npy", scene.xyz_N3)
            np.save(folder / "color.npy", scene.rgb_N3)
            np.save(folder / "normal.npy", np.full_like(scene.xyz_N3, (0, 0, 1)))
            if split != "test":
                index = {label_id: k for k, label_id in enumerate(benchmark_ids())}
                indices_N = np.array([index.get(i, -1) for i in scene.ids_N.tolist()])
                np.save(folder / "segment200.npy", indices_N)
                np.save(folder / "segment20.npy", np.minimum(indices_N, 19))
                np.save(folder / "instance.npy", scene.segments_N // 1000)
    return scenes


def _write_mesh(file: Path, scene: Scene, label_N: np.ndarray | None = None) -> None:
    """Vertices with alpha, and some faces, binary as in the download."""
    vertices = {axis: ("<f4", "float", scene.xyz_N3[:, i]) for i, axis in enumerate("xyz")}
    colours = [*scene.rgb_N3.T, np.full(len(scene.xyz_N3), 255)]
    for name, values in zip(("red", "green", "blue", "alpha"), colours, strict=True):
        vertices[name] = ("u1", "uchar", values)
    if label_N is not None:
        vertices["label"] = ("<u2", "ushort", label_N)
    rows = np.empty(len(scene.xyz_N3), [(name, kind) for name, (kind, _, _) in vertices.items()])
    for name, (_, _, values) in vertices.items():
        rows[name] = values
    faces = np.array([(3, (0, 1, 2)), (3, (2, 1, 3))], [("n", "u1"), ("v", "<i4", (3,))])
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment VCGLIB generated",
        f"element vertex {len(rows)}",
        *(f"property {kind} {name}" for name, (_, kind, _) in vertices.items()),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    file.write_bytes("\n".join(header).encode() + rows.tobytes() + faces.tobytes())


def _write_labels(folder: Path, name: str, scene: Scene) -> None:
    nyu40_N = np.minimum(scene.ids_N, 40)  # other classes than those of the benchmark
    _write_mesh(folder / f"{name}_vh_clean_2.labels.ply", scene, nyu40_N)
    segments = {"sceneId": f"scannet.{name}", "segIndices": scene.segments_N.tolist()}
    (folder / f"{name}_vh_clean_2.0.010000.segs.json").write_text(json.dumps(segments))
    groups = [
        {"id": i, "objectId": i, "segments": segments, "label": category}
        for i, (category, segments) in enumerate(scene.groups.items())
    ]
    aggregation = {"sceneId": f"scannet.{name}", "appId": "Aggregator.v2", "segGroups": groups}
    (folder / f"{name}.aggregation.json").write_text(json.dumps(aggregation))


def _write_label_map(file: Path) -> None:
    classes = load_card("scannet200", Path()).classes
    rows = [*classes.items(), (2, "chairs"), (1357, "toy dinosaur"), (40, "wall")]  # wall: again
    lines = ["\t".join(COLUMNS)]
    for label_id, category in rows:
        fields = [label_id, category, category, 12, min(label_id, 40)]
        lines.append("\t".join([*map(str, fields), *[""] * (len(COLUMNS) - len(fields))]))
    file.write_text("\n".join(lines) + "\n")
