"""A trained network in one file: its weights and everything needed to use them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from equiseg.data.class_looks import ClassLooks
from equiseg.data.points.reading import ScanReading
from equiseg.imbalance import FrequencyGroups
from equiseg.models import rebuild_model

_KEY = "equiseg"


@dataclass(frozen=True)
class ModelCard:
    """The description of a network in its weights file.

    Attributes:
        model: Name of the architecture.
        classes: Names of the classes.
        ignore_index: Label of what was not labelled in training.
        size: (H, W) the images were resized to; None for their own size.
        groups: Head, common and tail by training frequency.
        configuration: What else building it takes (see ``equiseg.models.rebuild_model``).
        scans: How scans are read, for a network of point clouds; None for images.
        looks: How classes are written and drawn; None, as in older files, for ids.
    """

    model: str
    classes: tuple[str, ...]
    ignore_index: int
    size: tuple[int, int] | None
    groups: FrequencyGroups
    configuration: dict[str, Any] | None = None
    scans: ScanReading | None = None
    looks: ClassLooks | None = None


def save_weights(model: nn.Module, card: ModelCard, path: Path) -> None:
    """Write weights and card as one safetensors file.

    Args:
        model: The network.
        card: What it needs to be used.
        path: The file.
    """
    from safetensors.torch import save_file

    state = model.state_dict()
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    save_file(tensors, path, metadata={_KEY: json.dumps(dataclasses.asdict(card))})


def load_weights(path: Path) -> tuple[nn.Module, ModelCard]:
    """Read a weights file; no code in it is run.

    Args:
        path: A ``model.safetensors``, or the folder of a run that holds one.

    Raises:
        ValueError: If there is no such file or it was not written by equiseg.
    """
    from safetensors import SafetensorError, safe_open

    file = path / "model.safetensors" if path.is_dir() else path
    if (path / "checkpoints").is_dir() and not file.is_file():
        raise ValueError(f"{path}: this run is not finished; start its train command again")
    if not file.is_file():
        raise ValueError(f"{file}: no such weights; give a run's folder or its model.safetensors")
    try:
        with safe_open(file, framework="pt") as handle:
            metadata = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{file}: not a safetensors file ({error})") from error
    if _KEY not in metadata:
        raise ValueError(f"{file}: these weights were not saved by equiseg train")
    values = json.loads(metadata[_KEY])
    card = ModelCard(
        values["model"],
        tuple(values["classes"]),
        values["ignore_index"],
        tuple(values["size"]) if values["size"] else None,
        FrequencyGroups.from_mapping(values["groups"]),
        values.get("configuration"),
        _scan_reading(values.get("scans")),
        _looks(values),
    )
    model = rebuild_model(card.model, len(card.classes), card.configuration)
    model.load_state_dict(tensors)
    return model.eval(), card


def _looks(values: dict[str, Any]) -> ClassLooks | None:
    """How classes are written; older weights say it of scans only."""
    number = len(values["classes"])
    if (looks := values.get("looks")) is not None:
        return ClassLooks.from_mapping(looks, number)
    if (scans := values.get("scans")) is not None:
        return replace(ClassLooks.plain(number), values=tuple(scans["codes"]))
    return None


def _scan_reading(values: dict[str, Any] | None) -> ScanReading | None:
    if values is None:
        return None
    lists = {name: tuple(values[name]) for name in ("features", "codes")}
    return ScanReading(**(values | lists))
