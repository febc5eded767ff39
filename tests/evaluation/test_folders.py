"""Many files: those that fail do not stop the others."""

import errno
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from equiseg.data.errors import DataError
from equiseg.evaluation import folders, image_files
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.file_threads import _AHEAD, _BEHIND
from equiseg.evaluation.finite_logits import NonFiniteError, finite_logits
from equiseg.evaluation.folders import FilePredictor
from equiseg.imbalance import FrequencyGroups
from equiseg.models.sparse import SparseTensor
from equiseg.runs.weights import ModelCard

CARD = ModelCard("m", ("a", "b"), 255, None, FrequencyGroups.from_counts([2, 1]))


def network(scale: float = 1.0) -> nn.Sequential:
    layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1))
    layers[1].weight.data.fill_(scale)
    return layers


@pytest.fixture
def photos(tmp_path):
    for name in ("a", "b", "c"):
        Image.fromarray(np.full((40, 40, 3), 9, np.uint8)).save(tmp_path / f"{name}.png")
    for name in ("._a.png", "Thumbs.db", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def predicted(photos, **model) -> tuple[list[str], Exception | None]:
    names = []
    predictor = FilePredictor(network(**model), CARD, EvaluationConfig())
    try:
        predictor.images([photos], lambda image: names.append(image.name))
    except DataError as error:
        return sorted(names), error
    return sorted(names), None


def test_hidden_and_other_files_are_left_out(photos):
    assert predicted(photos) == (["a", "b", "c"], None)


def test_sources_and_files_that_fail_are_named_at_the_end(photos):
    (photos / "b.png").write_bytes(b"no image")
    names = []
    predictor = FilePredictor(network(), CARD, EvaluationConfig())
    with pytest.raises(DataError, match=r"(?s)not predicted \(2\).*gone.*b\.png: ") as caught:
        predictor.images([photos / "gone", photos], lambda image: names.append(image.name))
    assert sorted(names) == ["a", "c"]
    assert caught.value.unforeseen is None


@pytest.mark.parametrize(
    "error", [MemoryError(), KeyError("x"), OSError(errno.EIO, "Input/output error")]
)
@pytest.mark.parametrize("step", ["read_photo", "predict_photo"])
def test_any_error_of_one_file_is_told_with_its_name(step, error, photos, monkeypatch):
    usual = getattr(folders, step)

    def sometimes(*given, **options):
        if any("b.png" in str(getattr(part, "file", part)) for part in given):
            raise error
        return usual(*given, **options)

    monkeypatch.setattr(folders, step, sometimes)
    names, told = predicted(photos)
    assert names == ["a", "c"]
    assert "b.png: " in str(told)
    assert told.unforeseen is (error if isinstance(error, KeyError) else None)


def test_a_prediction_that_cannot_be_written_does_not_stop_the_others(photos):
    for name in "defgh":
        Image.fromarray(np.full((40, 40, 3), 9, np.uint8)).save(photos / f"{name}.png")
    names = []

    def write(image):
        if image.name in "bg":
            raise ValueError(f"{image.name} is broken")
        names.append(image.name)

    with pytest.raises(DataError, match=r"(?s)\(2\):.*b\.png.*b is broken.*g\.png") as caught:
        FilePredictor(network(), CARD, EvaluationConfig()).images([photos], write)
    assert sorted(names) == list("acdefh")
    assert str(caught.value.unforeseen) == "b is broken"


@pytest.mark.parametrize("step", ["read_photo", "predict_photo"])
def test_a_full_disk_ends_at_once(step, photos, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "masks/a.png")

    monkeypatch.setattr(folders, step, full)
    with pytest.raises(OSError, match="No space left"):
        predicted(photos)


def test_few_images_are_in_memory_at_a_time(photos):
    """Reading waits for the network, and the network for the writers."""
    for number in range(30):
        Image.fromarray(np.full((40, 40, 3), 9, np.uint8)).save(photos / f"{number}.png")
    read, written, most = [], [], []
    usual = folders.read_photo

    def counted(*given):
        read.append(1)
        most.append(len(read) - len(written))
        return usual(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folders, "read_photo", counted)
        predictor = FilePredictor(network(), CARD, EvaluationConfig())
        predictor.images([photos], lambda image: (time.sleep(0.01), written.append(image.name)))
    assert len(read) == len(written) == 33
    assert max(most) <= _AHEAD + _BEHIND + 2


def test_no_file_is_begun_after_an_interruption(photos):
    """Files that are being written are finished, and nothing runs on."""
    for number in range(20):
        Image.fromarray(np.full((40, 40, 3), 9, np.uint8)).save(photos / f"{number}.png")
    begun, written = [], []

    def write(image):
        begun.append(image.name)
        time.sleep(0.05)
        written.append(image.name)

    def interrupted(files, _):
        for place, file in enumerate(files):
            if place == 5:
                raise KeyboardInterrupt
            yield file

    predictor = FilePredictor(network(), CARD, EvaluationConfig())
    with pytest.raises(KeyboardInterrupt):
        predictor.images([photos], write, interrupted)
    assert sorted(begun) == sorted(written)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("files")]


def test_a_large_image_is_predicted_alone(photos, monkeypatch):
    monkeypatch.setattr(image_files, "LARGE_IMAGE", 5000)
    Image.fromarray(np.full((80, 80, 3), 9, np.uint8)).save(photos / "b.png")
    events = []
    usual = folders.predict_photo

    def told(model, card, photo, config, **options):
        events.append(f"predict {photo.file.stem}")
        return usual(model, card, photo, config, **options)

    def write(image):
        time.sleep(0.05)
        events.append(f"wrote {image.name}")

    monkeypatch.setattr(folders, "predict_photo", told)
    FilePredictor(network(), CARD, EvaluationConfig()).images([photos], write)
    assert events == [f"{what} {name}" for name in "abc" for what in ("predict", "wrote")]


def test_a_network_that_computes_nan_ends_at_once_and_names_its_layer(photos):
    with pytest.raises(NonFiniteError, match=r"first after its layer 1; .* optimizer\.lr"):
        predicted(photos, scale=float("inf"))


def test_the_input_is_named_where_it_is_not_finite():
    with pytest.raises(NonFiniteError, match="input of the network"):
        finite_logits(network(), torch.full((1, 3, 2, 2), torch.nan))


def test_layers_of_voxels_are_named_too():
    class Features(nn.Module):
        def forward(self, x):
            return SparseTensor.on(x.voxels, x.features / 0)

    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = Features()

        def forward(self, x):
            return self.first(x).features

    voxels = SparseTensor(torch.zeros(1, 4, dtype=torch.int64), torch.ones(1, 2))
    with pytest.raises(NonFiniteError, match="layer first"):
        finite_logits(Sparse(), voxels)


def test_another_number_of_channels_is_refused_before_any_file():
    card = ModelCard("m", ("a", "b"), 255, None, CARD.groups, {"in_channels": 4})
    with pytest.raises(ValueError, match="this network takes 4 channels"):
        FilePredictor(network(), card, EvaluationConfig()).images([], print)
