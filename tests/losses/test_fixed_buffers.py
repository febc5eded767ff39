"""Frames, priors and other vectors of the arguments are in no state dict."""

import copy
import pickle

import pytest
import torch
from torch import nn

from equiseg.losses import (
    CenterCollapseLoss,
    DotRegressionLoss,
    EqualizationLoss,
    FixedClassifierLoss,
    FocalLoss,
    LdamLoss,
    LogitAdjustedLoss,
    WeightedCrossEntropyLoss,
)
from equiseg.losses.fixed_buffers import fixed_buffers_of

SHARES = (0.5, 0.2, 0.15, 0.1, 0.05)
STATELESS = {
    "center collapse": lambda: CenterCollapseLoss(5, 8),
    "with a prior": lambda: CenterCollapseLoss(5, 8, prior=SHARES),
    "frozen projection": lambda: CenterCollapseLoss(5, 8, projection=("frozen", 16)),
    "a numerical code": lambda: CenterCollapseLoss(9, 3),
    "dot regression": lambda: DotRegressionLoss(5, 8),
    "fixed classifier": lambda: FixedClassifierLoss(5, 8),
    "focal": lambda: FocalLoss(5, class_weight=SHARES),
    "equalization": lambda: EqualizationLoss(5, prior=SHARES),
    "logit adjusted": lambda: LogitAdjustedLoss(5, prior=SHARES),
    "weighted": lambda: WeightedCrossEntropyLoss(5, class_weight=SHARES),
}


class Model(nn.Module):
    def __init__(self, loss=None):
        super().__init__()
        self.net, self.loss = nn.Conv2d(3, 8, 1), loss


@pytest.mark.parametrize("kind", STATELESS)
def test_a_loss_is_added_and_dropped_with_strict_loading(kind):
    build = STATELESS[kind]
    Model(build()).load_state_dict(Model().state_dict())
    Model().load_state_dict(Model(build()).state_dict())


@pytest.mark.parametrize("kind", STATELESS)
def test_an_older_state_dict_with_them_is_taken_and_bit_equal(kind):
    model = Model(STATELESS[kind]())
    older = model.state_dict() | fixed_buffers_of(model)
    assert len(older) > len(model.state_dict())
    changed = {name: value + 1 for name, value in older.items()}
    model.load_state_dict(changed)
    for name, value in fixed_buffers_of(model).items():
        assert torch.equal(value, changed[name])
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    torch.testing.assert_close(fixed_buffers_of(twin), fixed_buffers_of(model), rtol=0, atol=0)


def test_they_move_with_the_module():
    loss = CenterCollapseLoss(5, 8, prior=SHARES).double()
    assert all(value.dtype == torch.float64 for value in fixed_buffers_of(loss).values())


def test_weights_that_change_in_training_are_saved():
    assert list(LdamLoss(5, class_counts=(5, 4, 3, 2, 1)).state_dict()) == ["weight_K"]


def test_unknown_keys_are_still_refused():
    with pytest.raises(RuntimeError, match="Unexpected key"):
        CenterCollapseLoss(5, 8).load_state_dict({"frame": torch.zeros(5, 8)})
