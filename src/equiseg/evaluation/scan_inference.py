"""Predicting a whole scan: block by block, on one grid of blocks or on several."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from equiseg.data import CachedData
from equiseg.data.points.folder import PointFolder
from equiseg.data.points.formats.scans import channel_names
from equiseg.data.points.reading import ScanReading
from equiseg.data.points.store.scan_store import ScanStore
from equiseg.data.points.voxels import collate_points
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.image_inference import predict_voxels
from equiseg.evaluation.inputs import moved


@torch.inference_mode()
def predict_scan_classes(
    model: nn.Module,
    scan: ScanStore,
    reading: ScanReading,
    config: EvaluationConfig,
    wanted_N: np.ndarray | None = None,
) -> tuple[Tensor, Tensor]:
    """Class ids (N,) int64 of the points of a scan and their probabilities, as the store has them.

    The scan is cut into blocks, each seen with its margin. With several votes this is repeated on
    grids that are shifted by an equal part of a block along both axes; the probabilities of a
    point are averaged over the blocks that contain it. They are stored on disk, next to the scan,
    because for a large scan and many classes they would not fit in memory.

    Args:
        model: The network; runs where its weights are.
        scan: The scan.
        reading: How scans are cut and voxelised for this network.
        config: How many votes, and whether mirrored scans vote too.
        wanted_N: (N,) bool; blocks without a wanted point are skipped, and their ids are not
            meaningful. None predicts all points.
    """
    device = next(model.parameters()).device
    channels = channel_names(reading.features)
    ids_N = np.zeros(len(scan), dtype=np.int64)
    confidences_N = np.zeros(len(scan), dtype=np.float32)
    votes_NK = None
    if config.votes > 1:
        file = tempfile.TemporaryFile(dir=scan.folder.parent)  # noqa: SIM115 - closes with the map
        votes_NK = np.memmap(file, np.float32, shape=(len(scan), len(reading.codes)))
    for vote in range(config.votes):
        shift = (reading.block or 0.0) * vote / config.votes
        for core, rows in scan.windows(reading.block, reading.margin, (shift, shift)):
            if wanted_N is not None and not wanted_N[core].any():
                continue
            sample = scan.sample(core, rows, ignore_index=255, name=scan.name)
            batch, _ = collate_points([sample], reading.voxel_size)
            probabilities_VK = predict_voxels(model, moved(batch, device), config, channels).cpu()
            inner = batch.inverse_N[torch.from_numpy(np.searchsorted(rows, core))]
            shares = probabilities_VK[inner].numpy()
            if votes_NK is not None:
                votes_NK[core] += shares
                shares = votes_NK[core] / (vote + 1)  # each grid saw the point once
            ids_N[core] = shares.argmax(1)
            confidences_N[core] = shares.max(1)
    return torch.from_numpy(ids_N), torch.from_numpy(confidences_N)


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
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Class ids, their probabilities and labels, (N,) each, of every scan with blocks in a split.

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
        rows = np.concatenate([scan.block_rows(block) for block in blocks])
        wanted_N = np.zeros(len(scan), dtype=bool)
        wanted_N[rows] = True
        ids_N, confidences_N = predict_scan_classes(model, scan, reading, config, wanted_N)
        assert scan.labels_N is not None
        labels_N = torch.from_numpy(np.array(scan.labels_N[rows]))
        seen = torch.from_numpy(rows)
        yield ids_N[seen], confidences_N[seen], labels_N
