"""Many files: those that fail do not stop the others."""

import errno

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from equiseg.data.errors import DataError
from equiseg.evaluation import folders
from equiseg.evaluation.config import EvaluationConfig
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
        return names, error
    return names, None


def test_hidden_and_other_files_are_left_out(photos):
    assert predicted(photos) == (["a", "b", "c"], None)


def test_sources_and_files_that_fail_are_named_at_the_end(photos):
    (photos / "b.png").write_bytes(b"no image")
    names = []
    predictor = FilePredictor(network(), CARD, EvaluationConfig())
    with pytest.raises(DataError, match=r"(?s)not predicted \(2\).*gone.*b\.png: ") as caught:
        predictor.images([photos / "gone", photos], lambda image: names.append(image.name))
    assert names == ["a", "c"]
    assert caught.value.unforeseen is None


@pytest.mark.parametrize(
    "error", [MemoryError(), KeyError("x"), OSError(errno.EIO, "Input/output error")]
)
def test_any_error_of_one_file_is_told_with_its_name(error, photos, monkeypatch):
    usual = folders.predict_file

    def sometimes(model, card, file, config, **options):
        if file.name == "b.png":
            raise error
        return usual(model, card, file, config, **options)

    monkeypatch.setattr(folders, "predict_file", sometimes)
    names, told = predicted(photos)
    assert names == ["a", "c"]
    assert "b.png: " in str(told)
    assert told.unforeseen is (error if isinstance(error, KeyError) else None)


def test_a_full_disk_ends_at_once(photos, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "masks/a.png")

    monkeypatch.setattr(folders, "predict_file", full)
    with pytest.raises(OSError, match="No space left"):
        predicted(photos)


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
