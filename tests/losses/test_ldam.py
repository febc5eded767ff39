import math

import pytest
import torch

from equiseg.losses import CrossEntropyLoss, LdamLoss, WeightedCrossEntropyLoss
from golden import LABELS, LOGITS, points

COUNTS = (256, 16, 1)  # margins 1/2, 1 and 2


def test_golden_value():
    first = math.log(1 + math.exp(1 / 2))
    second = math.log(1 + 3 * math.exp(2))
    third = math.log(1 + math.exp(2) / 3)
    expected = (first + second + third) / 3
    assert LdamLoss(3, class_counts=COUNTS)(LOGITS, LABELS).item() == pytest.approx(expected)
    assert expected == pytest.approx(1.7863, abs=5e-5)


def test_margin_and_scale_as_published():
    first = math.log(1 + 2 * math.exp(30 / 8) / 2**30)
    second = math.log(1 + math.exp(15) * (1 + 2**30))
    third = math.log(1 + 2 * math.exp(15) / 6**30)
    expected = (first + second + third) / 3
    loss = LdamLoss(3, class_counts=COUNTS, max_margin=0.5, scale=30)  # margins 1/8, 1/4 and 1/2
    assert loss(LOGITS, LABELS).item() == pytest.approx(expected)


def test_margins_grow_with_rarity_up_to_the_largest():
    torch.testing.assert_close(
        LdamLoss(3, class_counts=COUNTS).margin_K, torch.tensor([1 / 2, 1.0, 2.0])
    )
    shares = torch.tensor(COUNTS) / sum(COUNTS)
    torch.testing.assert_close(
        LdamLoss(3, class_counts=shares).margin_K, torch.tensor([1 / 2, 1.0, 2.0])
    )


def test_without_margin_it_is_cross_entropy():
    loss = LdamLoss(5, class_counts=(1, 2, 3, 4, 5), max_margin=0)
    torch.testing.assert_close(loss(*points(5)), CrossEntropyLoss(5)(*points(5)))


def test_reweighting_waits_until_it_is_called_and_is_saved():
    weight = (1, 2, 3, 4, 5)
    loss = LdamLoss(5, class_counts=weight, max_margin=0)
    loss.reweight(weight)
    expected = WeightedCrossEntropyLoss(5, class_weight=weight)(*points(5))
    torch.testing.assert_close(loss(*points(5)), expected)
    resumed = LdamLoss(5, class_counts=weight, max_margin=0)
    assert resumed(*points(5)) != expected
    resumed.load_state_dict(loss.state_dict())
    torch.testing.assert_close(resumed(*points(5)), expected)
    with pytest.raises(ValueError, match=r"weight must hold one number per class, shape \(5,\)"):
        loss.reweight((1, 2))


def test_reweighting_reaches_compiled_code():
    torch.compiler.reset()
    loss = LdamLoss(5, class_counts=(1, 2, 3, 4, 5))
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    before = compiled(*points(5))
    loss.reweight((1, 2, 3, 4, 5))
    after = compiled(*points(5))
    assert after != before
    torch.testing.assert_close(after, loss(*points(5)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_margin": -0.5}, r"max_margin must be a finite number >= 0, got -0\.5"),
        ({"scale": 0}, "scale must be a finite number > 0, got 0"),
        ({"class_counts": (4, 0, 1)}, r"class_counts must be positive .* 0\.0 for class 1"),
    ],
    ids=str,
)
def test_arguments_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LdamLoss(**{"num_classes": 3, "class_counts": COUNTS, **options})
