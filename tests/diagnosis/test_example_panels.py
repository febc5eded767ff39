import numpy as np
import torch

from diagnoses import Stripes, TinyNetwork, tiny_diagnosis
from equiseg.diagnosis.example_panels import choose_examples, example_panels
from equiseg.records.examples import SIDE


def test_every_rare_class_comes_up_before_one_comes_twice():
    much, little = torch.zeros(8, 8).long(), torch.zeros(8, 8).long()
    much[:4], little[0] = 1, 2
    nothing = torch.zeros(8, 8).long()
    assert choose_examples([nothing, much, much, little], rare=[1, 2], most=2) == [1, 3]


def test_images_without_rare_classes_are_not_shown():
    assert choose_examples([torch.zeros(8, 8).long()], rare=[1]) == []


def test_panels_are_cut_to_what_is_shown():
    data = Stripes(sizes=((24, 2 * SIDE),) * 2)
    network = TinyNetwork()
    panels = example_panels({"net": (network, data)}, tiny_diagnosis().groups)
    assert {p.shape for p in panels.pictures} == {(12, SIDE, 3)}
    (ids, *_), (labels, *_) = panels.predictions["net"], panels.labels
    assert ids.shape == labels.shape == (12, SIDE)
    assert set(np.unique(labels)) <= set(range(8))  # 7 is what is not labelled
    assert (labels[0] == 7).all()
