"""Freezing an encoder or its first stages."""

from __future__ import annotations

from torch import nn

_ALL_STAGES = 4


def freeze_encoder(model: nn.Module, stages: int) -> list[nn.Module]:
    """Freeze the first stages of a model's encoder.

    The early stages are the most general, and the most expensive to train because of their large
    maps.

    Args:
        model: A network of :func:`equiseg.models.build_model`.
        stages: 0 to 4, for the maps at strides 4, 8, 16 and 32. Encoders without separate stages
            (all but the FPN's) can only be frozen whole.

    Returns:
        The frozen modules; keep them in eval mode during training, so that their batch statistics
        do not change.

    Raises:
        ValueError: If this number of stages cannot be frozen.
    """
    if not 0 <= stages <= _ALL_STAGES:
        raise ValueError(f"freeze must be 0 to {_ALL_STAGES} encoder stages, got {stages}")
    encoder: nn.Module = model.encoder  # type: ignore[assignment]
    if stages and next(encoder.parameters(), None) is None:
        raise ValueError(
            f"freeze={stages} needs an encoder to freeze; give your network an attribute "
            "'encoder', or use 0"
        )
    if stages == 0:
        frozen: list[nn.Module] = []
    elif stages == _ALL_STAGES:
        frozen = [encoder]
    elif hasattr(encoder, "stage_modules"):
        parts: list[list[nn.Module]] = encoder.stage_modules()  # type: ignore[operator]
        frozen = [module for stage in parts[:stages] for module in stage]
    else:
        raise ValueError(
            f"freeze={stages} needs an encoder with separate stages, as fpn-small and "
            f"fpn-lite0 have; use 0 or {_ALL_STAGES} here"
        )
    for module in frozen:
        module.requires_grad_(False)
    return frozen
