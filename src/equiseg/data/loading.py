"""Batches from samples: a seed gives the same batches with any number of workers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from equiseg.data.class_draw import ClassDraw
from equiseg.data.images.copy_paste import CopyPaste
from equiseg.data.images.own_transform import OwnTransform
from equiseg.data.images.transforms import AugmentConfig, augment, to_tensors
from equiseg.data.in_workers import one_thread
from equiseg.data.points.voxels import collate_points
from equiseg.data.sample import DataSpec, SegmentationData
from equiseg.data.seeds import mixed_seed

Loader = DataLoader[Any]


class EpochSampler(Sampler[int]):
    """Shuffled keys of one rank; a key names a sample and how often it was drawn before.

    Key ``draw * n + index``, for the ``draw``-th time that this sample is drawn in the run, tells
    the data set which sample to read and which random numbers to augment it with. So a resumed run
    or another number of workers sees the same batches, and a sample drawn twice looks different.

    Args:
        num_samples: Samples n in the data set, and draws in an epoch.
        seed: Seed of the run.
        rank: Index of this process.
        num_ranks: Number of processes; each takes every ``num_ranks``-th draw. The epoch's first
            keys fill up the last short round, so they occur twice, augmented alike.
        draws_S: (S,) how often each sample is to be drawn in an epoch on average, with sum n
            (:func:`~equiseg.data.sampling.expected_draws`); each epoch draws it the whole number
            below or above. None draws each once.
    """

    def __init__(
        self,
        num_samples: int,
        seed: int,
        rank: int = 0,
        num_ranks: int = 1,
        draws_S: Tensor | None = None,
    ) -> None:
        self.num_samples = num_samples
        self.seed = seed
        self.rank = rank
        self.num_ranks = num_ranks
        self.draws_S = draws_S
        self.epoch = 0
        self._counted = 0
        self._before_S = torch.zeros(num_samples, dtype=torch.int64)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Draws of this rank in one epoch."""
        return math.ceil(self.num_samples / self.num_ranks)

    def __iter__(self) -> Iterator[int]:
        """Keys of one epoch."""
        order = self._order(self.epoch)
        draws = self._draws_before()[order] + _times_seen(order)
        keys = draws * self.num_samples + order
        wanted = len(self) * self.num_ranks
        keys = keys.repeat(math.ceil(wanted / self.num_samples))[:wanted]
        return iter(keys[self.rank :: self.num_ranks].tolist())

    def _order(self, epoch: int) -> Tensor:
        """Shuffled sample indices of an epoch."""
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, epoch))
        order = torch.randperm(self.num_samples, generator=generator)
        if self.draws_S is None:
            return order
        # Systematic sampling: the samples are laid end to end, each as long as its expected draws;
        # a comb with teeth at distance 1 picks the sample under each tooth.
        ends = self.draws_S.double()[order].cumsum(0)
        ends = (ends * (self.num_samples / ends[-1])).clamp(max=self.num_samples)
        ends[-1] = self.num_samples
        offset = torch.rand((), generator=generator, dtype=torch.float64)
        teeth = (ends - offset).ceil().long()
        drawn = order.repeat_interleave(teeth.diff(prepend=teeth.new_zeros(1)))
        return drawn[torch.randperm(self.num_samples, generator=generator)]

    def _draws_before(self) -> Tensor:
        """(S,) how often each sample was drawn in the epochs before this one."""
        if self.draws_S is None:
            return torch.full((self.num_samples,), self.epoch)
        if self._counted > self.epoch:
            self._counted = 0
            self._before_S.zero_()
        while self._counted < self.epoch:
            drawn = self._order(self._counted)
            self._before_S += torch.bincount(drawn, minlength=self.num_samples)
            self._counted += 1
        return self._before_S


def _times_seen(order: Tensor) -> Tensor:
    """How often each entry occurred earlier in the order."""
    entries, places = order.sort(stable=True)
    first = torch.searchsorted(entries, entries)
    return torch.empty_like(order).scatter_(0, places, torch.arange(len(order)) - first)


