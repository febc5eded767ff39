import numpy as np
import pytest
import torch

from equiseg.data import DataError, PointCard, load_card, survey_samples
from equiseg.data.points.folder import PointFolder
from equiseg.data.points.store.scan_store import CacheError
from equiseg.data.points.store.split_blocks import deal_blocks
from places import SHARED_DATA

IGN = SHARED_DATA / "ign_lidarhd"
SPLITS = ("train", "val", "test")


def save(root, name, labels=True, side=40, seed=0):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(0, [side, side, 5], (1500, 3))
    # A corner without labels, and a class that only some blocks have.
    codes = np.where(xyz[:, 0] < 10, np.where(xyz[:, 1] < 10, 0, 3), rng.integers(1, 3, 1500))
    arrays = {"xyz": xyz, "rgb": rng.random((1500, 3))} | ({"labels": codes} if labels else {})
    np.savez(root / f"{name}.npz", **arrays)


def card_of(root, **fields):
    fields = {
        "classes": {1: "a", 2: "b", 3: "c"},
        "ignore_values": [0],
        "splits": {"train": ["s1", "s2"], "val": ["s3"]},
        "features": ["rgb"],
        "block": 10.0,
        "margin": 2.0,
        "points": "*.npz",
    } | fields
    return PointCard(name="made", form="arrays", root=str(root), **fields)


@pytest.fixture
def root(tmp_path):
    for seed, name in enumerate(("s1", "s2", "s3")):
        save(tmp_path, name, seed=seed)
    return tmp_path


def test_samples_are_blocks_with_context(root):
    card = card_of(root)
    data = PointFolder(card, "train", root / "cache")
    assert len(data) == 2 * 15  # of 16 blocks, one has no labelled point
    names = [data[i].name for i in range(len(data))]
    assert names[:3] == ["s1_0_1", "s1_0_2", "s1_0_3"]
    assert len(set(names)) == len(names)
    assert (data.classes, data.ignore_index) == (("a", "b", "c"), 255)
    assert (data.channels, data.voxel_size) == (("red", "green", "blue"), card.voxel)
    for i in range(len(data)):
        sample = data[i]
        extent = sample.xyz_N3[:, :2].amax(0)
        assert (extent <= 14.0).all()
        assert (extent > 10.0).all()  # there is context on at least one side
        counts = np.bincount(sample.labels_N, minlength=256)
        assert counts[:3].tolist() == data.counts_SK[i].tolist()
        assert counts[255] > 0


def test_every_labelled_point_counts_once(root):
    data = PointFolder(card_of(root), "val", root / "cache")
    counts_SK = survey_samples(data, "val").counts_SK
    codes = np.load(root / "s3.npz")["labels"]
    assert counts_SK.sum(0).tolist() == np.bincount(codes)[1:].tolist()
    assert torch.equal(counts_SK, data.counts_SK)


def test_sources_are_known_unless_all_scans_are_shared(root):
    data = PointFolder(card_of(root), "train", root / "cache")
    assert data.sources == [root / "s1.npz", root / "s2.npz"]
    dealt = PointFolder(card_of(root, splits=["train", "val"]), "train", root / "cache")
    assert dealt.sources == []


def test_whole_scans(root):
    data = PointFolder(card_of(root, block=None, margin=0.0), "train", root / "cache")
    assert [data[i].name for i in range(len(data))] == ["s1", "s2"]
    assert len(data[0].labels_N) == 1500


def test_dealt_splits_share_all_blocks(root):
    pattern = ["train", "train", "val", "test"]
    card = card_of(root, splits=pattern)
    splits = {split: PointFolder(card, split, root / "cache") for split in SPLITS}
    names = {s: {data[i].name for i in range(len(data))} for s, data in splits.items()}
    assert sum(map(len, names.values())) == len(set.union(*names.values())) == 3 * 15
    counts_BK = np.concatenate([s.blocks.counts_BK for s in splits["val"].scans])
    dealt = np.array(deal_blocks(counts_BK, pattern))
    for split, data in splits.items():
        chosen = counts_BK[(dealt == split) & counts_BK.any(1)]
        assert np.array_equal(data.counts_SK, chosen)


def test_all_problems_are_listed_together(root):
    save(root, "s1", labels=False)
    (root / "s2.npz").write_bytes(b"PK")
    with pytest.raises(
        DataError, match=r"(?s)made/train: .*\(2\).*s1\.npz: has no labels.*s2\.npz"
    ):
        PointFolder(card_of(root), "train", root / "cache")


def test_a_split_with_nothing_labelled_is_refused(root):
    card = card_of(root, classes={8: "x", 9: "y"}, ignore_values=[0, 1, 2, 3])
    with pytest.raises(DataError, match="split 'train' has no labelled points in 2 scan"):
        PointFolder(card, "train", root / "cache")


def test_an_unusable_cache_folder_is_reported_as_such(root, monkeypatch):
    (root / "file").touch()
    monkeypatch.setenv("EQUISEG_CACHE", str(root / "file"))
    with pytest.raises(CacheError, match="EQUISEG_CACHE"):
        PointFolder(card_of(root), "train")


def test_progress_is_shown_scan_by_scan(root):
    seen = []
    PointFolder(card_of(root), "train", root / "cache", track=lambda s, what: seen.extend(s) or s)
    assert [scan.name for scan in seen] == ["s1", "s2"]


def test_the_tiles_of_the_package_hold_every_class_in_both_splits(tmp_path):
    pytest.importorskip("laspy")
    for split in ("train", "val"):
        data = PointFolder(load_card("ign_tiles"), split, tmp_path)
        assert len(data) == 4
        assert (data.counts_SK.sum(0) > 100).all()


def test_real_tiles_dealt(tmp_path):
    pytest.importorskip("laspy")
    if not IGN.is_dir():
        pytest.skip(f"{IGN} is not there")
    splits = [PointFolder(load_card("ign_lidar_hd", IGN), split, tmp_path) for split in SPLITS]
    assert sum(map(len, splits)) == 280
    counts_K = sum(data.counts_SK.sum(0) for data in splits).double()
    for data, share in zip(splits, (0.6, 0.2, 0.2), strict=True):
        assert abs(len(data) - share * 280) <= 1
        assert (data.counts_SK.sum(0) / counts_K - share).abs().max() < 0.17
        sample = data[len(data) - 1]
        assert sample.features_NC.shape[1] == len(data.channels) == 4
        assert sample.features_NC.isfinite().all()
