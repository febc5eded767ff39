"""CamVid and CCP at full size with cross entropy and with the center collapse regularizer.

One process for each method and seed, all on the one GPU; each goes through the tasks in turn, so
the runs that are compared train beside each other. After a pilot inside the warm-up the processes
agree on the number of epochs that all of them can finish in the task's share of the time, so that
every schedule ends at zero and every run of a task has the same length.

The images live on the GPU, where batches are augmented as
``equiseg.data.images.transforms.augment`` does
(scale, crop, flip, brightness, contrast, saturation; the same ranges), save that images are
not smoothed before they are made smaller: six processes would need more CPU than there is. The
rest is what a training run of the package does: its configurations, criterion, features, score,
AdamW groups and schedule, the weights with the best mIoU on val, tested once.
"""

from __future__ import annotations

import copy
import functools
import json
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch import multiprocessing as mp
from torch.nn import functional as F

from benchmarks.gpu.section import Section
from equiseg import ClassStatistics, FeatureTap, FrequencyGroups
from equiseg.data.config import DataConfig
from equiseg.data.images.transforms import AugmentConfig
from equiseg.data.sources import open_split
from equiseg.evaluation.image_inference import predict_logits
from equiseg.models import build_model, rebuild_model
from equiseg.training.config import ModelConfig, OptimizerConfig, TrainConfig
from equiseg.training.criterion import build_criterion
from equiseg.training.optimizer import build_optimizer, learning_rate_factor

if TYPE_CHECKING:
    from equiseg import Score

METHODS = ("cross_entropy", "ceco")
_PRETRAINED = OptimizerConfig(encoder_lr=0.5)
# What is trained, and for how long if time allows; by the task's share of all time.
TASKS: dict[str, tuple[TrainConfig, float]] = {
    "camvid fpn-small": (TrainConfig(DataConfig("camvid"), epochs=100, val_every=5), 3),
    "camvid fpn-lite0": (
        TrainConfig(
            DataConfig("camvid"),
            ModelConfig("fpn-lite0"),
            optimizer=_PRETRAINED,
            epochs=60,
            val_every=3,
        ),
        3,
    ),
    "ccp fpn-lite0": (
        TrainConfig(
            DataConfig("ccp"),
            ModelConfig("fpn-lite0"),
            optimizer=_PRETRAINED,
            epochs=60,
            val_every=3,
        ),
        4,
    ),
}
_PILOT = 2  # epochs before the number of epochs is agreed
_MARGIN = 0.9  # of the time that is left, what the agreed epochs may fill
_LAST_SECONDS = 4.0  # of the section, for what takes longer than foreseen
_READERS = 3  # threads of a process that decode images
_EVALUATION_BATCH = 16
_TINY_IMAGES, _TINY_SIZE = 8, (48, 64)
_SHOWN = ("miou", "mean_accuracy", "head", "common", "tail")


def training(section: Section) -> None:
    """All runs; each appears in training.jsonl as it ends."""
    if section.data is None:
        raise ValueError("training needs --data, the folder that benchmarks/gpu/inputs.py made")
    results = section.out / "training.jsonl"
    results.unlink(missing_ok=True)
    section.seeds = section.seeds[:1] if section.tiny else section.seeds
    jobs = [(method, seed) for seed in section.seeds for method in METHODS]
    context = mp.get_context("spawn")
    pace = Pace(context, len(jobs))
    section.facts["processes beside each other"] = len(jobs)
    place = (section.data, results, section.device, section.tiny, section.ends - _LAST_SECONDS)
    processes = [
        context.Process(target=_work, args=(job, number, pace, *place))
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
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    _report(section, [json.loads(line) for line in lines])


def _report(section: Section, runs: list[dict[str, Any]]) -> None:
    """A row a run, and the mean of each method."""
    hidden = ("curve", "iou", "traceback")
    for task in TASKS:
        of_task = [run for run in runs if run["task"] == task]
        for method in METHODS:
            rows = [
                {key: value for key, value in run.items() if key not in hidden}
                for run in sorted(of_task, key=lambda run: run["seed"])
                if run["method"] == method
            ]
            for row in rows:
                section.add(row)
            scored = [row for row in rows if "miou" in row]
            if missing := len(section.seeds) - len(scored):
                section.skipped.append(f"{task}, {method}: {missing} runs without a score")
            if scored:
                means = {
                    key: sum(row[key] for row in scored) / len(scored)
                    for key in ("val_miou", *_SHOWN)
                }
                seeds = f"mean of {len(scored)}"
                section.add({"task": task, "method": method, "seed": seeds} | means)
    failed = [run for run in runs if "traceback" in run]
    for run in failed:
        section.facts[f"{run['task']}, {run['method']}, {run['seed']}"] = run["traceback"]


class Pace:
    """The processes of a comparison, agreeing on one number."""

    def __init__(self, context: Any, processes: int) -> None:
        self._barrier = context.Barrier(processes)
        self._numbers = context.Array("q", processes)

    def least(self, process: int, number: int) -> int:
        """The least of everybody's numbers; one's own, once somebody has left."""
        self._numbers[process] = number
        if not self.wait():
            return number
        least = min(self._numbers)
        self.wait()  # nobody writes the next number before all have read this one
        return least

    def wait(self) -> bool:
        """Wait for the others; False once somebody has left."""
        try:
            self._barrier.wait(timeout=60)
        except threading.BrokenBarrierError:
            return False
        return True

    def leave(self) -> None:
        """Let the others go on alone."""
        self._barrier.abort()


def _work(
    job: tuple[Any, int],
    number: int,
    pace: Pace,
    data: Path,
    results: Path,
    device: str,
    tiny: bool,
    ends: float,
) -> None:
    """One method and seed through all tasks."""
    import_module("equiseg.metrics")  # takes seconds, which no pilot should count
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    method, seed = job
    weights = data / "lite0.safetensors"
    costs = [cost for _, cost in TASKS.values()]
    for place, (task, (config, cost)) in enumerate(TASKS.items()):
        config = replace(config, method=method, seed=seed, precision="bf16")
        config = replace(config, data=replace(config.data, root=str(data / config.data.card)))
        if tiny:
            shrunk = replace(config.data, size=_TINY_SIZE)
            config = replace(config, data=shrunk, epochs=4, val_every=2, batch_size=4)
        run: dict[str, Any] = {"task": task, "method": method, "seed": seed}
        try:
            splits = _load(config.data, device, tiny)
            pace.wait()
            start = time.monotonic()
            deadline = start + (ends - start) * cost / sum(costs[place:])
            run |= train(config, splits, device, weights, deadline, lambda n: pace.least(number, n))
            run["seconds"] = time.monotonic() - start
        except Exception:
            pace.leave()
            run["traceback"] = traceback.format_exc().splitlines()
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(run) + "\n")


