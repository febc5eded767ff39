"""Geometry: zero at the simplex, the margin beyond it, the sums of the papers elsewhere."""

import math

import numpy as np
import pytest
import torch

from equiseg import frame, simplex_etf, softmax_code
from equiseg.collapse import Geometry, nearest_pairs
from reference.slow_measures import distance_to_hull, slow_geometry

K, D = 6, 9
NC2 = ("equinorm", "equiangularity", "maximal_separation", "etf_error")
NUMBERS = (*NC2, "largest_cosine", "margin", "num_present")


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def simplex(num_classes=K, dim=D):
    return simplex_etf(num_classes, dim, dtype=torch.float64)


def assert_numbers(geometry, expected, tolerance=1e-10):
    for name in NUMBERS:
        seen = getattr(geometry, name)
        assert seen == pytest.approx(expected[name], abs=tolerance, nan_ok=True), name


@pytest.mark.parametrize("num_classes", [2, 3, 6, 20, 40])
@pytest.mark.parametrize("centered", [True, False])
def test_a_simplex_is_one(num_classes, centered):
    vectors = 3 * simplex(num_classes, 40) + (random(40) if centered else 0)
    geometry = Geometry.of(vectors, centered=centered)
    for name in NC2:
        assert getattr(geometry, name) == pytest.approx(0, abs=1e-12), name
    assert geometry.largest_cosine == pytest.approx(-1 / (num_classes - 1), abs=1e-12)
    assert geometry.margin == pytest.approx(num_classes / (num_classes - 1), abs=1e-12)
    assert geometry.num_present == num_classes


@pytest.mark.parametrize("absent", [[], [0], [1, 4], [0, 2, 3, 5]])
@pytest.mark.parametrize("among", [None, [0, 1, 2], [5, 3, 4, 1], [2]])
@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("dim", [2, 4, 9])
def test_numbers_equal_slow_loops(absent, among, centered, dim):
    vectors = random(K, dim, seed=dim) + 1
    present = torch.ones(K, dtype=torch.bool)
    present[absent] = False
    geometry = Geometry.of(vectors, present, centered=centered, among=among)
    ids = present.nonzero().flatten().tolist()
    expected = slow_geometry(dict(enumerate(vectors.numpy())), ids, among, centered)
    assert_numbers(geometry, expected, 1e-7 if expected["margin"] < 1e-7 else 1e-10)


def test_an_absent_class_changes_nothing():
    vectors = random(K, D)
    more = torch.cat([vectors[:2], torch.full((1, D), 1e6), vectors[2:], torch.zeros(1, D)])
    present = torch.tensor([True, True, False, True, True, True, True, False])
    geometry = Geometry.of(more, present, centered=True)
    alone = Geometry.of(vectors, centered=True)
    assert_numbers(geometry, vars(alone) | {"margin": alone.margin}, 0)
    kept = geometry.cosines_KK[present][:, present]
    torch.testing.assert_close(kept, alone.cosines_KK, rtol=0, atol=0)
    assert geometry.cosines_KK[~present].isnan().all()
    assert geometry.cosines_KK[:, ~present].isnan().all()


def test_a_part_of_a_simplex_is_as_good_as_the_whole():
    geometry = Geometry.of(simplex(), centered=True, among=[1, 4, 2])
    for name in NC2:
        assert getattr(geometry, name) == pytest.approx(0, abs=1e-12), name
    assert geometry.margin == pytest.approx(K / (K - 1))
    assert geometry.num_present == 3
    torch.testing.assert_close(
        geometry.cosines_KK, Geometry.of(simplex(), centered=True).cosines_KK
    )


@pytest.mark.parametrize("turn_seed", [1, 2])
def test_geometry_is_invariant_to_scale_rotation_and_shift(turn_seed):
    vectors = random(K, D)
    turn = torch.linalg.qr(random(D, D, seed=turn_seed)).Q
    turned = Geometry.of(7 * vectors @ turn + random(D), centered=True)
    expected = Geometry.of(vectors, centered=True)
    assert_numbers(turned, vars(expected) | {"margin": expected.margin}, 1e-12)


def test_each_number_sees_its_own_flaw():
    longer = simplex() * torch.linspace(1, 2, K, dtype=torch.float64).unsqueeze(1)
    longer = Geometry.of(torch.cat([longer, -longer]), centered=True)  # centered by symmetry
    assert longer.equinorm > 0.1
    in_a_line = Geometry.of(torch.outer(torch.arange(4.0), torch.ones(D)), centered=True)
    assert in_a_line.equiangularity == pytest.approx(math.sqrt(1 - 1 / 9))
    assert in_a_line.maximal_separation == pytest.approx((2 / 3 * 2 + 4 / 3) / 3, rel=1e-6)
    assert in_a_line.largest_cosine == pytest.approx(1)
    assert in_a_line.margin == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("num_classes", "dim", "margin"),
    [(6, 4, 1), (8, 4, 1), (5, 2, 1 - math.cos(math.tau / 5)), (24, 4, 0.5)],
)
def test_the_margin_of_a_softmax_code(num_classes, dim, margin):
    geometry = Geometry.of(softmax_code(num_classes, dim, dtype=torch.float64), centered=False)
    assert geometry.margin == pytest.approx(margin, abs=1e-9)
    assert geometry.maximal_separation > 0.1  # the yardstick of a simplex is out of reach


