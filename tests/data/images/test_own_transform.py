"""A user's own transform: called last, seeded per draw, checked."""

import pickle

import pytest
import torch

from equiseg.data.config import DataConfig
from equiseg.data.images.config import AugmentConfig
from equiseg.data.images.own_transform import OwnTransform
from equiseg.data.images.transforms import augment
from equiseg.data.loading import EpochSampler, TrainingView, training_loader
from equiseg.data.sources import open_split
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.pictures.config import PicturesConfig
from places import ROOT

EXAMPLE = f"{ROOT / 'examples/own_transform.py'}:transform"
IMAGE, LABELS = torch.rand(3, 8, 8), torch.zeros(8, 8, dtype=torch.int64)


@pytest.fixture(scope="module")
def pictures():
    synthetic = SyntheticConfig(PicturesConfig(5, (48, 64)), num_samples=(6, 1, 1))
    return open_split(DataConfig(synthetic=synthetic), "train")


def written(tmp_path, body):
    file = tmp_path / f"change_{abs(hash(body))}.py"
    file.write_text(f"import torch\ndef transform(image, labels, generator):\n    {body}\n")
    return OwnTransform(f"{file}:transform", 5, 255)


def test_it_is_called_after_our_changes_with_the_generator_of_the_draw(pictures):
    config = AugmentConfig(extra=EXAMPLE)
    seen = []

    def spy(image, labels, generator):
        seen.append((image.clone(), labels.clone(), generator.get_state()))
        return image, labels

    view = TrainingView(pictures, config, seed=3)
    view.extra._function = spy
    view[7]
    from equiseg.data.seeds import mixed_seed

    generator = torch.Generator().manual_seed(mixed_seed(3, 7))
    image, labels = augment(pictures[1], AugmentConfig(), 255, generator)
    (given_image, given_labels, state), *_ = seen
    assert torch.equal(given_image, image)
    assert torch.equal(given_labels, labels)
    assert torch.equal(state, generator.get_state())


def test_batches_do_not_depend_on_the_number_of_workers(pictures):
    view = TrainingView(pictures, AugmentConfig(extra=EXAMPLE), seed=0)
    batches = [
        list(training_loader(view, EpochSampler(6, 0), 2, num_workers=workers))
        for workers in (0, 2)
    ]
    for ours, theirs in zip(*batches, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert any((labels == 255).any() for _, labels in batches[0])


def test_it_can_be_pickled_for_a_spawned_process():
    change = pickle.loads(pickle.dumps(OwnTransform(EXAMPLE, 5, 255)))
    image, _ = change(IMAGE, LABELS, torch.Generator().manual_seed(0))
    assert (image == 0.5).any()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return image", r"must return \(image, labels\), two tensors, got Tensor"),
        ("return image[:, 1:], labels", r"image must stay torch.float32 of shape \(3, 8, 8\), got"),
        ("return image, labels.int()", "labels must stay torch.int64"),
        ("return image / 0, labels", "image must be finite"),
        ("return image, labels + 7", r"labels must be 0 to 4 or 255 \(ignore_index\), got \[7\]"),
        ("raise KeyError('x')", "failed: KeyError: 'x'"),
    ],
)
def test_invalid_results_are_refused(tmp_path, body, message):
    with pytest.raises(ValueError, match=rf"data\.augment\.extra=.*:transform: {message}"):
        written(tmp_path, body)(IMAGE, LABELS, torch.Generator())


def test_a_name_without_a_function_is_refused():
    with pytest.raises(ValueError, match="extra must be a dotted name"):
        AugmentConfig(extra="blur")
    with pytest.raises(ValueError, match=r"data\.augment\.extra: no 'blur' in"):
        OwnTransform(EXAMPLE.replace(":transform", ":blur"), 5, 255)
