import math
from unittest.mock import Mock

import pytest
import torch

from equiseg.losses import CrossEntropyLoss, EqualizationLoss
from equiseg.losses import equalization as equalization_module
from equiseg.losses.equalization import _drawn
from golden import LABELS, LOGITS, points
from reference.slow_equalization import equalization

PRIOR = (0.6, 0.3, 0.06, 0.02, 0.02)


def test_golden_value():
    # Class 2 is rare: where it is not the label, a tenth of it stays in the denominator.
    expected = (math.log(2 * (3 / 4 + 1 / 40)) + math.log(4) + math.log(4 / 3)) / 3
    loss = EqualizationLoss(3, prior=(0.8, 0.16, 0.04)).eval()
    assert loss(LOGITS, LABELS).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tail_share", "rare"),
    [(0, ()), (0.03, ()), (0.05, (3, 4)), (0.2, (2, 3, 4)), (1, (0, 1, 2, 3, 4))],
)
def test_the_rarest_classes_up_to_the_tail_share_are_rare(tail_share, rare):
    loss = EqualizationLoss(5, prior=PRIOR, tail_share=tail_share)
    assert tuple(loss.rare_K.nonzero().flatten().tolist()) == rare


@pytest.mark.parametrize("unit", [1, 0.01, 1000, 123457])
def test_shares_and_counts_name_the_same_classes(unit):
    prior = [unit * share for share in (0.95, 0.05)]
    assert EqualizationLoss(2, prior=prior).rare_K.tolist() == [0, 1]


def test_without_rare_classes_it_is_cross_entropy():
    loss = EqualizationLoss(5, prior=PRIOR, tail_share=0)
    torch.testing.assert_close(loss(*points(5)), CrossEntropyLoss(5)(*points(5)))


def test_training_draws_for_each_pixel_and_class():
    logits, labels = points(5)
    loss = EqualizationLoss(5, prior=PRIOR, gamma=0.6)
    torch.manual_seed(0)
    drawn = torch.zeros(40, 5, dtype=torch.bool)
    drawn[:, 3:] = _drawn(torch.full((2, 1), 0.6), torch.Size((2, 40))).T  # however logits lie
    torch.manual_seed(0)
    value = loss(logits, labels)
    known = labels != 255
    expected = equalization(logits, labels, {3, 4}, drawn=drawn[known].numpy())
    assert value.item() == pytest.approx(expected, rel=1e-5)
    value.backward()
    rare_elsewhere = (torch.arange(5) > 2) & (torch.arange(5) != labels.unsqueeze(1))
    left_out = drawn & rare_elsewhere
    assert left_out.any()
    assert torch.equal(logits.grad == 0, left_out | ~known.unsqueeze(1))


@pytest.mark.parametrize("gamma", [0, 0.1, 0.9, 1 - 1e-9])
def test_the_share_of_the_draws_is_gamma(gamma):
    torch.manual_seed(0)
    drawn = _drawn(torch.full((5, 1), gamma), torch.Size((5, 99_999)))
    assert drawn.shape == (5, 99_999)
    assert drawn.double().mean().item() == pytest.approx(gamma, abs=2e-3)
    alike = (drawn[0] == drawn[1]).double().mean().item()  # rows do not depend on each other
    assert alike == pytest.approx(gamma**2 + (1 - gamma) ** 2, abs=5e-3)


def test_only_rare_rows_are_drawn(monkeypatch):
    drawn = Mock(wraps=_drawn)
    monkeypatch.setattr(equalization_module, "_drawn", drawn)
    EqualizationLoss(5, prior=PRIOR)(*points(5))
    assert [call.args[1] for call in drawn.call_args_list] == [(2, 40)]


def test_the_draw_compiles():
    torch.compiler.reset()
    logits, labels = points(5)
    loss = torch.compile(EqualizationLoss(5, prior=PRIOR), fullgraph=True, backend="aot_eager")
    loss(logits, labels).backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tail_share": 5}, "tail_share must be a share from 0 to 1, got 5"),
        ({"gamma": 1}, "gamma must be a probability from 0 to below 1, got 1"),
    ],
    ids=str,
)
def test_arguments_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EqualizationLoss(5, prior=PRIOR, **options)
