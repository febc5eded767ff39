import pytest
import torch
from torch import nn

from equiseg.models import build_model
from equiseg.models.batch_norm import advises_on_batch_norm


def test_one_value_per_channel_is_explained():
    model = build_model("fpn-small", 5).train()
    with pytest.raises(
        ValueError, match=r"a batch of shape \(1, 3, 32, 32\) .* larger batches \(batch_size\)"
    ):
        model(torch.rand(1, 3, 32, 32))
    model(torch.rand(2, 3, 32, 32))
    model.eval()(torch.rand(1, 3, 32, 32))


def test_other_errors_pass():
    class Net(nn.Module):
        @advises_on_batch_norm
        def forward(self, inputs):
            raise ValueError("another")

    with pytest.raises(ValueError, match=r"^another$"):
        Net()(torch.zeros(1))
