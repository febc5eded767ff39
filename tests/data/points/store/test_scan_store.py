import io
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from equiseg.data import DataError, PointCard
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats import scans as scan_files
from equiseg.data.points.formats.scans import Scan
from equiseg.data.points.store import building
from equiseg.data.points.store import scan_store as store_module
from equiseg.data.points.store.scan_store import CacheError, ScanStore, cache_folder

ORIGIN = np.array([650_000.0, 6_860_000.0, 30.0])


def card_of(root, **fields):
    fields = {
        "classes": {2: "ground", 6: "roof"},
        "ignore_values": [1],
        "features": ["intensity"],
        "block": 10.0,
        "points": "*.npz",
    } | fields
    return PointCard(name="t", form="arrays", root=str(root), splits={"train": ""}, **fields)


def scan_of(root, count=2000, side=(40.0, 30.0), seed=0, **arrays):
    """A synthetic scan on disk, and its arrays."""
    rng = np.random.default_rng(seed)
    xyz = ORIGIN + rng.uniform(0, [*side, 8], (count, 3))
    xyz[0] = ORIGIN
    arrays = {
        "xyz": xyz,
        "intensity": rng.random(count),
        "labels": rng.choice([1, 2, 6], count),
    } | arrays
    np.savez(
        root / "a.npz", **{name: values for name, values in arrays.items() if values is not None}
    )
    return Scan("a", root / "a.npz"), SimpleNamespace(**arrays)


@pytest.fixture
def reads(monkeypatch):
    """How often a file was read."""
    counted = []

    def chunks(*args, real=scan_files.chunks, **options):
        counted.append(args)
        return real(*args, **options)

    monkeypatch.setattr(scan_files, "chunks", chunks)
    return counted


