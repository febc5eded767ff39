"""Built-in rooms on a GPU, with cross entropy and with the center collapse regularizer.

One process for each method and seed, all on the one GPU, so the runs that are
compared train beside each other. The processes share out the making of the rooms, and after a
pilot agree on the number of steps that all of them can make. Scans are turned, mirrored, resized
and recoloured on the GPU; the last weights are tested, none are chosen.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch import multiprocessing as mp

from benchmarks.gpu.section import Section
from benchmarks.gpu.training import METHODS, Pace
from equiseg import (
    ClassStatistics,
    FeatureTap,
    FrequencyGroups,
)
from equiseg.data.points.sample import PointSample
from equiseg.data.points.voxels import collate_points
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.data.synthetic.scans.dataset import RoomScans
from equiseg.evaluation.inputs import inverse_of, moved, network_input
from equiseg.models.sparse import (
    MinkUNetSmall,
)
from equiseg.training.config import OptimizerConfig
from equiseg.training.criterion import build_criterion
from equiseg.training.optimizer import build_optimizer, learning_rate_factor

IGNORED = 255
ROOMS = {"train": 240, "test": 80}
_SCANS, _TINY_SCANS = ScansConfig(points=10_000), ScansConfig(num_classes=6, points=1000)
_OPTIMIZER = OptimizerConfig(lr=4e-3)  # as in `equiseg demo --points`
_BATCH, _MOST_STEPS = 8, 3000
_WARM, _PILOT = 6, 16  # steps before the measured ones, and before their number is first agreed
_TESTED_LIKE = 0.5  # of a training step, what a batch of the test takes
_MARGIN, _LAST_SECONDS = 0.8, 4.0


def training(section: Section) -> None:
    """Built-in rooms with cross entropy and with the center collapse regularizer."""
    seeds = section.seeds[:1] if section.tiny else section.seeds
    jobs = [(method, seed) for seed in seeds for method in METHODS]
    context = mp.get_context("spawn")
    pace = Pace(context, len(jobs))
    with tempfile.TemporaryDirectory() as name:
        place = (Path(name), section.device, section.tiny, section.ends - _LAST_SECONDS)
        processes = [
            context.Process(target=_work, args=(job, number, len(jobs), pace, *place))
            for number, job in enumerate(jobs)
        ]
        for process in processes:
            process.start()
        try:
            for process in processes:
                process.join(max(section.left(), 0.1))
        finally:
            for process in processes:
                if process.is_alive():
                    process.terminate()
                    section.skipped.append(f"{process.name}: stopped at the end of the time")
            files = sorted(Path(name).glob("run-*.json"))
            runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    for method in METHODS:
        of_method = [run for run in runs if run["method"] == method]
        for run in of_method:
            if "traceback" in run:
                section.facts[f"{method}, {run['seed']}"] = run.pop("traceback")
            section.add(run)
        if scored := [run for run in of_method if "miou" in run]:
            keys = [key for key in scored[0] if isinstance(scored[0][key], float)]
            means = {key: sum(run[key] for run in scored) / len(scored) for key in keys}
            section.add({"method": method, "seed": f"mean of {len(scored)}"} | means)


def _work(
    job: tuple[Any, int],
    number: int,
    processes: int,
    pace: Pace,
    folder: Path,
    device: str,
    tiny: bool,
    ends: float,
) -> None:
    """One method and seed."""
    torch.set_num_threads(1)
    run: dict[str, Any] = {"method": job[0], "seed": job[1]}
    try:
        config = _TINY_SCANS if tiny else _SCANS
        for split, scans in ROOMS.items():
            data = RoomScans(config, split, 2 * _BATCH if tiny else scans)
            own = [tuple(data[index]) for index in range(number, len(data), processes)]
            torch.save(own, folder / f"{split}-{number}.pt")
        if not pace.wait():
            raise RuntimeError("another process could not make its rooms")
        splits = {
            split: [
                PointSample(
                    *(moved(part, device) if torch.is_tensor(part) else part for part in scan)
                )
                for file in sorted(folder.glob(f"{split}-*.pt"))
                for scan in torch.load(file)
            ]
            for split in ROOMS
        }
        run |= _train(
            *job, splits, config.num_classes, device, ends, lambda n: pace.least(number, n)
        )
    except Exception:
        run["traceback"] = traceback.format_exc().splitlines()
    finally:
        pace.leave()
    (folder / f"run-{number}.json").write_text(json.dumps(run), encoding="utf-8")


def _train(
    method: Any,
    seed: int,
    splits: dict[str, list[PointSample]],
    classes: int,
    device: str,
    ends: float,
    agree: Callable[[int], int],
) -> dict[str, Any]:
    """Train as many steps as all processes can make, and test."""
    scans, start = splits["train"], time.monotonic()
    statistics = ClassStatistics.from_labels([s.labels_N.cpu() for s in scans], classes, ignore_index=IGNORED)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = MinkUNetSmall(3, classes).to(device)
    model.standardize.measure(scan.features_NC for scan in scans)
    tap = FeatureTap(model, layer=model.classifier_name)
    criterion = build_criterion(method, statistics, tap.in_features, IGNORED)
    criterion = criterion.to(device)
    optimizer = build_optimizer(model, criterion, _OPTIMIZER)
    peaks = [group["lr"] for group in optimizer.param_groups]
    steps, step, losses, order = _MOST_STEPS, 0, [], torch.empty(0).long()
    seen, asked = _WARM, _PILOT
    while step < steps and time.monotonic() < ends:
        if step == _WARM:
            measured = time.monotonic()
        if step == asked:
            seconds = (time.monotonic() - measured) / (step - seen)
            test = _TESTED_LIKE * seconds * len(splits["test"]) / _BATCH
            more = (_MARGIN * (ends - time.monotonic()) - test) / seconds
            steps = agree(max(step + 1, min(steps, step + int(more))))
            # Again halfway to the end: whatever slows down, the rate comes to zero in time.
            measured, seen, asked = time.monotonic(), step, max(step + 1, (step + steps) // 2)
        factor = learning_rate_factor(step, steps, _OPTIMIZER)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        if len(order) < _BATCH:
            order = torch.randperm(len(scans), generator=generator)
        chosen, order = order[:_BATCH], order[_BATCH:]
        batch, labels = _batch([_changed(scans[i], generator) for i in chosen])
        parts = criterion(model(network_input(batch)), tap.features, labels, inverse_of(batch))
        loss = torch.stack(list(parts.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), _OPTIMIZER.clip)
        optimizer.step()
        losses.append(parts["pixel"].detach())
        step += 1
    last = float(torch.stack(losses[-50:]).mean())
    if not math.isfinite(last):
        raise ValueError(f"the loss is {last} after {step} steps")
    scores = _test(model, splits["test"], statistics)
    seconds = time.monotonic() - start
    return {"steps": step, "agreed": steps, "seconds": seconds, "last cross entropy": last} | scores


def _batch(scans: list[PointSample]) -> tuple[Any, Tensor]:
    return collate_points(scans, RoomScans.voxel_size)


def _changed(scan: PointSample, generator: torch.Generator) -> PointSample:
    """Turned about the vertical, mirrored, resized within a tenth, another lamp, noisy colours."""
    draws = torch.rand(6, generator=generator)
    angle, scale = 2 * math.pi * float(draws[0]), 0.9 * (1.1 / 0.9) ** float(draws[1])
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    mirror = -1 if draws[2] < 0.5 else 1
    turn_33 = torch.tensor([[mirror * cosine, -sine, 0], [mirror * sine, cosine, 0], [0, 0, scale]])
    xyz_N3 = scan.xyz_N3 @ turn_33.to(scan.xyz_N3).T
    colours_NC = scan.features_NC + 0.1 * (draws[3:] - 0.5).to(scan.features_NC)
    colours_NC = (colours_NC + 0.05 * torch.randn_like(colours_NC)).clamp(0, 1)
    return scan._replace(xyz_N3=xyz_N3, features_NC=colours_NC)


@torch.inference_mode()
def _test(
    model: nn.Module, scans: list[PointSample], statistics: ClassStatistics
) -> dict[str, float]:
    """Mean IoU over the points, also of the groups; none needs more packages than torch."""
    classes = len(statistics.pixels_K)
    confusion = torch.zeros(classes**2, dtype=torch.int64)
    model.eval()
    for first in range(0, len(scans), _BATCH):
        batch, labels = _batch(scans[first : first + _BATCH])
        predicted = model(network_input(batch)).argmax(1)[batch.inverse_N]
        confusion += torch.bincount(labels * classes + predicted, minlength=classes**2).cpu()
    confusion_KK = confusion.view(classes, classes).double()
    hit_K, labelled_K = confusion_KK.diagonal(), confusion_KK.sum(1)
    iou_K = hit_K / (labelled_K + confusion_KK.sum(0) - hit_K)
    groups = dict(FrequencyGroups.from_counts(statistics.pixels_K))
    scores = {"miou": iou_K, "mean accuracy": hit_K / labelled_K}
    scores |= {name: iou_K[list(ids)] for name, ids in groups.items()}
    return {name: float(values.nanmean()) for name, values in scores.items()}
