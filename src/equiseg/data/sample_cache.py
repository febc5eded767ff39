"""A cache of samples in memory that data workers share."""

from __future__ import annotations

import math
import mmap
import pickle
from typing import Any, NamedTuple

import torch
from torch import Tensor

from equiseg.data.sample import DataSpec, Sample, SegmentationData
from equiseg.data.shared_arena import SharedArena, aligned, places

_LENGTH = 8  # bytes of the length of a header


class CachedData:
    """A data set whose samples are read once, by whichever process needs them first.

    Samples are kept in the order of the first reads while the arena has room; the others are read
    again each time. Forked data workers and the process that started them fill and read one cache.
    In a process that is not forked the cache is empty and stays so: samples are read from the data.

    Tensors from the cache are views of shared memory: writing into one changes the sample for
    every process. Clone a tensor before writing into it.

    Args:
        data: The data set to read.
        arena: Memory for samples; several data sets may share it.

    Attributes:
        sizes: The different (H, W) of the samples of an image data set, once they are known.
    """

    def __init__(self, data: SegmentationData, arena: SharedArena) -> None:
        self.data = data
        self.spec = DataSpec.of(data)
        self.classes = data.classes
        self.ignore_index = data.ignore_index
        self.background = data.background
        self.channels = self.spec.channels
        self.voxel_size = self.spec.voxel_size
        self.groups = self.spec.groups
        self.labelled_only = self.spec.labelled_only
        self.arena = arena
        self.sizes: frozenset[tuple[int, ...]] = frozenset()
        self._places = places(len(data))

    def __reduce__(self) -> tuple[Any, ...]:
        return CachedData, (self.data, self.arena), {"sizes": self.sizes}

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        """The sample at ``index``, from memory if it was kept."""
        if (place := self._places[index]) > 0:
            return self._kept(place)
        sample = self.data[index]
        self._keep(index, sample)
        return sample

    def _keep(self, index: int, sample: Sample) -> None:
        """Copy a sample into the arena, if there is room."""
        end = 0
        parts: list[Any] = []
        for part in sample:
            if isinstance(part, Tensor):
                parts.append(_Placed(part.dtype, tuple(part.shape), end))
                end = aligned(end + part.nbytes)
            else:
                parts.append(part)
        header = pickle.dumps((type(sample), parts))
        first = aligned(_LENGTH + len(header))
        place = self.arena.reserve(self._places, index, first + end)
        memory = self.arena.memory
        if place is None or memory is None:
            return
        memory[place : place + _LENGTH] = len(header).to_bytes(_LENGTH, "little")
        memory[place + _LENGTH : place + _LENGTH + len(header)] = header
        for given, part in zip(sample, parts, strict=True):
            if isinstance(part, _Placed) and isinstance(given, Tensor):
                part.view(memory, place + first).copy_(given)
        self.arena.publish(self._places, index, place)

    def _kept(self, place: int) -> Sample:
        """The sample at a place of the arena."""
        memory = self.arena.memory
        assert memory is not None
        start = place + _LENGTH
        length = int.from_bytes(memory[place:start], "little")
        kind, parts = pickle.loads(memory[start : start + length])
        first = place + aligned(_LENGTH + length)
        sample: Sample = kind(
            *(part.view(memory, first) if isinstance(part, _Placed) else part for part in parts)
        )
        return sample


class _Placed(NamedTuple):
    """A tensor in the arena.

    Attributes:
        dtype: Its type.
        shape: Its shape.
        begin: Bytes from the first tensor of its sample.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int

    def view(self, memory: mmap.mmap, first: int) -> Tensor:
        """The tensor, given the place of the first of its sample."""
        if not (count := math.prod(self.shape)):
            return torch.empty(self.shape, dtype=self.dtype)
        flat = torch.frombuffer(memory, dtype=self.dtype, count=count, offset=first + self.begin)
        return flat.view(self.shape)
