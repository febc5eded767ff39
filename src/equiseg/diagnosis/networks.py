"""Opening trained networks: runs and weights of equiseg, and any other checkpoint by a function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from equiseg.dotted_names import find_object
from equiseg.imbalance import ClassStatistics
from equiseg.losses import CenterCollapseLoss, PublishedCenterCollapseLoss
from equiseg.records.run_result import RESULT, read_result
from equiseg.runs.weights import ModelCard, load_weights
from equiseg.tap import FeatureTap
from equiseg.training.checkpoint_files import read_checkpoint
from equiseg.training.config import TrainConfig
from equiseg.training.config_file import read_config
from equiseg.training.criterion import build_criterion

_CENTER_BRANCHES = (CenterCollapseLoss, PublishedCenterCollapseLoss)


@dataclass(frozen=True)
class TrainedNetwork:
    """A network, and what is known of its training.

    Attributes:
        name: What to call it.
        model: The network, in evaluation mode.
        card: What its weights file says; None where a function loaded it.
        folder: The folder of its run; None where there is none.
        config: The configuration of its run; None likewise.
        statistics: Of its training labels, the number of images aside; None where not known.
    """

    name: str
    model: nn.Module
    card: ModelCard | None = None
    folder: Path | None = None
    config: TrainConfig | None = None
    statistics: ClassStatistics | None = None

    def center_branch(self) -> CenterCollapseLoss | None:
        """The regularizer it was trained with; None if there was none or it is not kept.

        Its ``weight`` holds the factor that it had in the sum of losses.
        """
        if self.config is None or self.folder is None or self.statistics is None:
            return None
        layer, ignored = self.model.classifier_name, self.card.ignore_index  # type: ignore[union-attr]
        with FeatureTap(self.model, layer) as tap:  # type: ignore[arg-type]
            method = self.config.method
            criterion = build_criterion(method, self.statistics, tap.in_features, ignored)
        branches = [
            (name, loss, factor)
            for (name, loss), factor in zip(
                criterion.losses.items(), criterion.factors, strict=True
            )
            # a subclass may compute anything
            if isinstance(loss, CenterCollapseLoss) and type(loss) in _CENTER_BRANCHES
        ]
        if not branches:
            return None
        name, branch, factor = branches[-1]
        branch.weight *= factor
        best = self.folder / "checkpoints" / "best.ckpt"
        if best.is_file():
            saved = read_checkpoint(best)
            state = saved["state_dict"] | saved.get("fixed_buffers", {})
            start = f"criterion.losses.{name}."
            branch.load_state_dict(
                {key.removeprefix(start): v for key, v in state.items() if key.startswith(start)}
            )
        elif [*branch.parameters()] or branch.uses_batch_statistics:
            return None  # what it has learned went with the checkpoint
        return branch


def open_network(path: Path, loader: str | None = None) -> TrainedNetwork:
    """Open a trained network.

    Args:
        path: Folder of a run, its ``model.safetensors``, or what ``loader`` reads.
        loader: "file.py:function" or "package.module:function". The function is given the path
            and returns a network that makes logits (B, K, h, w) of images (B, 3, H, W) in [0, 1].
            None reads what equiseg has written.

    Raises:
        ValueError: If there is nothing to open, or the function returns no network.
    """
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    if loader is not None:
        load = find_object(loader, "loader")
        try:
            model = load(path)
        except Exception as error:
            raise ValueError(
                f"loader {loader} failed on {path}: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(model, nn.Module):
            raise ValueError(
                f"loader {loader} must return a torch.nn.Module, got {type(model).__name__}"
            )
        return TrainedNetwork(path.stem, model.eval())
    try:
        model, card = load_weights(path)
    except ValueError as error:
        if (path / "checkpoints").is_dir():  # a run of equiseg that is not finished
            raise
        raise ValueError(
            f"{error}; a checkpoint of other origin needs a function that loads it, --loader "
            "file.py:function"
        ) from error
    folder = path if path.is_dir() else path.resolve().parent
    if not (folder / "config.yaml").is_file():
        return TrainedNetwork(path.stem, model, card)
    statistics, config = None, read_config(folder / "config.yaml")
    if (folder / RESULT).is_file():
        result = read_result(folder)
        images_K = torch.tensor(result["images"])
        # The number of images shifts the log of a prior alone, which no softmax sees.
        statistics = ClassStatistics(torch.tensor(result["pixels"]), images_K, int(images_K.max()))
    return TrainedNetwork(_run_name(folder), model, card, folder, config, statistics)


def is_run(path: Path) -> bool:
    """Whether equiseg wrote it: a folder of a run, or weights beside a configuration."""
    return ((path if path.is_dir() else path.parent) / "config.yaml").is_file()


def check_logits(network: TrainedNetwork, image: Tensor, num_classes: int) -> None:
    """Refuse a network that does not make logits of these classes.

    Args:
        network: Of images.
        image: (3, H, W) in [0, 1].
        num_classes: Number of classes K.

    Raises:
        ValueError: If what it returns is no (1, K, h, w).
    """
    device = next(network.model.parameters()).device
    with torch.inference_mode():
        logits = network.model(image.unsqueeze(0).to(device))
    if not isinstance(logits, Tensor) or logits.ndim != 4:
        kind = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"{network.name}: the network must return logits (B, K, h, w), got {kind}; let the "
            "loader function return a module whose forward gives them, as output.logits of a "
            "transformers model"
        )
    if logits.shape[1] != num_classes:
        raise ValueError(
            f"{network.name}: the network tells {logits.shape[1]} classes apart, the data have "
            f"{num_classes}; name the data it was trained on"
        )


def _run_name(folder: Path) -> str:
    """The variant, for runs in variant/seed as compare makes them."""
    folder = folder.resolve()
    return folder.parent.name if folder.name.startswith("seed") else folder.name
