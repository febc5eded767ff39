"""ClassDraw: class probabilities follow counts and power, samples contain the class."""

from collections import Counter

import pytest
import torch

from equiseg.data.class_draw import ClassDraw

# Class 3 occurs nowhere, class 2 only in the last sample.
COUNTS_SK = torch.tensor([[60, 4, 0, 0], [0, 5, 0, 0], [40, 0, 1, 0]])


def draws(power, number=2000):
    generator = torch.Generator().manual_seed(0)
    draw = ClassDraw(COUNTS_SK, power, (3, 4))
    return [draw(generator) for _ in range(number)]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_class_probabilities_follow_the_power_of_the_counts(power):
    weights = torch.tensor([100.0, 9.0, 1.0]).pow(-power)
    found = Counter(class_id for _, class_id in draws(power))
    expected = (2000 * weights / weights.sum()).tolist()
    assert [found[k] for k in range(3)] == pytest.approx(expected, abs=90)
    assert set(found) <= {0, 1, 2}


def test_samples_with_the_class_are_drawn_equally_often():
    found = Counter(draws(0.0))
    assert {(index, k) for index, k in found} == {(0, 0), (2, 0), (0, 1), (1, 1), (2, 2)}
    assert found[0, 0] == pytest.approx(found[2, 0], rel=0.25)


def test_among_the_classes_of_an_image():
    draw = ClassDraw(COUNTS_SK, 1.0, (3, 4))
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([[0, 0, 1], [255, 0, 0]], dtype=torch.uint8)
    found = Counter(draw.among(labels, generator) for _ in range(1000))
    assert set(found) == {0, 1}
    assert found[1] == pytest.approx(1000 * 100 / 109, abs=40)
    assert draw.among(torch.full((2, 2), -100), generator) is None
    assert draw.among(torch.full((2, 2), 3), generator) is None  # never counted, so never drawn


def test_the_result_depends_only_on_the_generator():
    state = torch.get_rng_state()
    assert draws(0.5, 50) == draws(0.5, 50)
    assert torch.equal(torch.get_rng_state(), state)


def test_counts_that_do_not_belong_to_the_data_are_refused():
    with pytest.raises(ValueError, match=r"\(samples, classes\) = \(3, 4\), got None; count"):
        ClassDraw(None, 0.0, (3, 4))
    with pytest.raises(ValueError, match=r"= \(4, 3\), got \(3, 4\)"):
        ClassDraw(COUNTS_SK, 0.0, (4, 3))
    with pytest.raises(ValueError, match="got 0 of every class"):
        ClassDraw(torch.zeros(3, 4), 0.0, (3, 4))