def test_every_point_is_stored_with_its_attributes(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_PART", 300)  # several parts
    scan, given = scan_of(tmp_path)
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    order = store.order_N
    assert sorted(order) == list(range(2000))
    assert store.origin_3.tolist() == ORIGIN.tolist()
    assert np.abs(store.xyz_N3 + store.origin_3 - given.xyz[order]).max() < 1e-5
    assert np.array_equal(store.features_NC, given.intensity[order, None].astype(np.float32))
    ids = np.array([0, 255, 0, 0, 0, 0, 1])[given.labels]
    ids[given.labels == 2] = 0
    assert np.array_equal(store.labels_N, ids[order])
    assert store.labels_N.dtype == np.uint8


def test_rows_are_sorted_by_block_then_by_order_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_PART", 300)
    scan, _ = scan_of(tmp_path)
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    assert store.blocks.index_B2.tolist() == [[i, j] for i in range(4) for j in range(3)]
    for block, index in enumerate(store.blocks.index_B2):
        rows = store.block_rows(block)
        xy = store.xyz_N3[rows, :2]
        assert np.array_equal(np.floor(xy / 10), np.broadcast_to(index, xy.shape))
        assert (np.diff(store.order_N[rows]) > 0).all()
        labels = store.labels_N[rows]
        counts = np.bincount(labels[labels < 2], minlength=2)
        assert store.blocks.counts_BK[block].tolist() == counts.tolist()


def test_parts_do_not_change_the_store(tmp_path, monkeypatch):
    scan, _ = scan_of(tmp_path)
    card = card_of(tmp_path, features=["height", "intensity"])
    whole = ScanStore.open(card, scan, tmp_path / "cache")
    monkeypatch.setattr(building, "_PART", 77)
    parts = ScanStore.open(card, scan, tmp_path / "other")
    for name in ("xyz_N3", "features_NC", "labels_N", "order_N"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_points_on_the_far_edge_make_no_strip_of_blocks(tmp_path):
    xyz = ORIGIN + np.array([[0.0, 0, 0], [20.0, 20, 1], [19.99, 24.9, 2], [5.0, 20.1, 0]])
    ones = np.ones(4)
    scan, _ = scan_of(tmp_path, 4, xyz=xyz, intensity=ones, labels=ones.astype(int))
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    assert store.blocks.index_B2.tolist() == [[0, 0], [0, 1], [1, 1]]


def test_height_is_computed_in_its_column(tmp_path):
    pytest.importorskip("scipy")
    from equiseg.data.points.store.ground import height_above_ground

    scan, given = scan_of(tmp_path)
    card = card_of(tmp_path, features=["height", "intensity"])
    store = ScanStore.open(card, scan, tmp_path / "cache")
    expected = height_above_ground(given.xyz)[store.order_N]
    assert np.abs(store.features_NC[:, 0] - expected).max() < 1e-3
    assert np.allclose(store.features_NC[:, 1], given.intensity[store.order_N])


def test_without_features_there_is_a_constant(tmp_path):
    scan, _ = scan_of(tmp_path)
    store = ScanStore.open(card_of(tmp_path, features=[]), scan, tmp_path / "cache")
    assert store.features_NC.shape == (2000, 1)
    assert (store.features_NC == 1).all()


def test_the_file_is_read_once_until_it_or_the_card_changes(tmp_path, reads):
    scan, _ = scan_of(tmp_path)
    card, cache = card_of(tmp_path), tmp_path / "cache"
    for _ in range(3):
        ScanStore.open(card, scan, cache)
    assert len(reads) == 1
    for changed in (
        card_of(tmp_path, block=20.0),
        card_of(tmp_path, features=[]),
        card_of(tmp_path, classes={2: "a", 6: "b", 9: "c"}),
        card_of(tmp_path, classes={6: "roof", 2: "ground"}),
    ):
        before = len(reads)
        ScanStore.open(changed, scan, cache)
        ScanStore.open(changed, scan, cache)
        assert len(reads) == before + 1
    state = scan.path.stat()
    os.utime(scan.path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    before = len(reads)
    ScanStore.open(card, scan, cache)
    assert len(reads) == before + 1


def test_margin_and_voxel_need_no_other_store(tmp_path, reads):
    scan, _ = scan_of(tmp_path)
    for fields in ({}, {"margin": 5.0}, {"voxel": 3.0}):
        ScanStore.open(card_of(tmp_path, **fields), scan, tmp_path / "cache")
    assert len(reads) == 1


def test_a_store_of_another_format_is_built_anew(tmp_path, reads, monkeypatch):
    scan, _ = scan_of(tmp_path)
    ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    monkeypatch.setattr(store_module, "_FORMAT", store_module._FORMAT + 1)
    ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    assert len(reads) == 2


@pytest.mark.parametrize(
    "name", ["xyz.npy", "features.npy", "order.npy", "labels.npy", "blocks.npz"]
)
def test_a_damaged_store_is_built_anew(tmp_path, reads, name):
    scan, given = scan_of(tmp_path)
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    content = (store.folder / name).read_bytes()
    (store.folder / name).write_bytes(content[: len(content) // 2])
    again = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    assert len(reads) == 2
    if name == "blocks.npz":  # an archive has the time in it
        with np.load(again.folder / name) as new, np.load(io.BytesIO(content)) as old:
            assert {k: new[k].tolist() for k in new} == {k: old[k].tolist() for k in old}
    else:
        assert (again.folder / name).read_bytes() == content
    assert np.abs(again.xyz_N3 + again.origin_3 - given.xyz[again.order_N]).max() < 1e-5


def test_a_killed_build_leaves_no_store(tmp_path, reads):
    """The process is killed during the build, without cleaning up."""
    scan, _ = scan_of(tmp_path)
    script = """
import os, sys
from pathlib import Path
from tests_store import card_of
from equiseg.data.points.store import building
from equiseg.data.points.formats.scans import Scan
from equiseg.data.points.store.scan_store import ScanStore
building._summary = lambda *args: os._exit(9)
root = Path(sys.argv[1])
ScanStore.open(card_of(root), Scan("a", root / "a.npz"), root / "cache")
"""
    (tmp_path / "tests_store.py").write_text(Path(__file__).read_text())
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 9
    left = list((tmp_path / "cache").iterdir())
    assert [folder.name.startswith(".part-") for folder in left] == [True]
    assert (left[0] / "xyz.npy").is_file()
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    assert len(reads) == 1
    assert len(store) == 2000
    assert [*(tmp_path / "cache").iterdir()] == [store.folder]


def test_another_store_sweeps_what_a_killed_build_left(tmp_path):
    left = tmp_path / "cache" / ".part-of-another-scan"
    left.mkdir(parents=True)
    (left / "spool").write_bytes(b"1")
    scan, _ = scan_of(tmp_path)
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    assert [*(tmp_path / "cache").iterdir()] == [store.folder]


def test_one_process_builds_and_the_other_waits(tmp_path, monkeypatch):
    scan, _ = scan_of(tmp_path)
    both = threading.Barrier(2, timeout=60)
    stores, built, real, make = [], [], building.build, store_module._make

    def build(*args, **kwargs):
        built.append(args)
        real(*args, **kwargs)

    def make_both(*args, **kwargs):
        both.wait()  # neither has a store yet
        make(*args, **kwargs)

    monkeypatch.setattr(building, "build", build)
    monkeypatch.setattr(store_module, "_make", make_both)
    opening = [
        threading.Thread(
            target=lambda: stores.append(ScanStore.open(card_of(tmp_path), scan, tmp_path / "c"))
        )
        for _ in range(2)
    ]
    for thread in opening:
        thread.start()
    for thread in opening:
        thread.join()
    assert len(built) == len({store.folder for store in stores}) == 1
    assert [len(store.labels_N) for store in stores] == [2000, 2000]
    assert [entry.name for entry in (tmp_path / "c").iterdir()] == [stores[0].folder.name]


def test_memory_does_not_exceed_a_part(tmp_path, monkeypatch):
    count, parts = 400_000, 20
    rng = np.random.default_rng(0)

    def chunks(card, scan, wanted, labels):
        for _ in range(parts):
            xyz = rng.uniform(0, 1000, (count // parts, 3))
            intensity = np.zeros((len(xyz), 1), np.float32)
            yield PointCloud(xyz, {"intensity": intensity}, np.full(len(xyz), 2))

    monkeypatch.setattr(scan_files, "chunks", chunks)
    monkeypatch.setattr(building, "_PART", count // parts)
    scan, _ = scan_of(tmp_path)
    tracemalloc.start()
    try:
        store = ScanStore.open(card_of(tmp_path, block=100.0), scan, tmp_path / "cache")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(store) == count
    assert peak < count * 24 / 1.5  # the coordinates alone, in float64, would be more


def test_unknown_codes_are_named_with_their_counts(tmp_path):
    codes = np.array([2, 6, 64, 64, 9])
    scan, _ = scan_of(tmp_path, 5, labels=codes)
    with pytest.raises(
        DataError, match=r"a\.npz: codes 9 \(1 points\), 64 \(2 points\) are neither"
    ):
        ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    store = ScanStore.open(card_of(tmp_path, ignore_others=True), scan, tmp_path / "cache")
    assert sorted(store.labels_N) == [0, 1, 255, 255, 255]


def test_labels_can_be_left_unread(tmp_path):
    scan, _ = scan_of(tmp_path, 3, labels=np.array([2, 6, 64]))
    bare = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache", labels=False)
    assert bare.labels_N is None
    assert bare.blocks.counts_BK.sum() == 0
    with pytest.raises(DataError, match="codes 64"):  # and the bare store is not taken for it
        ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")


def test_many_classes_have_wide_labels(tmp_path):
    scan, _ = scan_of(tmp_path, 3, labels=np.array([0, 299, 7]))
    card = card_of(
        tmp_path, classes=[f"c{i}" for i in range(300)], ignore_values=[], ignore_index=999
    )
    store = ScanStore.open(card, scan, tmp_path / "cache")
    assert store.labels_N.dtype == np.int64
    assert sorted(store.labels_N) == [0, 7, 299]


def test_a_scan_without_labels_is_stored(tmp_path):
    scan, _ = scan_of(tmp_path, labels=None)
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    assert store.labels_N is None
    rows = store.block_rows(0)
    assert (store.sample(rows, rows, 255, "a").labels_N == 255).all()


def test_stray_points_far_away_are_refused(tmp_path):
    scan, _ = scan_of(tmp_path, 3, xyz=np.array([[0.0, 0, 0], [1, 1, 1], [0, 5e5, 0]]))
    with pytest.raises(DataError, match=r"up to 5e\+05 m apart, where float32 resolves only"):
        ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")


def test_a_feature_of_several_channels_needs_a_known_name(tmp_path):
    scan, _ = scan_of(tmp_path, 3, waves=np.ones((3, 5)))
    with pytest.raises(DataError, match=r"feature 'waves' must have 1 channel\(s\), got 5"):
        ScanStore.open(card_of(tmp_path, features=["waves"]), scan, tmp_path / "cache")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.npz"):
        ScanStore.open(card_of(tmp_path), Scan("gone", tmp_path / "gone.npz"), tmp_path / "cache")


def test_a_cache_that_cannot_be_written_names_the_variable(tmp_path):
    scan, _ = scan_of(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="EQUISEG_CACHE"):
        ScanStore.open(card_of(tmp_path), scan, tmp_path / "file" / "cache")


def test_a_full_disk_names_the_variable_and_leaves_nothing(tmp_path, monkeypatch):
    scan, _ = scan_of(tmp_path)
    monkeypatch.setattr(building.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(CacheError, match=r"GB free\); set the environment variable EQUISEG_CACHE"):
        ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_where_stores_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "points"
    monkeypatch.delenv("EQUISEG_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "equiseg" / "points"


def test_rows_of_a_window_read_only_blocks_that_touch_it(tmp_path, monkeypatch):
    scan, _ = scan_of(tmp_path)
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    lower, upper = np.array([12.0, 3.0]), np.array([19.0, 9.5])
    xy = store.xyz_N3[:, :2]
    expected = np.flatnonzero(((xy >= lower) & (xy < upper)).all(1))
    asked, real = [], ScanStore.block_rows
    monkeypatch.setattr(
        ScanStore, "block_rows", lambda self, block: asked.append(block) or real(self, block)
    )
    assert np.array_equal(store.rows(lower, upper), expected)
    assert len(expected) > 10
    assert store.blocks.index_B2[asked].tolist() == [[1, 0]]
    assert len(store.rows(upper, lower)) == 0


def test_the_margin_contains_the_points_near_the_block(tmp_path):
    scan, _ = scan_of(tmp_path)
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    core = store.block_rows(4)
    xy = store.xyz_N3[:, :2].astype(np.float64)
    lower, upper = xy[core].min(0) - 2.5, xy[core].max(0) + 2.5
    expected = np.flatnonzero(((xy >= lower) & (xy <= upper)).all(1))
    assert np.array_equal(store.around(4, 2.5), expected)
    assert np.isin(core, expected).all()
    assert np.array_equal(store.around(4, 0.0), core)


@pytest.mark.parametrize("stored", [10.0, 0.7, None])
@pytest.mark.parametrize(
    ("side", "shift"), [(10.0, (0, 0)), (7.0, (3.5, 1.1)), (0.3, (0.1, 0)), (99.0, (5, 5))]
)
def test_windows_contain_every_point_exactly_once(tmp_path, stored, side, shift):
    xyz = ORIGIN + np.random.default_rng(2).integers(0, 41, (500, 3)) / 10  # on edges of cells
    scan, _ = scan_of(tmp_path, 500, xyz=xyz)
    store = ScanStore.open(card_of(tmp_path, block=stored), scan, tmp_path / "cache")
    seen = np.zeros(len(store), int)
    xy = store.xyz_N3[:, :2].astype(np.float64)
    for core, rows in store.windows(side, 0.25, shift):
        seen[core] += 1
        assert (np.diff(core) > 0).all()
        assert np.isin(core, rows).all()
        near = (xy[rows] >= xy[core].min(0) - side - 0.25) & (
            xy[rows] <= xy[core].max(0) + side + 0.25
        )
        assert near.all()
        within = ((xy >= xy[core].min(0) - 0.24) & (xy <= xy[core].max(0) + 0.24)).all(1)
        assert np.isin(np.flatnonzero(within), rows).all()
    assert (seen == 1).all()


def test_a_point_on_a_rounded_cell_border_is_found(tmp_path):
    xyz = np.array([[0.0, 0, 0], [2, 2, 0]])  # (2 - 0.1) / 0.1 < 19, but 19 * 0.1 + 0.1 == 2
    scan, _ = scan_of(tmp_path, 2, xyz=xyz)
    store = ScanStore.open(card_of(tmp_path, block=None), scan, tmp_path / "cache")
    cores = [core.tolist() for core, _ in store.windows(0.1, 0.0, (0.1, 0.1))]
    assert cores == [[0], [1]]


def test_one_window_of_everything_and_wrong_windows(tmp_path):
    scan, _ = scan_of(tmp_path)
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    ((core, rows),) = store.windows(None)
    assert np.array_equal(core, np.arange(2000))
    assert np.array_equal(rows, core)
    for block, margin in ((0, 0), (-1, 0), (5, -1), (float("nan"), 0)):
        with pytest.raises(ValueError, match="block must be above 0 m"):
            list(store.windows(block, margin))


def test_a_sample_shows_context_without_its_labels(tmp_path):
    scan, _ = scan_of(tmp_path, labels=np.full(2000, 6))
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    core, rows = store.block_rows(4), store.around(4, 3.0)
    sample = store.sample(core, rows, 255, "a_1_1")
    assert sample.name == "a_1_1"
    assert sample.labels_N.tolist() == np.where(np.isin(rows, core), 1, 255).tolist()
    assert sample.xyz_N3[:, :2].amin(0).tolist() == [0, 0]
    assert np.array_equal(sample.xyz_N3[:, 2], store.xyz_N3[rows, 2])
    assert np.array_equal(sample.features_NC, store.features_NC[rows])


def test_a_store_is_pickled_by_its_path(tmp_path):
    scan, _ = scan_of(tmp_path, 50_000)
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    packed = pickle.dumps(store)
    assert len(packed) < 5000
    assert np.array_equal(pickle.loads(packed).xyz_N3, store.xyz_N3)


def test_coordinates_that_float32_cannot_hold_are_refused(tmp_path):
    xyz = ORIGIN + np.zeros((5, 3))
    xyz[0, 0] = 1e9
    scan, _ = scan_of(tmp_path, 5, xyz=xyz)
    with pytest.raises(DataError, match="remove stray points"):
        ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")


def test_withheld_points_have_no_label(tmp_path, monkeypatch):
    withheld = np.array([True, False, False, True])

    def chunks(card, scan, wanted, labels):
        attributes = {"intensity": np.zeros((4, 1), np.float32)}
        yield PointCloud(ORIGIN + np.eye(4, 3), attributes, np.array([2, 2, 6, 99]), withheld)

    monkeypatch.setattr(scan_files, "chunks", chunks)
    scan, _ = scan_of(tmp_path)
    store = ScanStore.open(card_of(tmp_path), scan, tmp_path / "cache")
    assert store.blocks.counts_BK.sum(0).tolist() == [1, 1]
    assert store.labels_N[np.argsort(store.order_N)].tolist() == [255, 0, 1, 255]
