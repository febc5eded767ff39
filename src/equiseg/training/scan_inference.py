"""Predicting a whole scan: block by block, on one grid of blocks or on several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from equiseg.data import CachedData
from equiseg.data.points.folder import PointFolder
from equiseg.data.points.forms import channel_names
from equiseg.data.points.store import ScanStore
from equiseg.data.points.voxels import collate_points
from equiseg.training.config import EvaluationConfig
from equiseg.training.inference import predict_voxels
from equiseg.training.inputs import moved
from equiseg.training.weights import ScanReading

_IDLE: Callable[[Iterable[int]], Iterable[int]] = iter


@torch.inference_mode()
def predict_scan(
    model: nn.Module,
    scan: ScanStore,
    reading: ScanReading,
    config: EvaluationConfig,
    track: Callable[[Iterable[int]], Iterable[int]] = _IDLE,
) -> Tensor:
    """Class ids of all points of a scan: (N,) int64, in the order of the store.

    The scan is cut into blocks, each seen with its margin. With several votes this is repeated on
    grids that are shifted by an equal part of a block along both axes; the probabilities of a
    point are averaged over the blocks it was seen in.

    Args:
        model: The network; runs where its weights are.
        scan: The scan.
        reading: How scans are cut and voxelised for this network.
        config: How many votes, and whether mirrored scans vote too.
        track: Wraps the votes, to show progress.
    """
    device = next(model.parameters()).device
    channels = channel_names(reading.features)
    total_NK = torch.zeros(len(scan), len(reading.codes))
    for vote in track(range(config.votes)):
        shift = (reading.block or 0.0) * vote / config.votes
        for core, rows in scan.windows(reading.block, reading.margin, (shift, shift)):
            sample = scan.sample(core, rows, ignore_index=255, name=scan.name)
            batch, _ = collate_points([sample], reading.voxel_size)
            probabilities_VK = predict_voxels(model, moved(batch, device), config, channels).cpu()
            inner = torch.from_numpy(np.searchsorted(rows, core))
            total_NK[torch.from_numpy(core)] += probabilities_VK[batch.inverse_N[inner]]
    return total_NK.argmax(1)


def voting_folder(data: Any, votes: int) -> PointFolder:
    """The scans of a split whose blocks can be shifted.

    Raises:
        ValueError: If the data are not scans cut into blocks.
    """
    folder = data.data if isinstance(data, CachedData) else data
    if not isinstance(folder, PointFolder) or folder.card.block is None:
        raise ValueError(
            f"evaluation.votes={votes} needs scans that are cut into blocks (a card with "
            "block); use evaluation.flip, or 1 vote"
        )
    return folder


def voted_scans(
    model: nn.Module, data: Any, config: EvaluationConfig
) -> Iterator[tuple[Tensor, Tensor]]:
    """Class ids (N,) and labels (N,) of every scan that has blocks in a split.

    Args:
        model: The network.
        data: The split, a ``PointFolder`` or one that is kept in memory.
        config: How many votes.

    Raises:
        ValueError: If the data are not scans cut into blocks.
    """
    folder = voting_folder(data, config.votes)
    reading = ScanReading.of(folder.card)
    for number, scan in enumerate(folder.scans):
        blocks = [block for of, block in folder.places if of == number]
        if not blocks:
            continue
        rows = torch.from_numpy(np.concatenate([scan.block_rows(block) for block in blocks]))
        assert scan.labels_N is not None
        labels_N = torch.from_numpy(np.array(scan.labels_N))
        yield predict_scan(model, scan, reading, config)[rows], labels_N[rows]
