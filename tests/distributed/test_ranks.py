"""N ranks see what one process sees on the whole batch."""

import multiprocessing
from datetime import timedelta
from unittest.mock import patch

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from equiseg.centers import class_centers
from equiseg.losses import CenterCollapseLoss
from equiseg.ranks import sum_over_ranks

K, C = 5, 6
IMAGES = 4


class Net(nn.Module):
    """A body to learn and the loss with a projection to learn, under one DDP wrapper."""

    def __init__(self, **options):
        super().__init__()
        self.body = nn.Conv2d(3, C, 3, stride=2, padding=1)
        self.loss = CenterCollapseLoss(K, C, projection=("learnable", 8), **options)

    def forward(self, images, labels):
        return self.loss(self.body(images), labels)


def net(**options):
    torch.manual_seed(0)
    return Net(**options).double()


def whole_batch(seed=0):
    """Rank 0 has nothing valid, class 3 lives on the last rank alone, class 4 nowhere."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(IMAGES, 3, 10, 12, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (IMAGES, 10, 12), generator=generator)
    labels[: IMAGES // 2] = 255
    labels[-1, :3] = 3
    return images, labels


def shard(tensors, rank, world):
    return tuple(tensor.chunk(world)[rank] for tensor in tensors)


def step(model, batch):
    """The loss of one batch and the gradient of every parameter."""
    value = model(*batch)
    value.backward()
    return value.detach(), [parameter.grad for parameter in model.parameters()]


def sharded_step(batch, world):
    """The same under FSDP2, with the whole of each gradient."""
    model = net()
    fully_shard(model, mesh=init_device_mesh("cpu", (world,)))
    value, gradients = step(model, batch)
    return value, [gradient.full_tensor() for gradient in gradients]


def accumulated(batches):
    """The gradients that two micro-batches add up to."""
    model = DistributedDataParallel(net())
    first, second = batches
    with model.no_sync():
        step(model, first)
    return step(model, second)[1]


def traffic(batch):
    """Values in each all-reduce of the loss, those in forward and those in backward."""
    model = net()
    with patch.object(dist, "all_reduce", wraps=dist.all_reduce) as all_reduce:
        value = model(*batch)
        forward = all_reduce.call_count
        value.backward()
    sizes = [call.args[0].numel() for call in all_reduce.call_args_list]
    return sizes[:forward], sizes[forward:]


def large_counts(rank):
    """Counts which float32 cannot hold."""
    return torch.tensor([2**24 + 1 + rank, 2**33 + 7, rank])


def points(rank):
    """A number of points that differs between ranks, and none on rank 0."""
    generator = torch.Generator().manual_seed(rank)
    features = torch.randn(3 * rank, C, generator=generator)
    return features, torch.randint(0, K - 1, (3 * rank,), generator=generator)


def run_process(rank, worlds, folder):
    torch.set_num_threads(1)
    for world in worlds:
        if rank < world:
            dist.init_process_group(
                "gloo",
                init_method=f"file://{folder}/rendezvous-{world}",
                rank=rank,
                world_size=world,
                timeout=timedelta(seconds=60),
            )
            torch.save(what_a_rank_sees(rank, world), f"{folder}/{world}-{rank}.pt")
            dist.destroy_process_group()


def what_a_rank_sees(rank, world):
    batch = shard(whole_batch(), rank, world)
    seen = {
        "synced": step(DistributedDataParallel(net()), batch),
        "points": class_centers(*points(rank), K, process_group=dist.group.WORLD),
        "default": class_centers(*points(rank), K),
        "sharded": sharded_step(batch, world),
        "accumulated": accumulated([shard(whole_batch(seed), rank, world) for seed in (0, 1)]),
        "traffic": traffic(batch),
        "large counts": sum_over_ranks(torch.ones(3, C), large_counts(rank), dist.group.WORLD),
    }
    own_groups = [dist.new_group([member]) for member in range(world)]
    seen["own group"] = step(net(sync=own_groups[rank]), batch)
    if world == 2:
        compiled = torch.compile(net(), fullgraph=True, backend="aot_eager")
        seen["compiled"], seen["eager"] = step(compiled, batch), step(net(), batch)
    if rank == world - 1:
        # Alone here: a collective would find no partner, or a wrong one below.
        seen["evaluated"] = net().eval()(*batch).detach()
        seen["local"] = step(net(sync=False), batch)
    seen["meeting"] = torch.ones(world)
    dist.all_reduce(seen["meeting"])
    return seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where four processes, and then two of them, left what they saw."""
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.set_forkserver_preload(["equiseg"])  # torch is imported once, not four times
    mp.start_processes(run_process, ((4, 2), str(folder)), nprocs=4, start_method="forkserver")
    return folder


