"""Networks of the library transformers with our interface, random or with pretrained weights."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from equiseg.models.architectures import ARCHITECTURES, Architecture
from equiseg.models.wrapped import Anatomy, WrappedNetwork

logger = logging.getLogger(__name__)

_STAGES = ["stage1", "stage2", "stage3", "stage4"]


def build_huggingface(
    architecture: Architecture, num_classes: int, weights: str | Path | None = None
) -> WrappedNetwork:
    """Build a network of the library transformers with our interface.

    Args:
        architecture: One of `ARCHITECTURES`.
        num_classes: Number of classes K.
        weights: None for a random start; else a local folder (as ``save_pretrained`` writes it) or
            a name on the hub, with a segmentation network of this architecture or with its encoder
            alone. Only safetensors are read. Parameters that the weights do not cover start at
            random, are logged as a warning and listed in ``newly_initialised``.

    Raises:
        ImportError: If transformers is not installed.
        FileNotFoundError: If ``weights`` is a path and there is no folder.
        OSError: If the weights cannot be read or downloaded.
        ValueError: If the weights belong to another architecture or size.
    """
    uncovered: list[str] = []
    if weights is None:
        network = _network_class(architecture)(_configuration(architecture, num_classes))
    else:
        network, uncovered = _pretrained(architecture, num_classes, str(weights))
    if uncovered:
        logger.warning(
            "weights %r do not cover these %d entries, which start at random: %s",
            str(weights),
            len(uncovered),
            ", ".join(uncovered),
        )
    return _wrapped(architecture, network, uncovered)


def rebuild_huggingface(
    architecture: Architecture, configuration: dict[str, Any]
) -> WrappedNetwork:
    """Build a network again from its configuration; its weights are loaded later."""
    network_class = _network_class(architecture)
    return _wrapped(architecture, network_class(network_class.config_class(**configuration)))


def _wrapped(
    architecture: Architecture, network: Any, uncovered: Sequence[str] = ()
) -> WrappedNetwork:
    return WrappedNetwork(
        network,
        Anatomy(
            architecture.logits,
            architecture.encoder,
            architecture.classifier,
            architecture.multiple,
            architecture.mean,
            architecture.std,
        ),
        configuration=json.loads(network.config.to_json_string(use_diff=False)),
        newly_initialised=uncovered,
    )


def _network_class(architecture: Architecture) -> Any:
    return getattr(_library(), architecture.network)


def _configuration(architecture: Architecture, num_classes: int) -> Any:
    transformers = _library()
    encoder = dict(architecture.sizes)
    if architecture.backbone is not None:
        backbone_config = getattr(transformers, f"{architecture.backbone}Config")
        encoder = {"backbone_config": backbone_config(out_features=_STAGES, **encoder)}
    return _network_class(architecture).config_class(
        num_labels=num_classes, **encoder, **architecture.defaults, **architecture.settings
    )


def _pretrained(
    architecture: Architecture, num_classes: int, weights: str
) -> tuple[nn.Module, list[str]]:
    """The network with ``weights``, and the names of parameters that they do not cover."""
    transformers = _library()
    source = _folder_or_hub_name(weights)
    with _explained(weights):
        found = transformers.AutoConfig.from_pretrained(source)
    own = _configuration(architecture, num_classes)
    _check_fit(architecture, own, found, weights)
    reading = {"use_safetensors": True, "output_loading_info": True}
    if found.model_type == own.model_type:
        for key, value in {"num_labels": num_classes, **architecture.settings}.items():
            setattr(found, key, value)
        with _explained(weights):
            network, info = _network_class(architecture).from_pretrained(
                source, config=found, ignore_mismatched_sizes=True, **reading
            )
        uncovered = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    else:
        found.out_features = _STAGES
        own.backbone_config = found
        network = _network_class(architecture)(own)
        with _explained(weights):
            network.backbone, info = getattr(
                transformers, f"{architecture.backbone}Backbone"
            ).from_pretrained(source, config=found, **reading)
        uncovered = {key for key in network.state_dict() if not key.startswith("backbone.")}
        uncovered |= {f"backbone.{key}" for key in info["missing_keys"]}
    prefix = f"{architecture.encoder}."
    if {n for n, _ in network.named_parameters() if n.startswith(prefix)} <= uncovered:
        raise ValueError(
            f"weights {weights!r} hold no parameter of the encoder under the name transformers "
            "gives it; convert them to that form first, or start at random with weights=None"
        )
    return network, sorted(uncovered)


def _folder_or_hub_name(weights: str) -> str:
    path = Path(weights).expanduser()
    if path.is_dir():
        return str(path)
    if path.exists() or path.is_absolute() or weights.startswith(".") or weights.count("/") > 1:
        raise FileNotFoundError(
            f"weights must be a folder with config.json and model.safetensors, or a name on the "
            f"hub such as 'nvidia/mit-b0'; there is no folder {str(path)!r} (seen from "
            f"{Path.cwd()}). Check the path, or write the folder with model.save_pretrained"
        )
    return weights


@contextmanager
def _explained(weights: str) -> Iterator[None]:
    """Add advice to the error if ``weights`` cannot be read."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise OSError(
            f"weights {weights!r} could not be read: {error}\n"
            "Give a folder with config.json and model.safetensors, as model.save_pretrained writes "
            "it, or the hub's name of a model that has safetensors. Without a network, fetch it "
            "elsewhere first: hf download NAME --local-dir FOLDER"
        ) from error


def _check_fit(architecture: Architecture, own: Any, found: Any, weights: str) -> None:
    """Refuse weights of another architecture or size, and name the one that fits."""
    whole = found.model_type == own.model_type
    encoder = found.backbone_config if whole and architecture.backbone is not None else found
    wanted = own.model_type if architecture.backbone is None else own.backbone_config.model_type
    family = getattr(encoder, "model_type", None)
    if family != wanted:
        raise ValueError(
            f"weights {weights!r} hold an encoder of the family {family!r}, this architecture has "
            f"{wanted!r}; {_fitting(encoder)}"
        )
    for key, size in architecture.sizes.items():
        seen = _plain(getattr(encoder, key))
        if seen != size:
            raise ValueError(
                f"weights {weights!r} have {key} {seen}, this architecture has {size}; "
                f"{_fitting(encoder)}"
            )


def _fitting(encoder: Any) -> str:
    names = [
        name
        for name, known in ARCHITECTURES.items()
        if all(_plain(getattr(encoder, key, None)) == size for key, size in known.sizes.items())
    ]
    if not names:
        return "no architecture here has that size: give other weights"
    return f"build {' or '.join(map(repr, names))} with them instead"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def _library() -> ModuleType:
    try:
        import transformers
    except ImportError as error:
        raise ImportError('this needs transformers: pip install "equiseg[models]"') from error
    return transformers
