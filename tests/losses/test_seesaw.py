import math

import pytest
import torch

from equiseg.losses import CrossEntropyLoss, SeesawLoss
from golden import LABELS, LOGITS, points
from reference.slow_seesaw import seesaw, seesaw_gradient

OPTIONS = [{}, {"mitigation": 0.0}, {"compensation": 0.0}, {"mitigation": 2.0, "compensation": 0.5}]


def test_golden_value():
    # Counted first: one pixel of class 0, two of class 2. Pixels of class 2 push the other two
    # at 2^-0.8; the second is taken for class 1, twice as probable, which gives back 2^2.
    half = 2**-0.8
    second = math.log((1 / 4 + half / 4 + 4 * half / 2) * 4)
    third = math.log((3 / 4 + half / 4) * 4 / 3)
    expected = (math.log(2) + second + third) / 3
    assert SeesawLoss(3)(LOGITS, LABELS).item() == pytest.approx(expected)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_value_and_gradient_after_steps_of_training(options, compiled):
    torch.compiler.reset()
    loss = SeesawLoss(5, **options)
    call = torch.compile(loss, fullgraph=True, backend="aot_eager") if compiled else loss
    for seed in (1, 2):
        call(*points(5, seed=seed))
    logits, labels = points(5, torch.float64)
    value = call(logits, labels)
    value.backward()
    counts = sum(
        torch.bincount(points(5, seed=seed)[1], minlength=256)[:5] for seed in (0, 1, 2)
    ).tolist()
    assert loss.counts_K.tolist() == counts
    settings = {"mitigation": 0.8, "compensation": 2.0, **options}
    known = labels != 255
    assert value.item() == pytest.approx(seesaw(logits, labels, counts, **settings), rel=1e-6)
    expected = torch.from_numpy(seesaw_gradient(logits, labels, counts, **settings))
    torch.testing.assert_close(logits.grad[known], expected, rtol=1e-6, atol=1e-8)
    assert not logits.grad[~known].any()


def test_nothing_is_counted_in_evaluation():
    loss = SeesawLoss(5)
    loss(*points(5, seed=1))
    before = loss.counts_K.clone()
    loss.eval()(*points(5))
    assert torch.equal(loss.counts_K, before)


def test_every_labelled_point_of_a_voxel_is_counted():
    loss = SeesawLoss(3)
    inverse = torch.tensor([0, 0, 0, 1])
    loss(LOGITS[:2], LABELS, inverse=inverse)
    assert loss.counts_K.tolist() == [1, 0, 2]


def test_without_both_factors_it_is_cross_entropy():
    loss = SeesawLoss(5, mitigation=0, compensation=0)
    torch.testing.assert_close(loss(*points(5)), CrossEntropyLoss(5)(*points(5)))


@pytest.mark.parametrize("name", ["mitigation", "compensation"])
def test_arguments_that_cannot_work_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be a finite number >= 0, got -1"):
        SeesawLoss(3, **{name: -1})
