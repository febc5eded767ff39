"""Every reader of files, with the file that is mutated and what reading it returns."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.robustness import formats, originals
from benchmarks.robustness.mutations import Format
from benchmarks.robustness.values import changed_lines


@dataclass(frozen=True)
class Reader:
    """One way in which a file is read.

    Attributes:
        group: Its row of the table.
        name: Its name.
        write: Writes a folder of good files.
        file: The file of the folder that is mutated.
        form: Its format.
        read: Reads the folder and returns what the file holds.
        names: What else an error may name; {folder} is the folder.
        sized: Whether the format says how long it is, so that a file that is cut is never read.
        checksum: Whether the format has a checksum, so that damage is never read.
        share: How many inputs it gets, against the others.
    """

    group: str
    name: str
    write: Callable[[Path], None]
    file: str
    form: Format
    read: Callable[[Path], Any]
    names: tuple[str, ...] = ()
    sized: bool = False
    checksum: bool = False
    share: float = 1.0


def digest(value: Any) -> str:
    """A short text that is the same for the same values, of any type."""
    found = hashlib.sha256()
    _feed(value, found)
    return found.hexdigest()[:16]


def _feed(value: Any, found: Any) -> None:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        found.update(f"{value.dtype} {value.shape}".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value) and not isinstance(value, type):
        _feed({f.name: getattr(value, f.name) for f in fields(value)}, found)
    elif isinstance(value, dict):
        for key, one in value.items():
            found.update(repr(key).encode("utf-8", "replace"))
            _feed(one, found)
    elif isinstance(value, (list, tuple)):
        found.update(f"{len(value)}[".encode())
        for one in value:
            _feed(one, found)
    else:
        found.update(repr(value).encode("utf-8", "replace"))


# How the files are read: as the verbs do, through public functions.


def _sample(folder: Path) -> Any:
    from equiseg.data.card_file import load_card
    from equiseg.data.images.folder import ImageFolder

    return [*ImageFolder(load_card(folder / "card.yaml"), "train")[0]]


def _labels(folder: Path) -> Any:
    from equiseg.data.card_file import load_card
    from equiseg.data.images.folder import ImageFolder

    return ImageFolder(load_card(folder / "card.yaml"), "train").labels(0)


def _card(folder: Path) -> Any:
    from equiseg.data.config import DataConfig
    from equiseg.data.sources import find_source

    source = find_source(DataConfig(card=str(folder / "card.yaml")))
    source.check()
    opened = [(name, source.open(name)) for name in source.all_splits()]
    return [source.classes(), [(name, len(data)) for name, data in opened]]


def _card_and_data(folder: Path) -> Any:
    return [_card(folder), _sample(folder)]


def _parts(folder: Path) -> Any:
    """The points of the first scan, and its number of points where a header says it."""
    from equiseg.data.card_file import load_card
    from equiseg.data.points.formats.las import las_size
    from equiseg.data.points.formats.scans import chunks, find_scans

    card = load_card(folder / "card.yaml")
    (scan,) = find_scans(card, "train")  # type: ignore[arg-type]
    number = las_size(scan.path) if scan.path.suffix in (".las", ".laz") else None
    clouds = list(chunks(card, scan, card.features))  # type: ignore[arg-type,union-attr]
    return [number, [[c.xyz_N3, c.attributes, c.codes_N] for c in clouds]]


def _store(folder: Path) -> Any:
    """The first scan through its store on disk, as training reads it."""
    import shutil

    from equiseg.data.card_file import load_card
    from equiseg.data.points.formats.scans import find_scans
    from equiseg.data.points.store.scan_store import ScanStore

    card = load_card(folder / "card.yaml")
    (scan,) = find_scans(card, "train")  # type: ignore[arg-type]
    cache = folder / "cache"
    try:
        store = ScanStore.open(card, scan, cache)  # type: ignore[arg-type]
        return [np.array(store.xyz_N3), np.array(store.features_NC), store.origin_3]
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def _written(folder: Path) -> Any:
    """A LAS or LAZ file written with another classification, as predict does it."""
    from equiseg.data.points.formats.las import las_size, write_classification

    source = next((folder / "train").iterdir())
    target = folder / f"out{source.suffix}"
    try:
        write_classification(source, target, np.full(las_size(source), 1, np.uint8))
        return [target.stat().st_size]
    finally:
        target.unlink(missing_ok=True)


def _kitti(folder: Path) -> Any:
    from equiseg.data.points.formats.semantic_kitti import find_scans, read_scan

    cloud = read_scan(find_scans(folder, "train")[0], ["intensity"])
    return [cloud.xyz_N3, cloud.attributes, cloud.codes_N]


def _scannet(folder: Path) -> Any:
    from equiseg.data.points.formats.scannet import find_scenes, read_scene

    cloud = read_scene(find_scenes(folder, "train")[0], ["rgb"], root=folder)
    return [cloud.xyz_N3, cloud.attributes, cloud.codes_N]


def _submission(folder: Path) -> Any:
    from equiseg import commands

    commands.submission(folder / "submission", folder)


_OPTION_NAMES = (
    "data.",
    "optimizer.",
    "model.",
    "method",
)  # a value that is read is told by its option


def _config_option(folder: Path) -> Any:
    from equiseg.cli.command_line import read_line
    from equiseg.cli.function_options import typed_arguments
    from equiseg.cli.main import VERBS
    from equiseg.cli.verbs import Verb

    verb = Verb.of("train", VERBS["train"])
    words = ["--config", str(folder / "options.yaml"), "--out", str(folder / "out")]
    return typed_arguments(verb.function, read_line(words, verb.options()))


def _method(folder: Path) -> Any:
    from equiseg.training.criterion import check_method

    text = (folder / "method.txt").read_bytes().decode("utf-8", "surrogateescape")
    check_method(text, 6)
    return text


def _config(folder: Path) -> Any:
    from equiseg.training.config_file import read_config

    return read_config(folder / "config.yaml")


def _result(folder: Path) -> Any:
    from equiseg.records.run_result import read_result

    return read_result(folder)


def _history(folder: Path) -> Any:
    from equiseg.records.history import read_history

    return read_history(folder)


def _page(folder: Path) -> Any:
    from equiseg.commands.draw_page import draw_page

    out = folder / "page"
    draw_page(folder, out)


def _collected(folder: Path) -> Any:
    from equiseg.study.comparison import Comparison

    return Comparison.collect({"ceco": [folder]}, [0], "val")


def _comparison(folder: Path) -> Any:
    from equiseg.commands.tables import comparison_table
    from equiseg.study.comparison import Comparison

    comparison = Comparison.load(folder / "comparison.json")
    comparison_table(comparison)
    return comparison


def _curves(folder: Path) -> Any:
    from equiseg.records.history import load_histories

    return load_histories(folder / "curves.json")


def _networks(folder: Path) -> Any:
    from equiseg.records.diagnosis import NETWORKS, NetworksRecord

    return NetworksRecord.load(folder / NETWORKS)


def _diagnosis(folder: Path) -> Any:
    from equiseg.records.diagnosis import DIAGNOSIS, DiagnosisPage

    return DiagnosisPage.load(folder / DIAGNOSIS)


def _examples(folder: Path) -> Any:
    from equiseg.records.examples import EXAMPLES, ExamplePanels

    return ExamplePanels.load(folder / EXAMPLES)


def _study(folder: Path) -> Any:
    from equiseg.study.record import Study

    return Study.load(folder)


def _old_study(folder: Path) -> Any:
    from equiseg.study.record import Study

    (folder / "study.json").unlink(missing_ok=True)
    return Study.load_tasks(folder)


def _statistics(folder: Path) -> Any:
    from equiseg.records.data_statistics import STATISTICS, DataStatistics

    return DataStatistics.load(folder / STATISTICS)


def _profile(folder: Path) -> Any:
    from equiseg.data.statistics.profile import DataProfile

    return DataProfile.load(folder / "statistics.json", None).record()


def _table(folder: Path) -> Any:
    from equiseg.data.statistics.profile import DataProfile
    from equiseg.imbalance import ClassTable

    table = ClassTable.read_csv(folder / "classes.csv")
    return DataProfile.of_table("classes", table, 8).record()


def _weights(folder: Path) -> Any:
    from equiseg.runs.weights import load_weights

    model, card = load_weights(folder)
    return [model.state_dict(), card]


def _checkpoint(folder: Path) -> Any:
    from equiseg.training.checkpoint_files import LAST, read_checkpoint

    return read_checkpoint(folder / LAST)


def _write_text(name: str, text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / name).write_text(text, encoding="utf-8")

    return write


_OPTIONS = """\
data:
  card: pictures
  augment: {scale: [0.8, 1.25], flip: 0.5, crop: [32, 32], brightness: 0.1}
  sampling: {by: repeat_factor, threshold: 0.5}
  synthetic:
    num_samples: [4, 2, 2]
    pictures: {num_classes: 6, image_size: [48, 64]}