@dataclass(frozen=True)
class Split:
    """One split in the memory of the device.

    Attributes:
        images: (N, 3, H, W) uint8.
        labels: (N, H, W) uint8.
        statistics: Of the labels.
        ignore_index: Label of what is not labelled.
    """

    images: Tensor
    labels: Tensor
    statistics: ClassStatistics
    ignore_index: int


@functools.lru_cache(maxsize=1)  # two tasks in a row share their data
def _load(config: DataConfig, device: str, tiny: bool) -> dict[str, Split]:
    splits = {}
    for name in ("train", "val", "test"):
        data = open_split(config, name)
        some = range(min(len(data), _TINY_IMAGES) if tiny else len(data))
        with ThreadPoolExecutor(_READERS) as readers:
            samples = list(readers.map(data.__getitem__, some))
        labels = [sample.labels for sample in samples]
        splits[name] = Split(
            torch.stack([sample.image for sample in samples]).to(device),
            torch.stack(labels).to(device),
            ClassStatistics.from_labels(
                labels, len(data.classes), ignore_index=data.ignore_index
            ),
            data.ignore_index,
        )
    return splits


def train(
    config: TrainConfig,
    splits: dict[str, Split],
    device: str,
    weights: Path,
    deadline: float,
    agree: Callable[[int], int],
) -> dict[str, Any]:
    """One run.

    Args:
        config: The run; its epochs are the most it makes.
        splits: Train, val and test.
        device: "cuda" or "cpu".
        weights: ImageNet weights of the encoder of fpn-lite0.
        deadline: When it must have ended, on the monotonic clock.
        agree: Takes the epochs this process can make, gives those that all of them can.

    Returns:
        Epochs, the validation curve, and the test scores of the weights best on val.
    """
    data, optimizer_config = splits["train"], config.optimizer
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    model = _model(config.model.name, len(data.statistics.pixels_K), weights)
    model = model.to(device, memory_format=torch.channels_last)
    tap = FeatureTap(model, layer=model.classifier_name)
    criterion = build_criterion(config.method, data.statistics, tap.in_features, data.ignore_index)
    criterion = criterion.to(device)
    optimizer = build_optimizer(model, criterion, optimizer_config)
    peaks = [group["lr"] for group in optimizer.param_groups]

    epochs, steps_per_epoch = config.epochs, len(data.images) // config.batch_size
    curve: list[dict[str, float]] = []
    best, best_epoch, best_weights = -1.0, 0, {}
    epoch = 0
    while epoch < epochs and time.monotonic() < deadline:
        start = time.monotonic()
        model.train()
        losses = []
        batches = torch.randperm(len(data.images), generator=generator).split(config.batch_size)
        for index, chosen in enumerate(batches[:steps_per_epoch]):
            step = epoch * steps_per_epoch + index
            factor = learning_rate_factor(step, epochs * steps_per_epoch, optimizer_config)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            images, labels = augmented(data, chosen, config.data.augment, generator)
            with torch.autocast(device, torch.bfloat16):
                parts = criterion(model(images), tap.features, labels)
            loss = torch.stack(list(parts.values())).sum()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), optimizer_config.clip)
            optimizer.step()
            losses.append(loss.detach())
        epoch += 1
        mean_loss = float(torch.stack(losses).mean())
        if mean_loss != mean_loss:
            raise ValueError(f"the loss is not a number in epoch {epoch}")
        epoch_seconds = time.monotonic() - start
        if epoch % config.val_every and epoch not in (epochs, _PILOT):
            continue
        score = evaluate(model, splits["val"], data.statistics, device)
        curve.append({"epoch": epoch, "loss": mean_loss} | _of(score, ("miou", *_SHOWN[2:])))
        if score.miou > best:
            best, best_epoch = score.miou, epoch
            best_weights = copy.deepcopy(model.state_dict())
        if epoch == _PILOT:
            val_seconds = time.monotonic() - start - epoch_seconds
            test_seconds = val_seconds * len(splits["test"].images) / len(splits["val"].images)
            left = _MARGIN * (deadline - time.monotonic()) - test_seconds
            more = left / (epoch_seconds + val_seconds / config.val_every)
            epochs = agree(max(_PILOT, min(config.epochs, _PILOT + int(more))))
    if not best_weights:
        raise TimeoutError(f"no time for a validation, only for {epoch} epochs")
    model.load_state_dict(best_weights)
    score = evaluate(model, splits["test"], data.statistics, device)
    return {
        "epochs": epoch,
        "agreed": epochs,
        "planned": config.epochs,
        "best epoch": best_epoch,
        "val_miou": best,
        **_of(score, _SHOWN),
        "iou": [round(value, 4) for value in score.iou_K.tolist()],
        "curve": curve,
    }


