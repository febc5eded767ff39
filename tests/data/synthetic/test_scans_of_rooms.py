"""The built-in scans: a scan depends only on its index, and two dials are independent."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.data.synthetic.scans.dataset import RoomScans
from equiseg.data.synthetic.scans.kinds import KINDS, SHELL
from equiseg.data.synthetic.scans.layout import Plan, compose
from equiseg.data.synthetic.scans.shapes import (
    BALL,
    BOX,
    ROUND,
    Part,
    PartTable,
    inside,
    surface_points,
)
from equiseg.data.synthetic.scans.variants import MOST_CLASSES, catalogue, variant
from equiseg.data.synthetic.streams import generator, long_tail, strata

FEW = 2000
IMBALANCES = (30.0, 200.0)
CONTEXTS = (0.0, 0.5, 1.0)


@lru_cache
def measure(imbalance, context, num_classes=20, num_scans=256):
    """Point shares (K,), and the bits that the classes in a cell of 0.2 m tell about a class."""
    config = ScansConfig(num_classes, imbalance, context, points=FEW)
    points_K, pairs_KK = np.zeros(num_classes), np.zeros((num_classes, num_classes))
    for sample in RoomScans(config, "train", num_scans):
        labels_N = sample.labels_N.numpy()
        points_K += np.bincount(labels_N, minlength=num_classes)
        cells_N3 = np.floor(sample.xyz_N3.numpy() / 0.2)
        _, cell_N = np.unique(cells_N3, axis=0, return_inverse=True)
        holds_VK = np.zeros((cell_N.max() + 1, num_classes))
        holds_VK[cell_N.ravel(), labels_N] = 1
        pairs_KK += holds_VK.T @ holds_VK
    np.fill_diagonal(pairs_KK, 0)
    seen = pairs_KK[SHELL:] / pairs_KK[SHELL:].sum(1, keepdims=True)
    mean = np.broadcast_to(seen.mean(0), seen.shape)
    on = seen > 0
    bits = float((seen[on] * np.log2(seen[on] / mean[on])).sum() / len(seen))
    return points_K / points_K.sum(), bits


def same(a, b):
    return all(map(torch.equal, a[:3], b[:3])) and a.name == b.name


def test_a_room_depends_only_on_config_split_and_index():
    config = ScansConfig(points=FEW)
    whole, other = RoomScans(config, "train", 130), RoomScans(config, "train", 70)
    forward = [whole[i] for i in (0, 1, 68, 69)]
    backward = [other[i] for i in (69, 68, 1, 0)][::-1]
    assert all(map(same, forward, backward))
    assert same(whole[-130], forward[0])


def test_workers_give_the_same_rooms():
    data = RoomScans(ScansConfig(points=FEW), "val", 4)
    loader = DataLoader(data, batch_size=None, num_workers=2)
    assert all(same(data[i], sample) for i, sample in enumerate(loader))


def test_splits_seeds_and_indices_differ():
    data = [RoomScans(ScansConfig(points=FEW), split, 2) for split in ("train", "val", "test")]
    data.append(RoomScans(ScansConfig(points=FEW, seed=1), "train", 2))
    clouds = [of[i].xyz_N3 for of in data for i in (0, 1)]
    assert len({cloud.numpy().tobytes() for cloud in clouds}) == len(clouds)


@pytest.mark.parametrize("num_classes", [4, 23, 40, 77])
def test_samples_keep_the_interface(num_classes):
    data = RoomScans(ScansConfig(num_classes, points=3000), "test", 3)
    assert len(data) == len(list(data)) == 3
    assert len(data.classes) == len(set(data.classes)) == num_classes
    assert data.classes[:4] == ("wall", "floor", "ceiling", "window")
    assert (data.ignore_index, data.background, data.groups) == (255, None, None)
    assert data.channels == ("red", "green", "blue")
    assert data.voxel_size > 0
    for sample in data:
        assert sample.xyz_N3.dtype == sample.features_NC.dtype == torch.float32
        assert sample.labels_N.dtype == torch.uint8
        assert sample.xyz_N3.shape == sample.features_NC.shape == (len(sample.labels_N), 3)
        assert int(sample.labels_N.max()) < num_classes
        assert 0 <= sample.features_NC.min() < sample.features_NC.max() <= 1
        room = sample.xyz_N3.amax(0)
        assert sample.xyz_N3.amin() > -0.05
        assert (room > torch.tensor([3.5, 4.4, 2.3])).all()
        assert (room < torch.tensor([4.5, 5.6, 2.9])).all()
    with pytest.raises(IndexError, match="below 3"):
        data[3]


@pytest.mark.parametrize("points", [2000, 10_000])
def test_a_room_has_the_points_asked_for_on_average(points):
    data = RoomScans(ScansConfig(points=points), "train", 64)
    assert np.mean([len(sample.labels_N) for sample in data]) == pytest.approx(points, rel=0.08)


@pytest.mark.parametrize("imbalance", IMBALANCES)
@pytest.mark.parametrize("context", CONTEXTS)
def test_the_imbalance_dial_sets_the_frequencies_at_any_context(imbalance, context):
    shares_K, _ = measure(imbalance, context)
    assert shares_K[0] / shares_K[-1] == pytest.approx(imbalance, rel=0.35)
    np.testing.assert_allclose(shares_K, ScansConfig(20, imbalance).shares, rtol=0.4)


def test_the_context_dial_sets_the_information_of_neighbours_at_any_imbalance():
    none, half, full = [[measure(i, c)[1] for i in IMBALANCES] for c in CONTEXTS]
    assert max(none) < 0.8 * min(half)
    assert max(half) < 0.8 * min(full)


def test_two_hundred_classes_keep_the_imbalance_and_the_rarest_classes_occur():
    data = RoomScans(ScansConfig(200, points=4000), "train", 192)
    counts_SK = np.stack([np.bincount(sample.labels_N, minlength=200) for sample in data])
    tail, wanted = counts_SK[:, 150:].sum() / counts_SK.sum(), data.config.shares[150:].sum()
    assert tail == pytest.approx(wanted, rel=0.1)
    assert (counts_SK.sum(0) > 0).all()
    assert ((counts_SK > 0).sum(0)[150:] >= 3).all()


@pytest.mark.parametrize("context", [0.0, 1.0])
def test_with_full_context_every_object_is_at_its_host(context):
    kinds = catalogue(60)
    plan = Plan.of(long_tail(60, 300), np.full(60, 0.5), kinds)
    guests = hosted = 0
    for i in range(40):
        room = compose(kinds, plan, context, strata(60, 0, 0, 0)[i], generator(0, 0, i, 1))
        for t in np.flatnonzero(kinds.level_K[room.k_T] == 2):
            kind = kinds.kinds[room.k_T[t]]
            if kind.host == "window":
                continue  # curtains hang next to it
            guests += 1
            bottom_3 = room.center_T3[t] - [0, 0, room.size_T3[t, 2] / 2]
            for h in np.flatnonzero(kinds.family_K[room.k_T] == kinds.host_K[room.k_T[t]]):
                x, y, z = bottom_3 - room.center_T3[h]
                cos, sin = np.cos(room.yaw_T[h]), np.sin(room.yaw_T[h])
                local = np.abs([cos * x + sin * y, cos * y - sin * x, z])
                if (local <= room.size_T3[h] / 2 + 1e-6).all():
                    hosted += 1
                    break
    assert guests > 100
    assert hosted == guests if context else hosted < 0.2 * guests


def test_no_points_are_inside_or_under_other_objects():
    """A rug hides the floor below it, and surfaces that face the floor are invisible."""
    sample = RoomScans(ScansConfig(5, context=1.0, imbalance=10, points=8000), "train", 1)[0]
    xyz, labels = sample.xyz_N3.numpy(), sample.labels_N.numpy()
    floor, rug = xyz[labels == 1], xyz[labels == 4]
    middle, reach = rug.mean(0), np.ptp(rug[:, :2], axis=0).min() / 4
    below = np.abs(floor[:, :2] - middle[:2]).max(1) < reach
    assert below.sum() == 0
    assert (np.abs(rug[:, :2] - middle[:2]).max(1) < reach).sum() > 50
    assert np.median(rug[:, 2]) > 0.005


@pytest.mark.parametrize(
    ("shape", "taper", "area"),
    [
        (BOX, 1.0, 2 * (0.4 * 0.3 + 0.3 * 0.5 + 0.5 * 0.4)),
        (BALL, 1.0, 4 * np.pi * 0.2**2),
        (ROUND + 2, 1.0, 2 * np.pi * 0.2 * (0.2 + 0.5)),
        (ROUND, 1.0, 2 * np.pi * 0.2 * (0.2 + 0.5)),
        (ROUND + 1, 0.5, np.pi * (0.2**2 + 0.1**2 + 0.3 * np.hypot(0.5, 0.1))),
    ],
)
def test_areas_and_points_of_a_body(shape, taper, area):
    size = np.array([0.4, 0.3, 0.5] if shape == BOX else [0.4, 0.4, 0.4], np.float32)
    if shape >= ROUND:
        size[shape - ROUND] = 0.5
    parts = PartTable.of([Part(shape, (0, 0, 0), (1, 1, 1), taper=taper)])
    assert parts.areas(size[None])[0] == pytest.approx(area, rel=1e-3)
    n, rng = 20_000, generator(0)
    sizes_N3 = np.tile(size, (n, 1))
    unit_N3, normal_N3 = surface_points(
        np.full(n, shape), np.full(n, taper, np.float32), sizes_N3, rng
    )
    np.testing.assert_allclose(np.linalg.norm(normal_N3, axis=1), 1, rtol=1e-4)
    # A step along the normal leaves the body, one against it enters.
    for step, within in ((1e-3, False), (-1e-3, True)):
        moved_3PN = (unit_N3 + step * normal_N3 / size).T[:, None]
        assert (inside(parts, moved_3PN) == within).mean() > 0.98
    # Uniform by area: the divergence theorem gives the volume from the points and normals.
    volume = area * np.einsum("nc,nc->n", unit_N3 * size, normal_N3).mean() / 3
    wanted = {BOX: 0.06, BALL: 4 / 3 * np.pi * 0.008}.get(
        shape, np.pi / 3 * 0.5 * 0.04 * (1 + taper + taper**2)
    )
    assert volume == pytest.approx(wanted, rel=0.02)


def test_points_on_flattened_balls_are_uniform():
    n = 50_000
    size_N3 = np.tile(np.array([0.4, 0.4, 0.1], np.float32), (n, 1))
    unit_N3, _ = surface_points(np.full(n, BALL), np.ones(n, np.float32), size_N3, generator(1))
    near_the_middle = (np.hypot(unit_N3[:, 0], unit_N3[:, 1]) < 0.25).mean()
    # The flat face is nearly a plane: a quarter of its area, on either side.
    area = PartTable.of([Part(BALL, (0, 0, 0), (1, 1, 1))]).areas(size_N3[:1])[0]
    assert near_the_middle == pytest.approx(2 * np.pi * 0.1**2 / area, rel=0.12)


def test_variants_are_deterministic_and_differ_from_one_another():
    chair = next(kind for kind in KINDS if kind.name == "chair")
    versions = [variant(chair, number) for number in range(2, 7)]
    assert [kind.name for kind in versions] == [f"chair {number}" for number in range(2, 7)]
    assert versions[0].size == variant(chair, 2).size
    assert versions[0].look.parts == variant(chair, 2).look.parts
    assert len({kind.size for kind in versions}) == len({k.look.parts for k in versions}) == 5
    assert all(kind.host == "floor" and kind.base == "chair" for kind in versions)
    for kind in versions:
        assert min(min(part.lower) for part in kind.look.parts) > -0.03
        assert max(max(part.upper) for part in kind.look.parts) < 1.03


@pytest.mark.parametrize("num_classes", [4, 40, 41, 130, MOST_CLASSES])
def test_hosts_come_first_and_variants_after_the_forty(num_classes):
    kinds = catalogue(num_classes)
    assert [kind.name for kind in kinds.kinds[:40]] == [k.name for k in KINDS[:num_classes]]
    assert all(kind.base for kind in kinds.kinds[40:])
    assert (kinds.host_K[:40] <= np.arange(num_classes)[:40]).all()
    assert all((kinds.level_K[kinds.host_K] < kinds.level_K) | (np.arange(num_classes) < SHELL))
    for kind in kinds.kinds:
        assert all(part.colour < len(kind.look.palettes) for part in kind.look.parts)


@pytest.mark.parametrize(
    ("dials", "named"),
    [
        ({"num_classes": 3}, "num_classes must be 4 to 200.*got 3"),
        ({"num_classes": 201}, "num_classes"),
        ({"points": 999}, "points must be at least 1000.*got 999"),
        ({"imbalance": 5.0}, "imbalance must be 10 to 3000, got 5.0"),
        ({"imbalance": float("nan")}, "imbalance"),
        ({"context": 1.1}, "context.*got 1.1"),
        ({"seed": -1}, "seed"),
    ],
)
def test_room_dials_out_of_range_are_refused(dials, named):
    with pytest.raises(ValueError, match=named):
        ScansConfig(**dials)


@pytest.mark.parametrize(("split", "num_scans"), [("training", 3), ("train", 0)])
def test_a_wrong_split_or_number_of_rooms_is_refused(split, num_scans):
    with pytest.raises(ValueError, match=r"split must be|num_scans must be"):
        RoomScans(ScansConfig(), split, num_scans)
