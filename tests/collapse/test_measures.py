"""Collapse measures: zero at collapse, the sums of the paper elsewhere."""

import math

import pytest
import torch

from equiseg import simplex_etf
from equiseg.collapse import CollapseMeasures

K, D = 6, 9
ALL = torch.ones(K, dtype=torch.bool)
NC2 = ("equinorm", "equiangularity", "maximal_separation")
EVERY = (*NC2, "self_duality")


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def rotation(seed=0):
    return torch.linalg.qr(random(D, D, seed=seed)).Q


def simplex(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return simplex_etf(K, D, generator=generator, dtype=dtype)


def assert_collapsed(measures, names=EVERY, tolerance=1e-12):
    for name in names:
        assert abs(getattr(measures, name)) <= tolerance, name


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.float16, 2e-3)]
)
def test_a_simplex_anywhere_and_its_classifier_are_collapsed(dtype, tolerance):
    centers = (3 * simplex() + random(D)).to(dtype)
    measures = CollapseMeasures.of(centers, ALL, 0.1 * simplex())
    assert_collapsed(measures, tolerance=tolerance)
    assert measures.num_classes == K


@pytest.mark.parametrize("absent", [[0], [1, 4], [0, 2, 3, 5]])
def test_absent_classes_do_not_spoil_a_simplex(absent):
    centers, present = 2 * simplex() + random(D), ALL.clone()
    present[absent] = False
    centers[absent] = 0
    measures = CollapseMeasures.of(centers, present, simplex())
    assert_collapsed(measures)
    assert measures.num_classes == K - len(absent)
    assert CollapseMeasures.of(centers, ALL, simplex()).maximal_separation > 0.05


def test_measures_are_the_sums_of_the_paper():
    centers, classifier = random(K, D), random(K, D, seed=1)
    means = (centers - centers.mean(0)).tolist()
    norms = [math.sqrt(sum(x * x for x in row)) for row in means]
    cosines = [
        sum(x * y for x, y in zip(means[a], means[b], strict=True)) / norms[a] / norms[b]
        for a in range(K)
        for b in range(K)
        if a != b
    ]

    def mean(values):
        return sum(values) / len(values)

    def deviation(values):
        return math.sqrt(mean([(v - mean(values)) ** 2 for v in values]))

    size = math.sqrt(sum(n * n for n in norms))
    rows = (classifier / classifier.square().sum().sqrt()).flatten().tolist()
    flat = [x / size for row in means for x in row]
    measures = CollapseMeasures.of(centers, ALL, classifier)
    assert measures.equinorm == pytest.approx(deviation(norms) / mean(norms))
    assert measures.equiangularity == pytest.approx(deviation(cosines))
    assert measures.maximal_separation == pytest.approx(mean([abs(c + 1 / 5) for c in cosines]))
    assert measures.self_duality == pytest.approx(
        sum((a - b) ** 2 for a, b in zip(rows, flat, strict=True))
    )


def test_scale_rotation_and_place_do_not_matter():
    centers, classifier = random(K, D), random(K, D, seed=1)
    measures = CollapseMeasures.of(centers, ALL, classifier)
    turned = CollapseMeasures.of(
        7 * centers @ rotation() + random(D, seed=2), ALL, 0.2 * classifier @ rotation()
    )
    for name in EVERY:
        assert getattr(measures, name) > 0.05
        assert getattr(turned, name) == pytest.approx(getattr(measures, name), rel=1e-9)


def test_the_order_of_classes_does_not_matter():
    centers, classifier, order = random(K, D), random(K, D, seed=1), random(K).argsort()
    present = torch.tensor([True, True, False, True, True, False])
    measures = CollapseMeasures.of(centers, present, classifier)
    shuffled = CollapseMeasures.of(centers[order], present[order], classifier[order])
    for name in EVERY:
        assert getattr(shuffled, name) == pytest.approx(getattr(measures, name), rel=1e-9)


def test_each_measure_sees_its_own_flaw():
    longer = simplex() * torch.linspace(1, 2, K, dtype=torch.float64).unsqueeze(1)
    longer = torch.cat([longer, -longer])  # centered by symmetry: only the norms differ
    assert CollapseMeasures.of(longer, torch.ones(2 * K, dtype=torch.bool)).equinorm > 0.1
    one_line = torch.outer(torch.arange(4.0), torch.ones(D))
    in_a_line = CollapseMeasures.of(one_line, torch.ones(4, dtype=torch.bool))
    assert in_a_line.equiangularity == pytest.approx(math.sqrt(1 - 1 / 9))
    assert in_a_line.maximal_separation == pytest.approx((2 / 3 * 2 + 4 / 3) / 3, rel=1e-6)


def test_self_duality_runs_from_0_to_4():
    assert CollapseMeasures.of(simplex(), ALL, -simplex()).self_duality == pytest.approx(4)
    assert math.isnan(CollapseMeasures.of(simplex(), ALL).self_duality)


def test_centers_may_carry_a_graph():
    centers = simplex().requires_grad_()
    assert_collapsed(CollapseMeasures.of(centers, ALL, centers))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((simplex(), ~ALL), r"present_K must name at least 2 classes, got 0; "),
        ((simplex(), torch.arange(K) == 2), r"present_K must name at least 2 classes, got 1"),
        ((simplex(), torch.arange(K)), r"must be bool .* the 6 centers, got torch\.int64 \(6,\)"),
        ((simplex(), ALL[:4]), r"present_K must be bool with .* got torch\.bool \(4,\)"),
        (
            (simplex(), ALL, simplex()[:, :3]),
            r"classifier_KD must be shaped as the centers \(6, 9\), got \(6, 3\); pass",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CollapseMeasures.of(*arguments)
