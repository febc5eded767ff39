"""Finding the pixel classifier of a network, by its number of outputs or by name."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.conv import _ConvNd  # every convolution, 1D to 3D, also transposed

# Parts that DDP, torch.compile, FSDP and checkpoint wrappers add to a dotted name.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_MOST_LISTED = 20


def widths(layer: nn.Module) -> tuple[int, int] | tuple[None, None]:
    """Number of inputs and outputs if the layer is of a kind that can be a classifier."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    if isinstance(layer, _ConvNd):
        return layer.in_channels, layer.out_channels
    # Sparse libraries have their own classes of convolutions.
    given, made = getattr(layer, "in_channels", None), getattr(layer, "out_channels", None)
    learns = any(True for _ in layer.parameters(recurse=False))
    if type(given) is int and type(made) is int and learns:
        return given, made
    return None, None


def find_layer(model: nn.Module, layer: str | nn.Module | None, num_classes: int | None) -> str:
    """The dotted name of the one module that fits.

    Args:
        model: The network.
        layer: The module, or its name with or without the parts that wrappers add; a part "-1"
            counts from the end of a list, for example "decoder.seg_layers.-1". None searches.
        num_classes: Number of outputs to search for.

    Raises:
        TypeError: If ``layer`` is neither a name nor a module.
        ValueError: If no layer fits or more than one does; the message lists them.
    """
    modules = dict(model.named_modules(remove_duplicate=not isinstance(layer, str)))
    maps = {name: module for name, module in modules.items() if widths(module)[1]}
    found: list[str]
    if isinstance(layer, nn.Module):
        found = fits = [name for name, module in modules.items() if module is layer]
    elif isinstance(layer, str):
        counted = _from_the_start(model, layer)
        fits = [name for name in modules if _bare(name) == _bare(counted)]
        found = [counted] if counted in modules else fits
    elif layer is None:
        fits = [n for n, m in maps.items() if num_classes in (None, widths(m)[1])]
        fits = [n for n in fits if getattr(modules[n], "groups", 1) == 1]
        # A sparse network ends in a Linear or in a convolution of its library: dense layers first.
        fits = [n for n in fits if isinstance(modules[n], (nn.Linear, _ConvNd))] or fits
        found = [n for n in fits if not any(part.startswith("aux") for part in n.split("."))]
    else:
        raise TypeError(f"layer must be a name or a module, got {type(layer).__name__}")
    if len(found) == 1:
        return found[0]
    wanted = f"num_classes={num_classes}" if layer is None else f"layer={layer!r}"
    shown = (fits or [*maps])[-_MOST_LISTED:]
    listing = "".join(f"\n  layer={n!r}: {modules[n]}" for n in shown)
    raise ValueError(
        f"{wanted} fits {len(fits) or 'none'} of the layers of {type(model).__name__}; "
        f"{'give num_classes, or ' if num_classes is None else ''}name the layer that makes the "
        f"logits.{'' if fits else _near_misses(maps, num_classes)} "
        f"{'Those that fit' if fits else 'Its last ones'}:{listing}"
    )


def _near_misses(maps: dict[str, nn.Module], num_classes: int | None) -> str:
    """A sentence on layers with one output more: they have a class "nothing"."""
    near = [n for n, m in maps.items() if num_classes and widths(m)[1] == num_classes + 1]
    if not near:
        return ""
    return (
        f" {near[-1]!r} has num_classes + 1 = {widths(maps[near[-1]])[1]} outputs. If the last one "
        'is "no object", it classifies queries, not pixels: name the layer that makes the pixel '
        "embedding, with output=True. If it is the background, give num_classes with it."
    )


def _from_the_start(model: nn.Module, name: str) -> str:
    """The name with each part such as "-1" replaced by the name of that child."""
    parts: list[str] = []
    for part in name.split("."):
        if part.startswith("-") and part[1:].isdigit():
            try:
                children = [
                    child for child, _ in model.get_submodule(".".join(parts)).named_children()
                ]
                part = children[int(part)]
            except (AttributeError, IndexError):
                return name  # no layer fits; the caller lists the layers
        parts.append(part)
    return ".".join(parts)


def _bare(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
