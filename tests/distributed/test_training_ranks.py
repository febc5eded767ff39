"""Two ranks with half the batch take the step of one process, batch normalisation included."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from equiseg.data.sample import Sample
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.scoring import evaluate, evaluation_record
from equiseg.imbalance import FrequencyGroups
from equiseg.losses import CenterCollapseLoss, CrossEntropyLoss
from equiseg.models.rank_batch_norm import RankBatchNorm, over_ranks
from equiseg.tap import FeatureTap

K, C = 4, 6


class Net(nn.Module):
    classifier_name = "classifier"

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, C, 3, 2, 1), nn.BatchNorm2d(C), nn.ReLU(), nn.BatchNorm2d(C, momentum=None)
        )
        self.classifier = nn.Conv2d(C, K, 1)
        self.twin = self.body[1]  # one module under two names

    def forward(self, images):
        return self.classifier(self.body(images))


class Samples:
    """Images and labels in memory, as a split."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels
        self.classes = tuple(f"c{i}" for i in range(K))
        self.ignore_index, self.background = 255, None

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return Sample(self.images[index], self.labels[index], str(index))


def whole_batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, K - 1, (4, 8, 8), generator=generator)
    labels[:, 0] = 255
    labels[3, 1] = K - 1  # one class on the last rank alone
    return images, labels


def step(model, network, tap, images, labels):
    """Loss and gradients of one training step, and the running statistics after it."""
    pixel, center = CrossEntropyLoss(K), CenterCollapseLoss(K, C).double()
    logits = model(images)
    loss = pixel(logits, labels) + center(tap.features, labels)
    loss.backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    return loss.detach(), gradients, dict(network.named_buffers())


def one_process():
    network = Net().double()
    return step(network, network, FeatureTap(network, "classifier"), *whole_batch())


def of_rank(rank, world, folder):
    store = dist.FileStore(str(Path(folder) / "store"), world)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world)
    network = over_ranks(Net().double())
    assert network.twin is network.body[1] and isinstance(network.twin, RankBatchNorm)
    tap = FeatureTap(network, "classifier")
    model = DistributedDataParallel(network, broadcast_buffers=False)
    images, labels = whole_batch()
    mine = slice(rank * 4 // world, (rank + 1) * 4 // world)
    loss, gradients, buffers = step(model, network, tap, images[mine], labels[mine])
    dist.all_reduce(loss)
    torch.save((loss / world, gradients, buffers), Path(folder) / f"{rank}.pt")
    tap.remove()
    samples = Samples(images.float(), labels)
    groups = FrequencyGroups.from_counts(torch.tensor([4, 3, 2, 1]))
    found = evaluate(Net(), samples, EvaluationConfig(), groups, rank=rank, num_ranks=world)
    torch.save(evaluation_record(found, None), Path(folder) / f"scores{rank}.pt")
    dist.barrier()
    del model
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(of_rank, (2, str(folder)), nprocs=2)
    return folder


def test_two_ranks_with_half_the_batch_are_one_process(folder):
    expected = one_process()
    for rank in range(2):
        actual = torch.load(folder / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-11)


def test_two_ranks_score_what_one_process_scores(folder):
    samples = Samples(whole_batch()[0].float(), whole_batch()[1])
    groups = FrequencyGroups.from_counts(torch.tensor([4, 3, 2, 1]))
    expected = evaluation_record(evaluate(Net(), samples, EvaluationConfig(), groups), None)
    for rank in range(2):
        actual = torch.load(folder / f"scores{rank}.pt", weights_only=True)
        assert (
            actual["confusion"] == expected["confusion"] and actual["iou"][0] == expected["iou"][0]
        )
        assert actual["ece"] == pytest.approx(expected["ece"], abs=1e-12)
        assert actual["collapse"] == pytest.approx(expected["collapse"], rel=1e-9, nan_ok=True)


def test_alone_it_is_the_batch_normalisation_of_torch():
    torch.manual_seed(0)
    norm, values = nn.BatchNorm2d(3), torch.randn(2, 3, 4, 4)
    shared = over_ranks(nn.BatchNorm2d(3))
    assert torch.equal(shared(values), norm(values))
    assert list(shared.state_dict()) == list(norm.state_dict())
    assert torch.equal(shared.running_var, norm.running_var)
