"""A trained network in one file: its weights and everything needed to use them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from equiseg.data.class_looks import ClassLooks
from equiseg.data.points.reading import ScanReading
from equiseg.foreign_files import FileError, check_file
from equiseg.foreign_text import short
from equiseg.imbalance import FrequencyGroups
from equiseg.models import rebuild_model
from equiseg.models.build import is_own_model
from equiseg.runs.finite import check_finite
from equiseg.whole_files import replace_file

_KEY = "equiseg"
_AGAIN = "get the file again, or repeat the command that trained it"


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
        looks: How classes are written and drawn; None (in older files) writes ids.
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
    """Write weights and card as one safetensors file, whole or not at all.

    Args:
        model: The network.
        card: What it needs to be used.
        path: The file.

    Raises:
        OSError: If it cannot be written; it names the path.
        ValueError: If a weight is NaN or infinite.
    """
    from safetensors.torch import save

    check_finite(model, "", "nothing was saved")
    state = model.state_dict()
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    content = save(tensors, metadata={_KEY: json.dumps(dataclasses.asdict(card))})
    replace_file(path, lambda file: file.write(content))


def load_weights(path: Path) -> tuple[nn.Module, ModelCard]:
    """Read a weights file; no code in it is run.

    Args:
        path: A ``model.safetensors``, or the folder of a run that holds one.

    Raises:
        FileError: If there is no such file, it was not written by equiseg, it is damaged, or its
            weights are NaN, infinite or of another network.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    if (path / "checkpoints").is_dir() and not file.exists():
        raise FileError(f"{path}: this run is not finished; start its train command again")
    if not file.exists():
        raise FileError(f"{file}: no such weights; give a run's folder or its model.safetensors")
    tensors, metadata = _read(file)
    if _KEY not in metadata:
        raise FileError(f"{file}: these weights were not saved by equiseg train")
    card = _card(file, metadata[_KEY])
    _check_numbers(file, card.configuration, tensors)
    if not is_own_model(card.model):  # sizes are compared before memory is taken for them
        with torch.device("meta"):
            _check_weights(file, _built(file, card), tensors)
    model = _built(file, card)
    _check_weights(file, model, tensors)
    model.load_state_dict(tensors)
    try:
        check_finite(model, "", "train again with a lower optimizer.lr, or take an earlier file")
    except ValueError as error:
        raise FileError(f"{file}: {error}") from None
    return model.eval(), card


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata; safetensors compares its header with the size of the file."""
    from safetensors import SafetensorError, safe_open

    check_file(file)
    try:
        with safe_open(file, framework="pt") as handle:
            metadata = handle.metadata() or {}
            names = list(handle.keys())
            return {name: handle.get_tensor(name) for name in names}, metadata
    except OSError as error:
        raise FileError(f"{file}: {error.strerror or error}; check its permissions") from None
    except (SafetensorError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise FileError(f"{file}: not a safetensors file ({short(error)}); {_AGAIN}") from None


def _card(file: Path, text: str) -> ModelCard:
    """The card in the metadata."""
    try:
        values = json.loads(text)
        classes, size = values["classes"], values["size"]
        texts = (values["model"], *classes)
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in texts):
            raise TypeError("model and classes must be names")
        if type(values["ignore_index"]) is not int:
            raise TypeError("ignore_index must be a whole number")
        if size is not None and not _is_size(size):
            raise TypeError(f"size must be two whole numbers, got {size}")
        groups = FrequencyGroups.from_mapping(values["groups"])
        ids = [class_id for _, group in groups for class_id in group]
        if ids and max(ids) >= len(classes):
            raise ValueError(f"groups must be of {len(classes)} classes, got id {max(ids)}")
        configuration = values.get("configuration")
        if not isinstance(configuration, dict | None):
            raise TypeError("configuration must be a mapping")
        return ModelCard(
            values["model"],
            tuple(classes),
            values["ignore_index"],
            tuple(size) if size else None,
            groups,
            configuration,
            _scan_reading(values.get("scans")),
            _looks(values),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(
            f"{file}: the description in its header is damaged "
            f"({type(error).__name__}: {short(error)}); {_AGAIN}"
        ) from None


def _built(file: Path, card: ModelCard) -> nn.Module:
    """The network of a card, without its weights."""
    try:
        return rebuild_model(card.model, len(card.classes), card.configuration)
    except ImportError as error:
        raise ImportError(f"{file}: {error}") from error
    except ValueError as error:
        raise FileError(f"{file}: {error}") from error
    except (KeyError, TypeError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise FileError(
            f"{file}: no network can be built from its header ({short(error)}); {_AGAIN}"
        ) from error


def _check_numbers(file: Path, configuration: Any, tensors: dict[str, Tensor]) -> None:
    """Refuse counts, such as a number of layers, that exceed the number of weights in the file."""
    most = max(sum(value.numel() for value in tensors.values()), 1 << 20)
    pending = [configuration]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, int) and abs(value) > most:
            raise FileError(
                f"{file}: the description in its header has the number {short(value)}, more than "
                f"the file has weights; {_AGAIN}"
            )


def _is_size(size: Any) -> bool:
    whole = isinstance(size, list) and all(type(side) is int and side > 0 for side in size)
    return whole and len(size) == 2


def _check_weights(file: Path, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Refuse tensors that differ from the tensors of the network in name, shape or type."""
    expected = model.state_dict()
    for name in (*expected, *tensors):
        if name not in tensors or name not in expected:
            what = "lacks the weights" if name in expected else "has unknown weights"
            raise FileError(f"{file}: {what} {short(name)}; {_AGAIN}")
        there, here = tensors[name], expected[name]
        if there.shape != here.shape or there.is_floating_point() != here.is_floating_point():
            raise FileError(
                f"{file}: {short(name)} must have shape {tuple(here.shape)} and type {here.dtype}, "
                f"got {tuple(there.shape)} and {there.dtype}; {_AGAIN}"
            )


def _looks(values: dict[str, Any]) -> ClassLooks | None:
    """The looks of classes; older weights have them for scans only."""
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