def test_no_vectors_have_a_larger_margin_than_the_code():
    best = Geometry.of(frame(7, 3, dtype=torch.float64), centered=False).margin
    others = [Geometry.of(random(7, 3, seed=seed), centered=False).margin for seed in range(20)]
    assert max(others) < best


@pytest.mark.parametrize(("num_classes", "dim"), [(8, 1), (9, 2), (9, 3), (8, 12)])
def test_margins_are_distances_to_hulls(num_classes, dim):
    for seed in range(3):
        vectors = random(num_classes, dim, seed=seed)
        unit = (vectors / vectors.norm(dim=1, keepdim=True)).numpy()
        distances = [
            distance_to_hull(unit[k], [*unit[:k], *unit[k + 1 :]]) for k in range(num_classes)
        ]
        margin = Geometry.of(vectors, centered=False).margin
        exact = min(distances)
        assert margin == pytest.approx(exact, abs=1e-10 if exact > 1e-6 else 1e-6)


def test_the_margin_of_many_classes_lies_between_its_bounds():
    vectors = random(150, 20)
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    cosines = unit @ unit.T - 3 * torch.eye(150)
    margin = Geometry.of(vectors, centered=False).margin
    assert 1 - cosines.max() <= margin <= math.sqrt(2 - 2 * cosines.max())


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_have_no_geometry(count):
    geometry = Geometry.of(random(K, D), torch.arange(K) < count, centered=True)
    for name in NUMBERS[:-1]:
        assert math.isnan(getattr(geometry, name)), name
    assert geometry.num_present == count
    assert int((~geometry.cosines_KK.isnan()).sum()) == count


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_diverged_features_give_nan_and_no_error(value):
    vectors = random(K, D)
    vectors[2, 3] = value
    geometry = Geometry.of(vectors, centered=True)
    assert math.isnan(geometry.equinorm)
    assert math.isnan(geometry.margin)


def test_two_classes_in_one_place_and_classes_all_in_one_place():
    twins = random(K, D)
    twins[3] = twins[2]
    geometry = Geometry.of(twins, centered=True)
    assert geometry.largest_cosine == pytest.approx(1)
    assert geometry.margin == pytest.approx(0, abs=1e-6)
    assert math.isnan(Geometry.of(torch.ones(K, D), centered=True).equinorm)


def test_any_dtype_and_a_graph():
    vectors = simplex().half().requires_grad_()
    geometry = Geometry.of(vectors, centered=True)
    assert geometry.equinorm == pytest.approx(0, abs=2e-3)
    assert geometry.cosines_KK.dtype == torch.float64
    assert not geometry.cosines_KK.requires_grad


def test_nearest_pairs_are_sorted_and_leave_absent_classes_out():
    vectors = random(K, D)
    present = torch.arange(K) != 4
    cosines = Geometry.of(vectors, present, centered=True).cosines_KK
    pairs = nearest_pairs(cosines, 100)
    assert len(pairs) == 10
    assert {k for pair in pairs for k in pair[:2]} == {0, 1, 2, 3, 5}
    assert [pair.cosine for pair in pairs] == sorted((p.cosine for p in pairs), reverse=True)
    for first, second, cosine in pairs:
        assert first < second
        assert cosine == cosines[first, second]
    assert nearest_pairs(cosines, 3) == pairs[:3]
    assert nearest_pairs(torch.full((4, 4), math.nan)) == []


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((random(K, D, 1),), {}, r"vectors_KD must be \(K, D\), got \(6, 9, 1\); the weight of"),
        ((random(K, D), torch.arange(K)), {}, r"must be bool .* the 6 vectors, got torch\.int64"),
        ((random(K, D), torch.ones(4) > 0), {}, r"must be bool with .* got torch\.bool \(4,\)"),
        ((random(K, D),), {"among": [0, 6, -1]}, r"class ids 0\.\.5, got \[-1, 6\]; remove"),
    ],
)
def test_invalid_inputs_are_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Geometry.of(*arguments, centered=True, **options)


def test_the_numbers_agree_with_numpy_in_float64():
    vectors = np.random.default_rng(0).normal(size=(K, D))
    expected = slow_geometry(dict(enumerate(vectors)), range(K))
    assert_numbers(Geometry.of(torch.from_numpy(vectors), centered=True), expected, 1e-12)