@pytest.fixture(params=[2, 4], ids=["2 ranks", "4 ranks"])
def ranks(request, folder):
    """What every rank of a world saw, in rank order."""
    world = request.param
    return [torch.load(folder / f"{world}-{rank}.pt", weights_only=False) for rank in range(world)]


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


def test_loss_and_gradients_under_ddp_equal_those_of_one_process(ranks):
    value, gradients = step(net(), whole_batch())
    assert all(gradient.any() for gradient in gradients)
    for seen in ranks:
        assert_equal(seen["synced"], (value, gradients))


def test_loss_and_gradients_under_fsdp_equal_those_of_one_process(ranks):
    for seen in ranks:
        assert_equal(seen["sharded"], step(net(), whole_batch()))


def test_a_group_of_one_process_changes_nothing(ranks):
    for rank, seen in enumerate(ranks):
        assert_equal(seen["own group"], step(net(), shard(whole_batch(), rank, len(ranks))))


def test_the_sum_over_ranks_compiles_as_one_graph(folder):
    for rank in range(2):
        seen = torch.load(folder / f"2-{rank}.pt", weights_only=False)
        assert_equal(seen["compiled"], seen["eager"])


def test_each_micro_batch_adds_its_own_regularizer(ranks):
    """k micro-batches regularize k sets of centers, not those of the k times larger batch."""
    batches = whole_batch(0), whole_batch(1)
    model = net()
    for batch in batches:
        _, gradients = step(model, batch)
    together = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    for seen in ranks:
        assert_equal(seen["accumulated"], gradients)
    for mean, gradient in zip(gradients, step(net(), together)[1], strict=True):
        assert (mean / 2 - gradient).norm() > 0.01 * gradient.norm()


def test_one_all_reduce_forward_and_one_backward(ranks):
    for seen in ranks:
        assert seen["traffic"] == ([K * (C + 2)], [K * C])


def test_counts_beyond_the_whole_numbers_of_float32_arrive_exact(ranks):
    total = sum(large_counts(rank) for rank in range(len(ranks)))
    for seen in ranks:
        sums_KD, counts_K = seen["large counts"]
        assert counts_K.tolist() == total.tolist()
        assert sums_KD.tolist() == [[len(ranks)] * C] * 3


def test_centers_of_unequal_shares_equal_those_of_all_points(ranks):
    features, labels = (
        torch.cat(part) for part in zip(*map(points, range(len(ranks))), strict=True)
    )
    expected = class_centers(features, labels, K)
    for seen in ranks:
        torch.testing.assert_close(seen["points"], expected)


def test_centers_stay_on_their_rank_without_a_group(ranks):
    for rank, seen in enumerate(ranks):
        torch.testing.assert_close(seen["default"], class_centers(*points(rank), K))


def test_evaluation_never_communicates(ranks):
    batch = shard(whole_batch(), len(ranks) - 1, len(ranks))
    assert_equal(ranks[-1]["evaluated"], net()(*batch).detach())


def test_without_sync_the_loss_stays_on_its_rank(ranks):
    batch = shard(whole_batch(), len(ranks) - 1, len(ranks))
    assert_equal(ranks[-1]["local"], step(net(), batch))


def test_all_ranks_stay_in_step(ranks):
    for seen in ranks:
        assert seen["meeting"].tolist() == [len(ranks)] * len(ranks)
