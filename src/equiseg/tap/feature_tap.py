"""FeatureTap: read the input of a model's pixel classifier without editing the model."""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from equiseg.tap.compare_output import Match, map_size, match_output, outputs_of, tensor_in
from equiseg.tap.find_layer import find_layer, widths


class FeatureTap:
    """The input features of a model's pixel classifier in the latest forward pass.

    The classifier is the one Linear or ungrouped convolution with `num_classes` outputs. Auxiliary
    heads (a part of their name starts with "aux") are never chosen unless named. If several layers
    fit or none does, the error lists them.

    In the first forward the output of the layer is compared with the output of the model. If it is
    not there, also not resized, cropped, scaled or after a softmax, the tap has the wrong layer:
    an error if it was searched for, a warning if you have named it. `compared` has the result.

    The features are the INPUT of that layer, after the dropout that most transformers and SMP
    heads have in front of it. `layer` may name any module that takes one channels-first tensor:
    name the dropout itself ("decode_head.dropout") to read before it, as the published CeCo code
    does. If the layer runs several times in one forward, the last run counts. The features of
    spconv, MinkowskiEngine and torchsparse tensors are (N, C).

    - Features and graph can be read any number of times until a backward pass reaches them. The
      tap releases them after that backward pass, at the next forward, or at `remove()`.
    - A tap that is no longer referenced removes itself from the model.
    - DistributedDataParallel: tap before or after wrapping. DataParallel raises an error.
    - torch.compile: tap before the first compiled call. The tap breaks the graph at the layer;
      `remove()` it for fullgraph=True or torch.jit.script.
    - torch.export, torch.jit.trace, torch.fx and ONNX export record the model without the tap.
    - Activation checkpointing: use_reentrant=False, or leave the classifier outside of it.
    - The state_dict does not change; a copied or pickled model contains nothing of the tap.

    Args:
        model: The model; each call of it produces features.
        layer: The classifier, as the module itself or as its dotted name (with or without wrapper
            parts such as "module."; "decoder.seg_layers.-1" is the last of a list). Default:
            search for it.
        num_classes: Number of outputs of the classifier, to find it or to check `layer`. Required
            without `layer`, unless the model has a single Linear or convolution.
        output: Read the OUTPUT of `layer`, such as the pixel embedding of a network that
            multiplies it with queries or text. Requires `layer`; nothing is compared.

    Attributes:
        name: Dotted name of the layer in `model`.
        layer: The module whose input (or output) is read.
        num_classes: Number of outputs of the layer; the given value if it is neither Linear nor
            convolution.
        compared: A sentence on the comparison with the model's output; empty before it.

    Raises:
        TypeError: If `model` is not a module, or `layer` is neither a name nor a module.
        ValueError: If no layer fits or more than one does, or `output` comes without `layer`. In
            the first forward: if the layer was searched for and does not make the logits.

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
        self,
        model: nn.Module,
        layer: str | nn.Module | None = None,
        num_classes: int | None = None,
        *,
        output: bool = False,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        if output and layer is None:
            raise ValueError(
                "output=True reads the output of a named layer; name it with layer=..."
            )
        self.name = find_layer(model, layer, num_classes)
        self.layer = model.get_submodule(self.name)
        made = None if output else widths(self.layer)[1]
        self.num_classes = made or num_classes
        if num_classes not in (None, self.num_classes):
            raise ValueError(
                f"num_classes is {num_classes}, but layer {self.name!r} has {self.num_classes} "
                "outputs; name another layer or leave num_classes out"
            )
        self.compared = ""
        self._model = model
        self._output = output
        self._searched = layer is None
        self._made: Tensor | None = None  # by the layer, until it is compared
        self._match: Match | None = None
        self._map_size: tuple[int, ...] = ()
        self._features: Tensor | None = None
        self._missing = "it has not run since it was tapped; call model(images) first"
        self._lost_graph = False
        self._stop_watching_backward: Callable[[], None] = lambda: None
        before, after = _Hook(self, type(self)._before_model), _Hook(self, type(self)._after_model)
        at_layer = _Hook(self, type(self)._before_layer)
        behind_layer = _Hook(self, type(self)._after_layer)
        self._handles = [
            self._model.register_forward_pre_hook(before),
            self.layer.register_forward_pre_hook(at_layer, with_kwargs=True),
        ]
        if output or made:
            self._handles.append(self.layer.register_forward_hook(behind_layer))
        if made:
            self._handles.append(self._model.register_forward_hook(after))
        weakref.finalize(self, _remove, self._handles).atexit = False

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy starts without features and taps the copied model."""
        return _copy, (self._model, self.layer, self.num_classes, self._output, self._searched)

    @property
    def in_features(self) -> int:
        """Number of channels: as the layer declares it, else of the latest features."""
        return widths(self.layer)[int(self._output)] or self.features.shape[1]

    @property
    def features(self) -> Tensor:
        """The latest features, (B, C, *spatial) or (N, C), with their autograd graph.

        The channels-last input of a Linear is transposed: (B, H, W, C) becomes (B, C, H, W). Tokens
        (B, N, C) become (B, C, N), which match labels of shape (B, N), unless the model returns
        maps of them: then they become maps, too, (B, C, H, W).

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
        features, size = self._features, self._map_size
        if not isinstance(self.layer, nn.Linear):
            return features
        if size and features.ndim == 2:  # rows of all maps
            return features.reshape(-1, *size, features.shape[1]).movedim(-1, 1)
        features = features.movedim(-1, 1)
        return features.reshape(*features.shape[:2], *size) if size else features

    def remove(self) -> None:
        """Remove the tap from the model and release the features."""
        _remove(self._handles)
        self._release("the tap was removed; make a new FeatureTap")

    def __enter__(self) -> FeatureTap:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def _before_model(self, *_: object) -> None:
        # Features of an earlier forward must not be mistaken for new ones nor keep their graph.
        self._release(
            "it did not run in the model's last forward; name the layer that makes the logits (or "
            "call torch.compiler.reset(), if the model was compiled and called before the tap)"
        )

    def _before_layer(
        self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if layer is not self.layer:
            raise RuntimeError(
                f"layer {self.name!r} runs as a replica on part of the batch, as in DataParallel; "
                "use DistributedDataParallel (start with torchrun), or remove() the tap"
            )
        if not self._output:
            self._keep(next(iter((*args, *kwargs.values())), None), "takes")

    def _after_layer(self, layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if self._output:
            self._keep(output, "gives")
        elif not self.compared:
            made = tensor_in(output)
            self._made = None if made is None else made.detach()

    def _keep(self, value: Any, verb: str) -> None:
        features = tensor_in(value)
        if features is None:
            raise TypeError(
                f"layer {self.name!r} {verb} a {type(value).__name__}, a tap needs a tensor; "
                "name the layer that makes the logits"
            )
        self._release("")
        self._features = features
        self._lost_graph = self.layer.training and not torch.is_grad_enabled()
        if features.requires_grad:
            tap_ref = weakref.ref(self)  # else tap, features and graph would keep each other alive

            def on_backward(_: Tensor) -> None:
                if (tap := tap_ref()) is not None:
                    tap._release("a backward pass has freed them; read tap.features before it")

            self._stop_watching_backward = features.register_hook(on_backward).remove  # type: ignore[no-untyped-call]

    def _after_model(self, model: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if self._made is not None:
            made, self._made = self._made, None
            self._compare(made, output)
        if self._match is not None and self._match.fold and self._features is not None:
            self._fold(outputs_of(output, self.num_classes or 0).get(self._match.path))

    def _compare(self, made: Tensor, output: Any) -> None:
        """Find the layer's output in the model's, once."""
        if isinstance(self.layer, nn.Linear):
            made = made.movedim(-1, 1)
        if not made.isfinite().any():
            return  # nothing to compare yet; the next forward may help
        outputs = outputs_of(output, self.num_classes or 0)
        seen = ", ".join(f"{path} {tuple(value.shape)}" for path, value in outputs.items()).strip()
        layer = f"layer {self.name!r}"
        if not outputs:
            self.compared = (
                f"not compared: the model returns no tensor of {self.num_classes} channels"
            )
            if self._searched:
                warnings.warn(
                    f"{layer} is the only one with {self.num_classes} outputs, but it could not be "
                    f"{self.compared}; name it with layer= if it makes the logits",
                    stacklevel=2,
                )
            return
        self._match = match = match_output(made, outputs)
        first = next(iter(outputs))
        if match is not None:
            change = f", {match.change}" if match.change else ""
            self.compared = f"its output is the model's output{match.path}{change}"
            if match.path != first and self._searched:
                warnings.warn(
                    f"{layer} makes the model's output{match.path}, not its first one, "
                    f"output{first}; name it with layer= if that is meant",
                    stacklevel=2,
                )
            return
        problem = (
            f"{layer} gives {tuple(made.shape)}, which is not the model's output {seen}, also not "
            "after a resize, a scale or a softmax"
        )
        if self._searched:
            raise ValueError(
                f"{problem}; it may be a hidden layer. Name the layer that makes the logits, "
                f"layer={self.name!r} if it is this one, or, if they are a product with queries or "
                "text, the layer that makes the pixel embedding, with output=True"
            )
        self.compared = f"its output was not found in the model's: {seen}"
        warnings.warn(f"{problem}; is it the right layer?", stacklevel=2)

    def _fold(self, output: Tensor | None) -> None:
        """Note the size of the maps that the model makes of its tokens."""
        assert self._match is not None and self._features is not None
        if output is None:
            return
        rows = self._match.fold == "rows"
        cells = len(self._features) // max(len(output), 1) if rows else self._features.shape[1]
        self._map_size = map_size(cells, output.shape[2:])

    def _release(self, missing: str) -> None:
        self._features, self._missing = None, missing
        self._made, self._map_size = None, ()
        self._stop_watching_backward()


def _remove(handles: list[Any]) -> None:
    while handles:
        handles.pop().remove()


def _copy(
    model: nn.Module, layer: nn.Module, num_classes: int | None, output: bool, searched: bool
) -> FeatureTap:
    tap = FeatureTap(model, layer, num_classes, output=output)
    tap._searched = searched
    return tap


class _Hook:
    """A forward hook with a weak reference to its tap: the model does not keep the tap."""

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
        if torch.compiler.is_exporting() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return  # an exported network has no tap
        self._run(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copied or pickled model gets a callable of the standard library that does nothing."""
        return getattr, (contextlib.nullcontext(), "__exit__")
