import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.image_inference import predict_logits


def local(images: Tensor) -> Tensor:
    """A model that looks at nothing but the pixel, at stride 2."""
    return F.avg_pool2d(torch.cat([images, 1 - images], 1), 2)


def pixelwise(images: Tensor) -> Tensor:
    return torch.cat([images, 1 - images], 1) * 4


def test_one_whole_view_is_the_models_own_output():
    images = torch.rand(2, 3, 20, 30)
    expected = F.interpolate(local(images), (20, 30), mode="bilinear")
    assert torch.equal(predict_logits(local, images, EvaluationConfig()), expected)


@pytest.mark.parametrize("size", [(20, 30), (21, 33), (8, 8)])
@pytest.mark.parametrize("stride", [None, (5, 7)])
def test_windows_of_a_pixelwise_model_give_the_whole_image(size, stride):
    images = torch.rand(1, 3, *size)
    config = EvaluationConfig(window=(8, 10), stride=stride)
    windows = predict_logits(pixelwise, images, config)
    assert torch.allclose(windows, pixelwise(images).log_softmax(1), atol=1e-5)


def test_the_mirrored_view_comes_back():
    images = torch.rand(1, 3, 12, 16)
    flipped = predict_logits(pixelwise, images, EvaluationConfig(flip=True))
    assert torch.allclose(flipped, pixelwise(images).log_softmax(1), atol=1e-5)


def test_scales_are_averaged_as_probabilities():
    images = torch.rand(1, 3, 40, 48)
    config = EvaluationConfig(scales=(1.0, 1.5))
    larger = pixelwise(F.interpolate(images, (60, 72), mode="bilinear"))
    views = [pixelwise(images), F.interpolate(larger, (40, 48), mode="bilinear")]
    mean = sum(view.softmax(1) for view in views) / 2
    assert torch.allclose(predict_logits(pixelwise, images, config), mean.log(), atol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (EvaluationConfig(scales=()), "scales must be positive"),
        (EvaluationConfig(window=(0, 5)), "window must be at least 1"),
        (EvaluationConfig(stride=(4, 4)), "stride needs evaluation.window"),
        (EvaluationConfig(window=(4, 8), stride=(5, 8)), "stride must not exceed the window"),
    ],
)
def test_configurations_that_cannot_work(config, message):
    with pytest.raises(ValueError, match=message):
        predict_logits(pixelwise, torch.rand(1, 3, 8, 8), config)
