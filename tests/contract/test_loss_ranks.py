"""Two ranks take the step of one process, in value, gradient or state: all in one spawn."""

import multiprocessing
from dataclasses import replace
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from contract.collected import CASES
from equiseg.losses import CenterCollapseLoss, PrototypeContrastLoss, SeesawLoss
from equiseg.testing import IN_FEATURES, NUM_CLASSES, LossCase, check_ranks

APPLIES = [case for case in CASES if case.in_features or case.loss().state_dict()]
JUDGED = {case.name: case for case in APPLIES if "ranks" not in case.spared}
SPARED = {case.name: replace(case, spared={}) for case in CASES if "ranks" in case.spared}
BROKEN = SPARED | {
    f"{loss.__name__} without sync": LossCase(
        "unsynced",
        lambda ignore, loss=loss, sizes=sizes: loss(*sizes, sync=False, ignore_index=ignore),
    )
    for loss, *sizes in (
        (CenterCollapseLoss, NUM_CLASSES, IN_FEATURES),
        (PrototypeContrastLoss, NUM_CLASSES, IN_FEATURES),
        (SeesawLoss, NUM_CLASSES),
    )
}


def judge(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    verdicts = {}
    for name, case in (JUDGED | BROKEN).items():
        try:
            verdicts[name] = check_ranks(case)
        except AssertionError as error:
            verdicts[name] = str(error)
    torch.save(verdicts, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What each rank found against each loss: None, or what the contract asks."""
    folder = tmp_path_factory.mktemp("loss_ranks")
    multiprocessing.set_forkserver_preload(["equiseg"])
    mp.start_processes(judge, (str(folder),), nprocs=2, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", JUDGED)
def test_two_ranks_give_the_result_of_one(verdicts, name):
    assert [verdict[name] for verdict in verdicts] == [None, None]


@pytest.mark.parametrize("name", BROKEN)
def test_a_loss_that_stays_on_its_rank_is_caught(verdicts, name):
    assert any("of one process" in str(verdict[name]) for verdict in verdicts)


def test_without_a_process_group_the_error_says_how_to_start_one():
    with pytest.raises(RuntimeError, match="init_process_group"):
        check_ranks(JUDGED["center_collapse"])