def _model(name: str, num_classes: int, weights: Path) -> nn.Module:
    """A network as the package builds it, the weights of lite0 from a file."""
    if name != "fpn-lite0":
        return build_model(name, num_classes)
    from safetensors.torch import load_file

    model = rebuild_model(name, num_classes)
    model.encoder.load_state_dict(load_file(weights))  # half precision is widened here
    return model


def augmented(
    split: Split, chosen: Tensor, config: AugmentConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A batch of random windows, flipped and recoloured; images in [0, 1], labels int64.

    The window is a part of the image, or the image a part of the window, at any offset; beyond
    the border it is grey and unlabelled.
    """
    device = split.images.device
    images = split.images[chosen.to(device)].float() / 255
    labels = split.labels[chosen.to(device)].float()
    batch, _, height, width = images.shape
    crop = config.crop or (height, width)
    low, high = config.scale
    draws = torch.rand(batch, 7, generator=generator)
    scale = low * (high / low) ** draws[:, 0]
    window_y, window_x = (side / scale / of for side, of in zip(crop, (height, width), strict=True))
    mirror = torch.where(draws[:, 1] < config.flip, -1.0, 1.0)
    # In units of half an image, around its middle: the window's extent and offset.
    affine = torch.zeros(batch, 2, 3)
    affine[:, 0, 0] = window_x * mirror
    affine[:, 1, 1] = window_y
    affine[:, 0, 2] = (1 - window_x) * (2 * draws[:, 2] - 1)
    affine[:, 1, 2] = (1 - window_y) * (2 * draws[:, 3] - 1)
    strengths = torch.tensor([config.brightness, config.contrast, config.saturation])
    factors = 1 + strengths * (2 * draws[:, 4:] - 1)
    affine, factors = affine.to(device), factors.to(device)

    grid = F.affine_grid(affine, [batch, 3, *crop], align_corners=False)
    border = torch.tensor([0.486, 0.455, 0.408], device=device).view(3, 1, 1)  # a natural grey
    images = F.grid_sample(images - border, grid, align_corners=False) + border
    # One more than the label: zero is what lies beyond the border.
    labels = labels.unsqueeze(1) + 1
    labels = F.grid_sample(labels, grid, mode="nearest", align_corners=False)
    labels = labels.squeeze(1).round().long() - 1
    labels = labels.masked_fill(labels < 0, split.ignore_index)

    brightness, contrast, saturation = factors.view(batch, 3, 1, 1, 1).unbind(1)
    weights = torch.tensor([0.299, 0.587, 0.114], device=device).view(3, 1, 1)
    images = images * brightness
    mean = (images.mean((2, 3), keepdim=True) * weights).sum(1, keepdim=True)
    images = mean + (images - mean) * contrast
    grey = (images * weights).sum(1, keepdim=True)
    images = (grey + (images - grey) * saturation).clamp(0, 1)
    return images.contiguous(memory_format=torch.channels_last), labels


def evaluate(model: nn.Module, split: Split, training: ClassStatistics, device: str) -> Score:
    """The score of a split; head, common and tail by the training labels."""
    from equiseg import SegmentationScore

    groups = FrequencyGroups.from_counts(training.pixels_K)
    score = SegmentationScore(
        len(training.pixels_K), ignore_index=split.ignore_index, groups=groups
    ).to(device)
    model.eval()
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16):
        for images, labels in zip(
            split.images.split(_EVALUATION_BATCH),
            split.labels.split(_EVALUATION_BATCH),
            strict=True,
        ):
            inputs = (images.float() / 255).contiguous(memory_format=torch.channels_last)
            score.update(predict_logits(model, inputs, TrainConfig().evaluation), labels)
    return score.compute()


def _of(score: Score, names: Iterable[str]) -> dict[str, float]:
    return {name: round(float(getattr(score, name)), 4) for name in names}
