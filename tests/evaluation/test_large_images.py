"""Large images are predicted as small ones are, in parts."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from equiseg.data.images.decoded import DecodedImage, image_size
from equiseg.evaluation import image_files, large_images, photo_prediction
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.image_files import read_photo
from equiseg.evaluation.image_inference import predict_logits
from equiseg.evaluation.large_images import from_small_logits, in_windows, window_config
from equiseg.evaluation.photo_prediction import PredictedPhoto, predict_photo
from equiseg.imbalance import FrequencyGroups
from equiseg.metrics.predictions import most_likely
from equiseg.runs.weights import ModelCard


class Local(nn.Module):
    """Three classes from the 5 x 5 neighbours of a pixel, at stride 2."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 3, 5, 2, 2)

    def forward(self, images):
        return 30 * self.convolution(images)


CARD = ModelCard("m", ("a", "b", "c"), 255, None, FrequencyGroups.from_counts([3, 2, 1]))


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (150, 210, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def predicted(file, config, card=CARD, tell=lambda _: None) -> PredictedPhoto:
    return predict_photo(Local(), card, read_photo(card, config, file), config, tell=tell)


@torch.inference_mode()
@pytest.mark.parametrize("band_bytes", [1 << 28, 1])
def test_windows_of_a_large_image_are_those_of_a_small_one(band_bytes, picture, monkeypatch):
    monkeypatch.setattr(large_images, "_BAND_BYTES", band_bytes)
    config = EvaluationConfig(window=(64, 80), stride=(40, 60))
    model = Local()
    pixels = torch.from_numpy(np.asarray(Image.open(picture)).transpose(2, 0, 1).copy())
    ids, shares = most_likely(predict_logits(model, pixels[None].float() / 255, config))
    found = in_windows(model, DecodedImage(picture), 3, config, confidence=True)
    assert (found.labels == ids[0]).float().mean() > 0.999  # but for rounding
    assert (found.confidence.float() / 255 - shares[0]).abs().max() < 0.01


def test_logits_are_resized_in_bands_as_whole(monkeypatch):
    monkeypatch.setattr(large_images, "_BAND_BYTES", 4000)
    logits = torch.randn(1, 3, 17, 23)
    found = from_small_logits(logits, (101, 64), confidence=True)
    ids, shares = most_likely(F.interpolate(logits, (101, 64), mode="bilinear"))
    assert (found.labels == ids[0]).float().mean() > 0.999
    assert (found.confidence.float() / 255 - shares[0]).abs().max() < 0.01


@pytest.mark.parametrize("size", [None, (64, 96)])
def test_a_large_image_says_how_it_is_predicted(size, picture, monkeypatch):
    monkeypatch.setattr(image_files, "LARGE_IMAGE", 10_000)
    monkeypatch.setattr(photo_prediction, "_SHOWN_SIDE", 60)
    card = ModelCard("m", CARD.classes, 255, size, CARD.groups)
    told = []
    found = predicted(picture, EvaluationConfig(), card, told.append)
    assert found.labels.shape == (150, 210)
    assert found.factor == 4
    assert found.image.shape == (3, 38, 53)
    how = "in windows of 1024x1024" if size is None else "at 64x96, as in training"
    assert told == [
        f"{picture}: 150x210 pixels (height x width), predicted {how}"
        f"{' (evaluation.window)' if size is None else ''}; its overlay is smaller by 4"
    ]


def test_windows_are_smaller_for_many_classes_and_take_no_scales():
    assert window_config(EvaluationConfig(), 20).window == (1024, 1024)
    assert window_config(EvaluationConfig(), 150).window == (256, 256)
    given = EvaluationConfig(window=(700, 600))
    assert window_config(given, 150) == given
    with pytest.raises(ValueError, match=r"evaluation\.scales=.* leave scales out"):
        window_config(EvaluationConfig(scales=(1.0, 2.0)), 3)


def test_a_strip_narrower_than_a_network_can_take(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "LARGE_IMAGE", 1000)
    Image.fromarray(np.zeros((5, 400, 3), np.uint8)).save(tmp_path / "a.png")
    found = predicted(tmp_path / "a.png", EvaluationConfig(flip=True))
    assert found.labels.shape == (5, 400)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "I;16"])
def test_parts_of_an_image_are_rgb(mode, tmp_path):
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    picture = Image.fromarray(grey.astype(np.uint16) << 8) if mode == "I;16" else None
    picture = picture or Image.fromarray(grey).convert(mode)
    picture.save(tmp_path / "a.png")
    image = DecodedImage(tmp_path / "a.png")
    assert image.size == image_size(tmp_path / "a.png") == (5, 7)
    part = image.part(1, 2, 3, 4)
    assert (part.dtype, part.shape) == (np.uint8, (3, 3, 4))
    assert image.reduced(2).shape == (3, 3, 4)
    if mode in ("L", "I;16"):
        assert part[0].tolist() == grey[1:4, 2:6].tolist()
        assert image.reduced(2)[0, 0, 0] == 4


def test_a_turned_photo_has_the_size_that_viewers_show(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert image_size(tmp_path / "a.jpg") == DecodedImage(tmp_path / "a.jpg").size == (30, 20)


@pytest.mark.parametrize(
    ("pixels", "config", "large"),
    [
        (40_000, {}, False),
        (25_000, {}, True),
        (40_000, {"flip": True}, True),  # two views take the memory of two images
        (70_000, {"flip": True}, False),
        (40_000, {"flip": True, "scales": (1.0, 1.5)}, False),
        (40_000, {"window": (64, 64)}, False),
    ],
)
def test_mirrored_images_are_large_sooner(pixels, config, large, picture, monkeypatch):
    monkeypatch.setattr(image_files, "LARGE_IMAGE", pixels)  # the picture has 31,500
    sentences = []
    found = predicted(picture, EvaluationConfig(**config), tell=sentences.append)
    assert found.labels.shape == (150, 210)
    assert bool(sentences) == large
    assert found.factor == 1
    assert all("predicted in windows of 1024x1024" in told for told in sentences)
    assert all("overlay" not in told for told in sentences)  # it has the size of the image
