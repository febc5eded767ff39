"""Tests specific to prototype contrast; tests/contract holds the common checks."""

import math
import multiprocessing
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

from equiseg import labels
from equiseg.losses.prototype_contrast import PrototypeContrastLoss
from reference.slow_prototype_contrast import followed, prototype_contrast

K, C = 5, 7


def maps(seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, C, 3, 4, generator=generator, dtype=dtype)
    labels = torch.randint(0, K - 1, (2, 7, 8), generator=generator)  # class 4 is never seen
    if seed == 0:
        labels[labels == 1] = 255  # class 1 comes later
    return features, labels


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_prototypes_follow_the_slow_derivation(momentum):
    loss = PrototypeContrastLoss(K, C, momentum=momentum).double()
    expected = np.zeros((K, C))
    for seed in range(3):
        features, labels = maps(seed, torch.float64)
        value = loss(features, labels).item()
        expected = followed(expected, features, labels, momentum)
        np.testing.assert_allclose(loss.prototypes_KD.numpy(), expected, atol=1e-7)
        # Prototypes follow first, so that a class seen for the first time has one.
        assert value == pytest.approx(prototype_contrast(loss.state_dict(), features, labels))
    assert not loss.prototypes_KD[4].any()


def test_prototypes_of_voxels_are_means_over_points():
    loss, of_points = PrototypeContrastLoss(K, C), PrototypeContrastLoss(K, C)
    voxels = torch.randn(6, C, generator=torch.Generator().manual_seed(0))
    inverse, labels = torch.arange(30) % 6, torch.arange(30) % 4
    loss(voxels, labels, inverse=inverse)
    of_points(voxels[inverse], labels)
    torch.testing.assert_close(loss.prototypes_KD, of_points.prototypes_KD)


def test_evaluation_leaves_prototypes_alone():
    loss = PrototypeContrastLoss(K, C)
    loss(*maps(1))
    before = loss.prototypes_KD.clone()
    loss.eval()(*maps(2))
    torch.testing.assert_close(loss.prototypes_KD, before, atol=0, rtol=0)


def test_a_class_without_a_prototype_takes_no_part():
    loss = PrototypeContrastLoss(K, C).eval()
    features = torch.randn(3, C, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss(features, torch.tensor([0, 1, 2])).backward()  # none has one yet
    assert not features.grad.any()
    loss.prototypes_KD[:2] = torch.eye(C)[:2]
    value = loss(features, torch.tensor([0, 1, 2]))
    cosines = F.normalize(features, dim=1)[:2, :2]
    torch.testing.assert_close(value, F.cross_entropy(cosines / 0.1, torch.tensor([0, 1])))


def test_batches_may_be_accumulated_before_backward():
    loss = PrototypeContrastLoss(K, C)
    first, second = (maps(seed)[0].requires_grad_() for seed in (0, 1))
    (loss(first, maps(0)[1]) + loss(second, maps(1)[1])).backward()
    assert first.grad.any()
    assert second.grad.any()


def test_invalid_labels_do_not_change_the_prototypes():
    loss = PrototypeContrastLoss(K, C)
    with pytest.raises(ValueError, match="labels must be"):
        loss(torch.ones(2, C), torch.tensor([0, K]))
    assert not loss.prototypes_KD.any()


@pytest.mark.parametrize("training", [True, False])
def test_labels_are_read_once(training, monkeypatch):
    check = Mock()
    monkeypatch.setattr(labels, "check_labels", check)
    PrototypeContrastLoss(K, C).train(training)(*maps(0))
    assert check.call_count == 1


def test_training_compiles():
    torch.compiler.reset()
    eager, traced = PrototypeContrastLoss(K, C), PrototypeContrastLoss(K, C)
    compiled = torch.compile(traced, fullgraph=True, backend="aot_eager")
    for seed in range(2):
        torch.testing.assert_close(compiled(*maps(seed)), eager(*maps(seed)))
    torch.testing.assert_close(traced.prototypes_KD, eager.prototypes_KD)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_moves_prototypes_in_float32(half):
    loss, wide = PrototypeContrastLoss(K, C), PrototypeContrastLoss(K, C)
    for seed in range(2):
        features, labels = maps(seed)
        with torch.autocast("cpu", dtype=half):
            loss(features.to(half), labels)
        wide(features.to(half).float(), labels)
    assert loss.prototypes_KD.dtype == torch.float32
    torch.testing.assert_close(loss.prototypes_KD, wide.prototypes_KD)


def on_a_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    loss, alone = PrototypeContrastLoss(K, C), PrototypeContrastLoss(K, C, sync=False)
    for seed in range(2):
        own = [tensor[rank : rank + 1] for tensor in maps(seed)]
        loss(*own)
        alone(*own)
    if rank == 0:
        loss.eval()(*own)  # alone here: a collective would find no partner
    torch.save((loss.prototypes_KD, alone.prototypes_KD), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_ranks_have_the_prototypes_of_one_process(tmp_path):
    multiprocessing.set_forkserver_preload(["equiseg"])
    mp.start_processes(on_a_rank, (str(tmp_path),), nprocs=2, start_method="forkserver")
    whole = PrototypeContrastLoss(K, C)
    for seed in range(2):
        whole(*maps(seed))
    for rank in range(2):
        synced, alone = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(synced, whole.prototypes_KD)
        assert not torch.allclose(alone, whole.prototypes_KD)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature must be a finite number > 0, got 0"),
        ({"temperature": math.inf}, "temperature must be a finite number > 0, got inf"),
        ({"momentum": 1}, r"momentum must be in \[0, 1\), got 1"),
        ({"momentum": "slow"}, r"momentum must be in \[0, 1\), got 'slow'"),
    ],
)
def test_arguments_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PrototypeContrastLoss(K, C, **options)


def test_golden_value():
    """Two pixels, each the first of its class, at right angles: both lie on their prototypes."""
    loss = PrototypeContrastLoss(3, 2, temperature=0.5)
    value = loss(torch.tensor([[3.0, 0.0], [0.0, 1.0], [7.0, 7.0]]), torch.tensor([0, 2, 255]))
    assert value.item() == pytest.approx(math.log(1 + math.exp(-2)))
    assert value.item() == pytest.approx(0.1269, abs=5e-5)