model: {name: fpn, freeze: 0}
method: 0.5*cross_entropy + center_collapse(scale=10)
optimizer: {name: adamw, lr: 1.0e-3, weight_decay: 0.01, clip: 1.0, schedule: poly}
evaluation: {flip: true, scales: [1.0, 1.5]}
epochs: 3
batch_size: 4
seed: 1
patience: 2
precision: bf16
"""
_METHOD = "0.5*cross_entropy + 2*center_collapse(scale=10, projection=[frozen, 64]) + dice()"


def _method_words(random: Any) -> str:
    parts = ("cross_entropy", "center_collapse", "focal", "(", ")", "gamma=", "2", "*", "+", "-1")
    more = ("nan", "1e999", "[", "'x'", "a.b", "f.py:X", "**", "lambda: 0", "=", ",", "None")
    return "".join(random.choice(parts + more) for _ in range(random.randint(1, 12)))


def _data_readers() -> Iterator[Reader]:
    for kind, (suffix, *_) in originals.IMAGES.items():
        form = {"png": formats.PNG, "jpg": formats.JPEG, "tif": formats.TIFF}.get(suffix)
        form = form or {"webp": formats.WEBP, "bmp": formats.BMP}[suffix]
        write = partial(originals.write_images, image=kind)
        file, png = f"images/train/0.{suffix}", suffix == "png"
        yield Reader(
            kind.partition(",")[0], f"image, {kind}", write, file, form, _sample, (), True, png
        )
    for kind, (suffix, *_) in originals.MASKS.items():
        form = {"png": formats.PNG, "tif": formats.TIFF, "bmp": formats.BMP}[suffix]
        write = partial(originals.write_images, mask=kind)
        file, png = f"annotations/train/0.{suffix}", suffix == "png"
        yield Reader(
            f"{kind.partition(',')[0]} mask",
            f"mask, {kind}",
            write,
            file,
            form,
            _sample,
            (),
            True,
            png,
        )
        yield Reader(
            f"{kind.partition(',')[0]} mask",
            f"labels, {kind}", write, file, form, _labels, (), True, png, 0.5,
        )  # fmt: skip
    scans = {
        "LAS": ("scan.las", formats.LAS, 2.0),
        "LAS 1.2": ("scan.las", formats.LAS, 1.0),
        "LAZ": ("scan.laz", formats.LAS, 3.0),
        "PLY": ("scan.ply", formats.PLY, 2.0),
        "PLY, big-endian": ("scan.ply", formats.PLY, 1.0),
        "PLY, ascii": ("scan.ply", formats.PLY, 2.0),
        "NPZ": ("scan.npz", formats.NPZ, 1.5),
        "NPZ, compressed": ("scan.npz", formats.NPZ, 1.0),
        "NPZ, range image": ("scan.npz", formats.NPZ, 1.0),
        "NPY folder": ("scan/xyz.npy", formats.NPY, 1.0),
    }
    for kind, (file, form, share) in scans.items():
        write = partial(originals.write_scans, kind=kind)
        group, npz = kind.partition(",")[0].removesuffix(" 1.2"), kind.startswith("NPZ")
        names = ("train/scan",) if "NPY" in kind else ()
        read: tuple[Any, ...] = (f"train/{file}", form, _parts, names, True, npz)
        yield Reader(group, kind, write, *read, share)
        yield Reader(group, f"{kind}, store", write, *read[:2], _store, *read[3:], 0.3)
        if kind.startswith("LA"):
            yield Reader(
                group, f"{kind}, written", write, *read[:2], _written, (), True, False, 0.5
            )
    write = partial(originals.write_scans, kind="NPY folder")
    yield Reader(
        "NPY folder", "NPY labels", write, "train/scan/labels.npy", formats.NPY, _parts,
        ("train/scan",), True,
    )  # fmt: skip
    place = "sequences/00/"
    for file, form in (
        ("velodyne/000000.bin", formats.FLOATS),
        ("labels/000000.label", formats.WHOLE),
    ):
        yield Reader(
            "SemanticKITTI",
            file,
            originals.write_kitti,
            place + file,
            form,
            _kitti,
            ("000000.bin",),
        )


def _scannet_readers() -> Iterator[Reader]:
    official = partial(originals.write_scannet, preprocessed=False)
    arrays = partial(originals.write_scannet, preprocessed=True)
    scene = "scans/scene0000_00/scene0000_00"
    files = {
        f"{scene}_vh_clean_2.ply": formats.PLY,
        f"{scene}_vh_clean_2.0.010000.segs.json": formats.JSON,
        f"{scene}.aggregation.json": formats.JSON,
        "scannetv2-labels.combined.tsv": formats.CSV,
        "scannetv2_train.txt": formats.TEXT,
    }
    for file, form in files.items():
        yield Reader(
            "ScanNet",
            f"ScanNet {file}",
            official,
            file,
            form,
            _scannet,
            ("scene0000_00", "{folder}:"),
        )
    for name in ("coord", "color", "segment200"):
        file = f"train/scene0000_00/{name}.npy"
        yield Reader(
            "ScanNet",
            f"ScanNet {name}",
            arrays,
            file,
            formats.NPY,
            _scannet,
            ("scene0000_00",),
            True,
        )
    lines = Format(None, None, changed_lines(lambda random: str(random.randrange(-1, 1300))))
    file = "submission/scene0002_00.txt"
    yield Reader("ScanNet", "submission", official, file, lines, _submission, (), False, False, 0.5)


# What is wrong in a card may be the name of a folder: then the message names that, or the card.
_CARD = ("{folder}/", "card ")


def _text_readers() -> Iterator[Reader]:
    street = originals.write_images
    scans = partial(originals.write_scans, kind="NPZ")
    yield Reader(
        "card", "image card", street, "card.yaml", formats.YAML, _card_and_data, _CARD, share=3
    )
    yield Reader("card", "scan card", scans, "card.yaml", formats.YAML, _card, _CARD, share=3)
    names = Format(None, None, changed_lines(lambda random: random.choice(("", " ", "car", "[b]"))))
    yield Reader("class file", "class file", street, "classes.txt", names, _card, _CARD)
    write = _write_text("options.yaml", _OPTIONS)
    yield Reader(
        "options",
        "--config",
        write,
        "options.yaml",
        formats.YAML,
        _config_option,
        _OPTION_NAMES,
        share=2,
    )
    write = _write_text("method.txt", _METHOD)
    words = Format(formats.YAML.sites, None, changed_lines(_method_words))
    yield Reader("method", "method", write, "method.txt", words, _method, ("method",), share=2)


def _record_readers(good: Path) -> Iterator[Reader]:
    """Of the records that :func:`originals.write_records` left under ``good``."""

    def copied(place: str) -> Callable[[Path], None]:
        import shutil

        return lambda folder: shutil.copytree(good / place, folder) and None

    run, json = "comparison/ceco/seed0", formats.JSON
    logs = "logs/version_0/metrics.csv"
    rows: tuple[tuple[str, str, str, Format, Any, float], ...] = (
        ("result.json", run, "result.json", json, _result, 1),
        ("result.json", run, "result.json", json, _collected, 1),
        ("metrics.csv", run, logs, formats.CSV, _history, 2),
        ("config.yaml", run, "config.yaml", formats.YAML, _config, 2),
        ("comparison.json", "comparison", "comparison.json", json, _comparison, 2),
        ("curves.json", "comparison", "curves.json", json, _curves, 1),
        ("networks.json", "comparison", "networks.json", json, _networks, 1),
        ("diagnosis.json", "diagnosis", "diagnosis.json", json, _diagnosis, 2),
        ("study.json", "study", "study.json", json, _study, 1),
        ("tuning.json", "study", "study/one/ceco/tuning.json", json, _old_study, 1),
        ("statistics.json", "statistics", "statistics.json", json, _statistics, 1),
        ("statistics.json", "statistics", "statistics.json", json, _profile, 1),
        ("classes.csv", "statistics", "classes.csv", formats.CSV, _table, 2),
    )
    for name, place, file, form, read, share in rows:
        file = file.removeprefix("study/")
        yield Reader(
            name, f"{name}{read.__name__}", copied(place), file, form, read, (), share=share
        )
    yield Reader(
        "examples.npz", "examples.npz", copied("diagnosis"), "examples.npz", formats.NPZ, _examples,
        (), True, True,
    )  # fmt: skip
    yield Reader(
        "model.safetensors", "model.safetensors", copied(run), "model.safetensors",
        formats.SAFETENSORS, _weights, (), True, share=2,
    )  # fmt: skip
    yield Reader(
        "last.ckpt", "last.ckpt", copied(f"{run}/checkpoints"), "last.ckpt", formats.ZIP,
        _checkpoint, (), True, True,
    )  # fmt: skip
    for place, file in (
        (run, "result.json"),
        (run, logs),
        ("comparison", "comparison.json"),
        ("comparison", "networks.json"),
        ("diagnosis", "diagnosis.json"),
        ("diagnosis", "examples.npz"),
        ("study", "study.json"),
        ("statistics", "statistics.json"),
    ):
        form = {"c": formats.CSV, "n": formats.JSON, "z": formats.NPZ}[
            file[-1] if file[-1] != "v" else "c"
        ]
        yield Reader("pages", f"page, {file}", copied(place), file, form, _page, (), share=0.06)


def all_readers(good: Path) -> list[Reader]:
    """All readers; the records are under ``good``."""
    parts = (_data_readers(), _scannet_readers(), _text_readers(), _record_readers(good))
    return list(itertools.chain(*parts))
