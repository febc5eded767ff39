"""Collapse measures: zero at collapse, the sums of the papers elsewhere."""

import dataclasses
import math

import pytest
import torch

from equiseg import FrequencyGroups, simplex_etf
from equiseg.collapse import ClassMoments, CollapseMeasures, Geometry, measures_by_group
from reference.slow_measures import slow_measures

K, D = 6, 9
NC1 = ("nc1_pinv", "nc1_svd", "nc1_ratio", "cdnv")
NC2 = ("equinorm", "equiangularity", "maximal_separation", "etf_error")
ZERO = (*NC1, *NC2, "self_duality")


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def simplex():
    return simplex_etf(K, D, dtype=torch.float64)


def points(dim=D, absent=(), seed=0):
    """About 25 points a class, more of the first ones, each class about a center of its own."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.tensor([0.0 if k in absent else 1 / (k + 1) for k in range(K)])
    labels = torch.multinomial(shares, 150, replacement=True, generator=generator)
    features = random(K, dim, seed=seed)[labels] + 0.3 * random(150, dim, seed=seed + 1)
    return features + 2, labels


def moments_of(features, labels, num_classes=K):
    moments = ClassMoments.zeros(num_classes, features.shape[1])
    moments.update(features, labels)
    return moments


def collapsed(centers):
    """Moments of two equal points a class."""
    return moments_of(centers.repeat(2, 1), torch.arange(len(centers)).repeat(2), len(centers))


def rows_by_class(features, labels):
    return [features[labels == k].numpy() for k in range(K)]


def everything(measures):
    """The numbers, and the margins that are computed only when asked for."""
    numbers = measures.numbers() | {"margin": measures.margin}
    if measures.classifier is not None:
        numbers["classifier_margin"] = measures.classifier.margin
    return numbers


def assert_numbers(measures, expected, tolerance=1e-10):
    numbers = everything(measures)
    assert numbers.keys() == expected.keys()
    for name, value in expected.items():
        near = pytest.approx(value, rel=tolerance, abs=tolerance, nan_ok=True)
        assert numbers[name] == near, name


def test_a_simplex_anywhere_and_its_classifier_are_collapsed():
    measures = CollapseMeasures.of(collapsed(3 * simplex() + random(D)), 0.1 * simplex())
    for name in ZERO:
        assert getattr(measures, name) == pytest.approx(0, abs=1e-12), name
    for name in NC2:
        assert getattr(measures.classifier, name) == pytest.approx(0, abs=1e-12), name
    assert measures.num_present == measures.classifier.num_present == K


@pytest.mark.parametrize("dim", [3, 9])
@pytest.mark.parametrize("absent", [(), (2,), (0, 4)])
@pytest.mark.parametrize("among", [None, [0, 1, 2], [5, 3]])
@pytest.mark.parametrize("average", ["class", "pixel"])
def test_measures_equal_slow_loops_over_pixels(dim, absent, among, average):
    features, labels = points(dim, absent, seed=dim)
    classifier = random(K, dim, seed=5)
    moments = moments_of(features, labels)
    measures = CollapseMeasures.of(moments, classifier, average=average, among=among)
    rows_of = rows_by_class(features, labels)
    expected = slow_measures(rows_of, classifier.numpy(), among, average)
    inside = [name for name in ("margin", "classifier_margin") if expected[name] < 1e-7]
    for name in inside:  # of the others' hull: as near to 0 as a root comes
        assert everything(measures)[name] == pytest.approx(0, abs=1e-6)
        expected[name] = everything(measures)[name]
    assert_numbers(measures, expected)


def test_without_a_classifier_there_is_no_duality():
    features, labels = points()
    measures = CollapseMeasures.of(moments_of(features, labels))
    assert_numbers(measures, slow_measures(rows_by_class(features, labels)))
    assert measures.classifier is None
    assert math.isnan(measures.self_duality)


def test_absent_classes_change_nothing():
    features, labels = points()
    classifier = random(K, D, seed=3)
    classifier -= classifier.mean(0)  # a row more moves their mean, unless it lies there
    measures = CollapseMeasures.of(moments_of(features, labels), classifier)
    moved = torch.tensor([0, 1, 3, 4, 6, 7])[labels]
    rows = torch.zeros(8, D, dtype=torch.float64)
    rows[[0, 1, 3, 4, 6, 7]] = classifier
    with_absent = CollapseMeasures.of(moments_of(features, moved, 8), rows)
    expected = everything(measures)
    assert_numbers(with_absent, expected, 1e-12)


def test_measures_are_invariant_to_scale_rotation_and_shift():
    features, labels = points()
    classifier, turn = random(K, D, seed=1), torch.linalg.qr(random(D, D)).Q
    expected = everything(CollapseMeasures.of(moments_of(features, labels), classifier))
    turned = moments_of(7 * features @ turn + random(D, seed=2), labels)
    numbers = everything(CollapseMeasures.of(turned, 0.2 * classifier @ turn))
    for name in ZERO:
        assert expected[name] > 0.01, name
        assert numbers[name] == pytest.approx(expected[name], rel=1e-9), name


def test_the_order_of_classes_does_not_matter():
    features, labels = points(absent=(3,))
    classifier, order = random(K, D, seed=1), random(K).argsort()
    expected = everything(CollapseMeasures.of(moments_of(features, labels), classifier))
    shuffled = moments_of(features, order.argsort()[labels])
    assert_numbers(CollapseMeasures.of(shuffled, classifier[order]), expected, 1e-9)


def test_the_three_forms_of_nc1_in_numbers():
    # Four points at distance 0.3 about each of two centers at distance 2, in the plane.
    offsets = 0.3 * torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    features = torch.cat([offsets + offsets.new_tensor([x, 0]) for x in (-1, 1)])
    moments = moments_of(features, torch.tensor([0] * 4 + [1] * 4), 2)
    measures = CollapseMeasures.of(moments)
    assert measures.nc1_svd == pytest.approx(0.09 / 2)  # along the line, where the centers have 1
    assert measures.nc1_pinv == pytest.approx(0.09 / 4)
    assert measures.nc1_ratio == pytest.approx(0.09)
    assert measures.cdnv == pytest.approx(0.09 / 4)


def test_a_direction_without_centers_enters_nc1_svd_alone():
    centers = torch.tensor([[-1.0, 1e-12], [0, -2e-12], [1, 1e-12]], dtype=torch.float64)
    features = torch.cat([centers + shift for shift in (0.1, -0.1)])
    measures = CollapseMeasures.of(moments_of(features, torch.arange(3).repeat(2), 3))
    assert measures.nc1_pinv == pytest.approx(0.01 * 3 / 2 / 3, rel=1e-6)
    assert measures.nc1_svd > 1e12


def test_groups_average_to_the_whole():
    features, labels = points()
    moments = moments_of(features, labels)
    groups = FrequencyGroups(head=(0, 1), common=(2, 3), tail=(4, 5))
    classifier = random(K, D)
    of_groups = measures_by_group(moments, groups, classifier)
    assert list(of_groups) == ["head", "common", "tail"]
    whole = CollapseMeasures.of(moments, classifier)
    for name in ("nc1_pinv", "nc1_svd", "nc1_ratio"):
        mean = sum(getattr(measures, name) for measures in of_groups.values()) / 3
        assert mean == pytest.approx(getattr(whole, name)), name
    assert min(measures.margin for measures in of_groups.values()) == whole.margin
    assert [measures.num_present for measures in of_groups.values()] == [2, 2, 2]


def test_a_group_of_one_class_has_a_spread_and_no_pairs():
    features, labels = points()
    measures = CollapseMeasures.of(moments_of(features, labels), random(K, D), among=[3])
    undefined = {name for name, value in everything(measures).items() if math.isnan(value)}
    assert undefined.isdisjoint({"nc1_pinv", "nc1_svd", "nc1_ratio", "num_present"})
    assert undefined >= {"cdnv", "equinorm", "margin", "self_duality", "classifier_equinorm"}
    assert measures.num_present == 1


def test_one_convention_for_centers_and_classifier():
    features, labels = points()
    moments = moments_of(features, labels)
    shifted = CollapseMeasures.of(moments, moments.centers_KD + 5)
    assert shifted.classifier.equinorm == pytest.approx(shifted.equinorm)
    assert isinstance(shifted.classifier, Geometry)


def test_self_duality_runs_from_0_to_4():
    moments = collapsed(simplex())
    assert CollapseMeasures.of(moments, -simplex()).self_duality == pytest.approx(4)
    assert CollapseMeasures.of(moments, 9 * simplex()).self_duality == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("num_present", [0, 1])
def test_fewer_than_two_classes_are_nan(num_present):
    features, labels = points()
    moments = moments_of(features, torch.where(labels < num_present, labels, 255))
    measures = CollapseMeasures.of(moments, random(K, D))
    numbers = everything(measures)
    assert numbers.pop("num_present") == num_present
    assert all(math.isnan(value) for value in numbers.values()), numbers


def test_diverged_features_give_nan_and_no_error():
    features, labels = points()
    features[labels == 2] = math.nan
    measures = CollapseMeasures.of(moments_of(features, labels), random(K, D))
    for name in (*NC1, "equinorm", "margin", "self_duality"):
        assert math.isnan(getattr(measures, name)), name
    assert measures.classifier.equinorm > 0


def test_numbers_are_plain_floats_for_a_log():
    features, labels = points()
    measures = CollapseMeasures.of(
        moments_of(features, labels), random(K, D), nearest_center_agreement=0.5
    )
    numbers = measures.numbers()
    assert numbers["nearest_center_agreement"] == 0.5
    assert numbers["equinorm"] == measures.equinorm
    assert numbers["classifier_equinorm"] == measures.classifier.equinorm
    assert all(isinstance(value, (int, float)) for value in numbers.values())
    with pytest.raises(dataclasses.FrozenInstanceError):
        measures.equinorm = 0.0


def test_a_classifier_may_carry_a_graph():
    classifier = simplex().requires_grad_()
    measures = CollapseMeasures.of(collapsed(simplex()), classifier)
    assert measures.self_duality == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("classifier", "options", "message"),
    [
        (
            simplex()[:, :3],
            {},
            r"have the shape of the centers \(6, 9\), got \(6, 3\); pass weight",
        ),
        (None, {"among": [7]}, r"among must hold class ids 0\.\.5, got \[7\]; remove"),
        (None, {"average": "image"}, r"average must be 'class' or 'pixel', got 'image'"),
    ],
)
def test_invalid_inputs_are_refused(classifier, options, message):
    with pytest.raises(ValueError, match=message):
        CollapseMeasures.of(collapsed(simplex()), classifier, **options)
