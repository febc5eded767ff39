import numpy as np
import torch

from diagnoses import Stripes, TinyNetwork
from equiseg.diagnosis.example_panels import choose_examples, example_panels
from equiseg.imbalance import FrequencyGroups
from equiseg.records.examples import SIDE


def test_every_rare_class_comes_up_before_one_comes_twice():
    much, little = torch.zeros(8, 8).long(), torch.zeros(8, 8).long()
    much[:4], little[0] = 1, 2
    nothing = torch.zeros(8, 8).long()
    assert choose_examples([nothing, much, much, little], rare=[1, 2], most=2) == [1, 3]


def test_images_without_rare_classes_are_not_shown():
    assert choose_examples([torch.zeros(8, 8).long()], rare=[1]) == []


def panels_of(data, **networks):
    groups = FrequencyGroups.from_counts(data.statistics.pixels_K)
    return example_panels({name: (network, data) for name, network in networks.items()}, groups)


def test_panels_hold_labels_and_predictions_at_the_shown_size():
    panels = panels_of(Stripes(sizes=((500, 960), (24, 32))), net=TinyNetwork())
    shapes = {picture.shape for picture in panels.pictures}
    assert shapes == {(250, SIDE, 3), (24, 32, 3)}
    for picture, labels, ids in zip(
        panels.pictures, panels.labels, panels.predictions["net"], strict=True
    ):
        assert picture.shape[:2] == labels.shape == ids.shape
    assert all((labels[0] == 7).all() for labels in panels.labels)  # ignored, not labelled


def test_small_images_are_kept_as_they_are():
    data = Stripes()
    panels = panels_of(data, net=TinyNetwork())
    sample = next(s for s in data.samples if s.name == panels.names[0])
    assert np.array_equal(panels.pictures[0], sample.image.permute(1, 2, 0).numpy())
    logits = TinyNetwork()(sample.image[None] / 255)
    expected = torch.nn.functional.interpolate(logits, (24, 32), mode="bilinear").argmax(1)[0]
    assert (panels.predictions["net"][0] == expected.numpy()).mean() > 0.95