class TrainingView(Dataset[tuple[Tensor, Tensor]]):
    """Augmented samples; each depends on seed and key alone (see :class:`EpochSampler`).

    Args:
        data: The images.
        config: Random changes.
        seed: Seed of the run.
        counts_SK: (S, K) labelled pixels of each class in each of the S images; needed where
            ``config.rare`` or ``config.paste`` is above 0.

    Raises:
        ValueError: If the counts are missing, of another shape, or all 0.
    """

    def __init__(
        self,
        data: SegmentationData,
        config: AugmentConfig,
        seed: int,
        counts_SK: Tensor | None = None,
    ) -> None:
        self.data = data
        self.config = config
        self.seed = seed
        shape = len(data), len(data.classes)
        self.rare: ClassDraw | None = None
        if config.rare:
            self.rare = ClassDraw(counts_SK, config.rare_power, shape)
        self.paste: CopyPaste | None = None
        if config.paste:
            draw = ClassDraw(counts_SK, config.paste_power, shape)
            self.paste = CopyPaste(data, draw, config.scale, config.flip, config.paste_regions)
        self.extra: OwnTransform | None = None
        if config.extra:
            self.extra = OwnTransform(config.extra, len(data.classes), data.ignore_index)

    def __len__(self) -> int:
        """Samples in one epoch."""
        return len(self.data)

    def __getitem__(self, key: int) -> tuple[Tensor, Tensor]:
        """Image (C, h, w) in [0, 1] and labels (h, w) of one draw."""
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, key))
        sample = self.data[key % len(self.data)]
        ignore_index = self.data.ignore_index
        image, labels = augment(
            sample, self.config, ignore_index, generator, rare=self.rare, paste=self.paste
        )
        return self.extra(image, labels, generator) if self.extra else (image, labels)


class EvaluationView(Dataset[tuple[Tensor, Tensor]]):
    """Samples without augmentation."""

    def __init__(self, data: SegmentationData) -> None:
        self.data = data

    def __len__(self) -> int:
        """Samples."""
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Image (C, H, W) in [0, 1] and labels (H, W)."""
        return to_tensors(self.data[index])


def training_loader(
    samples: Dataset[Any],
    sampler: EpochSampler,
    batch_size: int,
    *,
    num_workers: int = 0,
    collate: Callable[[list[Any]], Any] | None = None,
) -> Loader:
    """A loader of shuffled batches; it drops the last short batch.

    Args:
        samples: Training samples by key, such as a :class:`TrainingView`.
        sampler: Draws this rank's keys.
        batch_size: Samples per step on this rank.
        num_workers: Worker processes; 0 loads in the training process.
        collate: Makes a batch of samples; None stacks images of one size.

    Raises:
        ValueError: If a rank has fewer samples than one batch.
    """
    if len(sampler) < batch_size:
        raise ValueError(
            f"batch_size must be at most the {len(sampler)} training samples of one process, got "
            f"{batch_size}; lower it, give more data (of scans, smaller blocks in the card) or, of "
            "several processes, use fewer"
        )
    return _loader(samples, batch_size, num_workers, collate, sampler=sampler, drop_last=True)


def evaluation_loader(
    data: Any,
    batch_size: int = 1,
    *,
    num_workers: int = 0,
    rank: int = 0,
    num_ranks: int = 1,
) -> Loader:
    """A loader of samples in order, each exactly once over all ranks; batches of 1 if sizes differ.

    Args:
        data: ``SegmentationData`` or ``PointData``.
        batch_size: Samples per batch.
        num_workers: Worker processes; 0 loads in the calling process.
        rank: Index of this process.
        num_ranks: Number of processes.
    """
    mine = list(range(rank, len(data), num_ranks))
    spec = DataSpec.of(data)
    if spec.voxel_size is not None:
        collate = partial(collate_points, voxel_size=spec.voxel_size)
        return _loader(data, batch_size, num_workers, collate, sampler=mine)
    return _loader(EvaluationView(data), batch_size, num_workers, None, sampler=mine)


def _loader(
    dataset: Dataset[Any],
    batch_size: int,
    num_workers: int,
    collate: Callable[[list[Any]], Any] | None,
    **kwargs: object,
) -> Loader:
    return _Loader(
        dataset,
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=collate or collate_images,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        worker_init_fn=one_thread if num_workers else None,
        generator=torch.Generator(),
        **kwargs,  # type: ignore[arg-type]
    )


class _Loader(DataLoader[Any]):
    """Takes one number of torch's global generator a pass, with any number of workers.

    A DataLoader does so where it makes workers: at every pass without persistent workers, else once
    in a process. Dropout would depend on the number of workers, and on interruptions.
    """

    def __iter__(self) -> Any:
        torch.empty((), dtype=torch.int64).random_()
        return super().__iter__()


def collate_images(samples: list[Any]) -> Any:
    """A batch of samples; every sample has its labels last.

    Raises:
        ValueError: If their labels differ in size.
    """
    if len(sizes := {tuple(labels.shape) for *_, labels in samples}) > 1:
        raise ValueError(
            f"images of one batch must have one (H, W), got {sorted(sizes)}; give a crop or a size "
            "(data.augment.crop, data.size), or batches of 1"
        )
    return default_collate(samples)
