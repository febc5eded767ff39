"""Every loss checks its inputs once a forward, and recognises swapped arguments."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from contract.collected import CASES
from equiseg.metrics import CalibrationError, SegmentationScore
from equiseg.testing import NUM_CLASSES as K


class Reads(TorchDispatchMode):
    """Counts how often the values of integer tensors are read for their range."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ == "aminmax" and not args[0].is_floating_point():
            self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_labels_and_inverse_are_read_once(case, training):
    loss = case.loss().train(training)
    with Reads() as maps:
        loss(*case.batch())
    inputs, labels = case.batch("points")
    inverse = torch.arange(len(labels)) % 12
    with Reads() as voxels:
        loss(inputs[:12], labels, inverse=inverse)
    assert (maps.count, voxels.count) == (1, 2)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_swapped_arguments_are_recognised(case):
    inputs, labels = case.batch()
    name = "logits" if case.in_features is None else "features"
    with pytest.raises(TypeError, match=f"{name} and labels are swapped"):
        case.loss()(labels, inputs)


@pytest.mark.parametrize("metric", [SegmentationScore(K), CalibrationError(K)], ids=repr)
def test_a_metric_recognises_swapped_arguments(metric):
    logits, labels = torch.randn(2, K, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int64)
    with pytest.raises(TypeError, match="predictions and labels are swapped"):
        metric.update(labels, logits)


def one_hot(labels):
    return torch.nn.functional.one_hot(labels, K).movedim(-1, 1)


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, K, K), (2, 3, 4, 5)])
def test_one_hot_labels_are_refused(shape):
    labels = torch.randint(0, K, shape, generator=torch.Generator().manual_seed(0))
    score = SegmentationScore(K)
    with pytest.raises(ValueError, match=r"one-hot labels .* pass labels.argmax\(1\)"):
        score.update(one_hot(labels), one_hot(labels))
    with pytest.raises(ValueError, match=r"predictions\.argmax\(1\)"):
        score.update(one_hot(labels), labels)
    score.update(labels, labels)
    assert score.compute().pixel_accuracy == 1


def test_an_older_call_of_the_score_is_read_with_a_note():
    with pytest.warns(FutureWarning, match="name ignore_index"):
        assert SegmentationScore(K, 9).ignore_index == 9
    with pytest.raises(TypeError, match="only num_classes is positional"):
        SegmentationScore(K, 9, None)
