"""Applying a function to many items in worker processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_workers(
    function: Callable[[_Item], _Result], items: Sequence[_Item], num_workers: int
) -> Iterator[_Result]:
    """Results in the order of the items; at most two results per worker wait in memory.

    Args:
        function: Called in a worker; its result must be picklable. It must not raise: a traceback
            from another process is no message for a user.
        items: The items.
        num_workers: Worker processes; 0 calls the function in this process.
    """
    loader: DataLoader[bytes] = DataLoader(
        _Results(function, items),
        batch_size=None,
        num_workers=min(num_workers, len(items)),
        worker_init_fn=one_thread,
        # A loader draws a seed; from the global generator, it would change the weights of a run.
        generator=torch.Generator(),
    )
    for result in loader:
        yield pickle.loads(result)


class _Results(Dataset[bytes], Generic[_Item, _Result]):
    """Pickled here: tensors would go through shared memory, which is often small in containers."""

    def __init__(self, function: Callable[[_Item], _Result], items: Sequence[_Item]) -> None:
        self.function = function
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> bytes:
        return pickle.dumps(self.function(self.items[index]))


def one_thread(worker: int) -> None:
    """Start of a worker process: parallel workers must not each use all cores."""
    torch.set_num_threads(1)
