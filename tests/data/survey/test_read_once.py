"""No command reads an unchanged file a second time."""

import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from equiseg.cli.main import main
from equiseg.data.config import DataConfig
from equiseg.data.points.store.scan_store import ScanStore
from equiseg.training.opened_data import open_data
from runs import write_street

_opened: list[str] = []
_watched: list[str] = []


def _note(event, arguments):
    if event == "open" and _watched and str(arguments[0]).endswith(tuple(_watched)):
        _opened.append(Path(arguments[0]).name)


sys.addaudithook(_note)  # it cannot be removed, only told to watch nothing


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """The names of the image and scan files that this process opens; a test clears it."""
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    _watched[:] = [".png", "scan.npz"]
    _opened.clear()
    yield _opened
    _watched.clear()


def settle():
    """Wait until files that were just written are old enough to be remembered."""
    time.sleep(0.06)


@pytest.fixture
def street(tmp_path, opened):
    write_street(tmp_path, ((40, 48), (48, 40), (40, 40)))
    settle()
    opened.clear()
    return str(tmp_path / "street.yaml")


def train(card):
    open_data(DataConfig(card))


def stats(data):
    main(["stats", data])


def doctor(card):
    with suppress(SystemExit):  # if it finds too few images
        main(["doctor", card])


@pytest.mark.parametrize("command", [train, stats, doctor])
def test_images_are_read_once(street, opened, command, tmp_path):
    command(street)
    assert opened
    opened.clear()
    command(street)
    assert opened == []
    mask = tmp_path / "annotations" / "train" / "1.png"
    mask.write_bytes(mask.read_bytes())
    command(street)
    assert set(opened) == {"1.png"}


def test_other_splits_need_no_reading_and_other_classes_do(street, opened, tmp_path):
    train(street)
    opened.clear()
    for kind in ("images", "annotations"):
        (tmp_path / kind / "train" / "2.png").unlink()
    card = Path(street).read_text()
    Path(street).write_text(card.replace("name: street", "name: road"))
    train(street)
    assert opened == []
    Path(street).write_text(card.replace("[road, car, sign]", "[road, car, sign, pole]"))
    train(street)
    assert set(opened) == {"0.png", "1.png", "2.png"}


def test_memory_gives_the_same_counts_and_sizes(street):
    first, again = open_data(DataConfig(street)), open_data(DataConfig(street))
    assert first.counts_SK.tolist() == again.counts_SK.tolist()
    assert first.splits["train"].sizes == {(40, 48), (48, 40), (40, 40)}
    assert again.splits["train"].sizes == first.splits["train"].sizes


def test_memory_gives_the_same_statistics_and_findings(street, capsys):
    said = []
    for _ in range(2):
        main(["stats", street, "--json"])
        with pytest.raises(SystemExit):
            main(["doctor", street, "--json"])
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


@pytest.fixture
def scans(tmp_path, opened):
    rng = np.random.default_rng(0)
    for split, points in (("train", 900), ("val", 800)):  # equal sizes would be compared
        (tmp_path / split).mkdir()
        for number in range(2):
            xyz, labels = rng.uniform(0, [20, 20, 5], (points, 3)), rng.integers(1, 3, points)
            np.savez(tmp_path / split / f"{number}_scan.npz", xyz=xyz, labels=labels)
    (tmp_path / "town.yaml").write_text(
        "name: town\nroot: .\nform: arrays\npoints: '{split}/*.npz'\nclasses: {1: a, 2: b}\n"
        "splits: {train: train, val: val}\nvoxel: 1.0\nblock: 10.0\n"
    )
    settle()
    opened.clear()
    return str(tmp_path / "town.yaml")


@pytest.fixture
def blocks(monkeypatch):
    """The scans of the blocks that are read; a test clears it."""
    read = []
    sample = ScanStore.sample
    monkeypatch.setattr(
        ScanStore, "sample", lambda self, *rest: read.append(self.name) or sample(self, *rest)
    )
    return read


@pytest.mark.parametrize(("command", "number"), [(train, 0), (stats, 8), (doctor, 16)])
def test_scans_and_their_blocks_are_read_once(scans, opened, blocks, command, number):
    command(scans)
    assert (bool(opened), len(blocks)) == (True, number)
    settle()  # the first time the stores are too young for their blocks to be remembered
    opened.clear()
    command(scans)
    assert opened == []
    blocks.clear()
    command(scans)
    assert (opened, blocks) == ([], [])


def test_scans_without_a_card_are_read_once(scans, opened, blocks):
    folder = str(Path(scans).parent / "train")
    stats(folder)
    assert opened
    settle()
    stats(folder)
    opened.clear()
    blocks.clear()
    stats(folder)
    assert (opened, blocks) == ([], [])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_workers_store_scans(scans, num_workers):
    data = open_data(DataConfig(scans, num_workers=num_workers))
    assert data.counts_SK.sum() == 1800
    assert len(data.splits["train"]) == len(data.counts_SK) == 8
