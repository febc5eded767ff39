"""FeatureTap: read the input of a model's pixel classifier without editing the model."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd  # every convolution, 1D to 3D, also transposed

# Parts that DDP, torch.compile, FSDP and checkpoint wrappers add to a dotted name.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}


class FeatureTap:
    """The input features of a model's pixel classifier in the latest forward pass.

    The classifier is the one Linear or ungrouped convolution with `num_classes` outputs. Auxiliary
    heads (a part of their name starts with "aux") are never chosen unless named. If several layers
    fit or none does, the error lists them.

    The features are the INPUT of that layer, after the dropout that most transformers and SMP
    heads have in front of it. `layer` may name any module that takes one channels-first tensor:
    name the dropout itself ("decode_head.dropout") to read before it, as the published CeCo code
    does. If the layer runs several times in one forward, the last run counts.

    - Features and graph can be read any number of times until a backward pass reaches them. The
      tap releases them after that backward pass, at the next forward, or at `remove()`.
    - DistributedDataParallel: tap before or after wrapping. DataParallel raises an error.
    - torch.compile: tap before the first compiled call. The tap breaks the graph at the layer;
      `remove()` it for fullgraph=True, torch.export or torch.jit.script.
    - Activation checkpointing: use_reentrant=False, or leave the classifier outside of it.
    - The state_dict does not change; a copied or pickled model contains nothing of the tap.

    Args:
        model: The model; each call of it produces features.
        layer: The classifier, as the module itself or as its dotted name (with or without wrapper
            parts such as "module."). Default: search for it.
        num_classes: Number of outputs of the classifier, to find it or to check `layer`. Required
            without `layer`, unless the model has a single Linear or convolution.

    Attributes:
        name: Dotted name of the layer in `model`.
        layer: The module whose input is read.
        num_classes: Number of outputs of the layer; the given value if it is neither Linear nor
            convolution.

    Raises:
        TypeError: If `model` is not a module, or `layer` is neither a name nor a module.
        ValueError: If no layer fits or more than one does.

    Examples:
        >>> import torch
        >>> from equiseg import CenterCollapseLoss, FeatureTap
        >>> from equiseg.losses import CrossEntropyLoss
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 5, 1))
        >>> tap = FeatureTap(model, num_classes=5)
        >>> pixel_loss, center_loss = CrossEntropyLoss(5), CenterCollapseLoss(5, tap.in_features)
        >>> images, labels = torch.rand(2, 3, 16, 16), torch.randint(0, 5, (2, 16, 16))
        >>> logits = model(images)
        >>> loss = pixel_loss(logits, labels) + center_loss(tap.features, labels)
        >>> loss.backward()
    """

    def __init__(
        self, model: nn.Module, layer: str | nn.Module | None = None, num_classes: int | None = None
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        self.name = _find(model, layer, num_classes)
        self.layer = model.get_submodule(self.name)
        self.num_classes = _widths(self.layer)[1] or num_classes
        if num_classes not in (None, self.num_classes):
            raise ValueError(
                f"num_classes is {num_classes}, but layer {self.name!r} has {self.num_classes} "
                "outputs; name another layer or leave num_classes out"
            )
        self._model = model
        self._features: Tensor | None = None
        self._missing = "it has not run since it was tapped; call model(images) first"
        self._lost_graph = False
        self._stop_watching_backward: Callable[[], None] = lambda: None
        on_model, on_layer = _Hook(self, type(self)._on_model), _Hook(self, type(self)._on_layer)
        self._handles = [
            self._model.register_forward_pre_hook(on_model),
            self.layer.register_forward_pre_hook(on_layer, with_kwargs=True),
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy starts without features and taps the copied model."""
        return type(self), (self._model, self.layer, self.num_classes)

    @property
    def in_features(self) -> int:
        """Number of channels: as the layer declares it, else of the latest features."""
        return _widths(self.layer)[0] or self.features.shape[1]

    @property
    def features(self) -> Tensor:
        """The latest features, (B, C, *spatial) or (N, C), with their autograd graph.

        The channels-last input of a Linear is transposed: (B, H, W, C) becomes (B, C, H, W), and
        tokens (B, N, C) become (B, C, N), which match labels of shape (B, N).

        Raises:
            RuntimeError: If there are no features, or they lack the graph that training needs.
        """
        if self._features is None:
            raise RuntimeError(f"no features of layer {self.name!r}: {self._missing}")
        if self._lost_graph and torch.is_grad_enabled():
            raise RuntimeError(
                f"the features of layer {self.name!r} have no graph: it ran in training mode with "
                "gradients disabled, as in a reentrant checkpoint; checkpoint with use_reentrant="
                "False or leave the layer out of it, or read them under torch.no_grad()"
            )
        if isinstance(self.layer, nn.Linear):
            return self._features.movedim(-1, 1)
        return self._features

    def remove(self) -> None:
        """Remove the tap from the model and release the features."""
        while self._handles:
            self._handles.pop().remove()
        self._release("the tap was removed; make a new FeatureTap")

    def __enter__(self) -> FeatureTap:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def _on_model(self, *_: object) -> None:
        # Features of an earlier forward must not be mistaken for new ones nor keep their graph.
        self._release(
            "it did not run in the model's last forward; name the layer that makes the logits (or "
            "call torch.compiler.reset(), if the model was compiled and called before the tap)"
        )

    def _on_layer(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if layer is not self.layer:
            raise RuntimeError(
                f"layer {self.name!r} runs as a replica on part of the batch, as in DataParallel; "
                "use DistributedDataParallel, or remove() the tap"
            )
        features = next(iter((*args, *kwargs.values())), None)
        if not isinstance(features, Tensor):
            raise TypeError(
                f"layer {self.name!r} takes a {type(features).__name__}, a tap needs a tensor; "
                "name the layer that makes the logits"
            )
        self._release("")
        self._features = features
        self._lost_graph = layer.training and not torch.is_grad_enabled()
        if features.requires_grad:
            tap_ref = weakref.ref(self)  # else tap, features and graph would keep each other alive

            def on_backward(_: Tensor) -> None:
                if (tap := tap_ref()) is not None:
                    tap._release("a backward pass has freed them; read tap.features before it")

            self._stop_watching_backward = features.register_hook(on_backward).remove  # type: ignore[no-untyped-call]

    def _release(self, missing: str) -> None:
        self._features, self._missing = None, missing
        self._stop_watching_backward()


class _Hook:
    """A forward pre-hook with a weak reference to its tap: the model does not keep the tap."""

    def __init__(self, tap: FeatureTap, method: Callable[..., None]) -> None:
        tap_ref = weakref.ref(tap)

        def run(*args: Any) -> None:
            tap = tap_ref()
            recomputing = torch._C._current_graph_task_id() != -1  # a checkpoint's, in backward
            if tap is not None and not recomputing:
                method(tap, *args)

        # Neither weak references nor tensor hooks can be traced.
        self._run = torch.compiler.disable(run)  # type: ignore[no-untyped-call]

    def __call__(self, *args: Any) -> None:
        self._run(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copied or pickled model gets a callable of the standard library that does nothing."""
        return getattr, (contextlib.nullcontext(), "__exit__")


def _widths(layer: nn.Module) -> tuple[int, int] | tuple[None, None]:
    """Number of inputs and outputs if the layer is of a kind that can be a classifier."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return (layer.in_channels, layer.out_channels) if isinstance(layer, _ConvNd) else (None, None)


def _find(model: nn.Module, layer: str | nn.Module | None, num_classes: int | None) -> str:
    """The dotted name of the one module that fits."""
    modules = dict(model.named_modules(remove_duplicate=not isinstance(layer, str)))
    maps = {name: module for name, module in modules.items() if _widths(module)[1]}
    found: list[str]
    if isinstance(layer, nn.Module):
        found = fits = [name for name, module in modules.items() if module is layer]
    elif isinstance(layer, str):
        fits = [name for name in modules if _bare(name) == _bare(layer)]
        found = [layer] if layer in modules else fits
    elif layer is None:
        fits = [n for n, m in maps.items() if num_classes in (None, _widths(m)[1])]
        fits = [n for n in fits if getattr(modules[n], "groups", 1) == 1]
        found = [n for n in fits if not any(part.startswith("aux") for part in n.split("."))]
    else:
        raise TypeError(f"layer must be a name or a module, got {type(layer).__name__}")
    if len(found) == 1:
        return found[0]
    wanted = f"num_classes={num_classes}" if layer is None else f"layer={layer!r}"
    listing = "".join(f"\n  layer={n!r}: {modules[n]}" for n in (fits or [*maps])[-20:])
    raise ValueError(
        f"{wanted} fits {len(fits) or 'none'} of the layers of {type(model).__name__}; "
        f"{'give num_classes, or ' if num_classes is None else ''}name the layer that makes the "
        f"logits. {'Those that fit' if fits else 'Its last ones'}:{listing}"
    )


def _bare(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
