"""Methods: weighted sums of losses, by name or written out."""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from torch import nn

from equiseg import losses
from equiseg.losses.arguments import is_number

METHODS = {
    "ceco": "cross_entropy + center_collapse",
    # The weight they released for Swin-T; 0.2 for Swin-B.
    "ceco_published": "cross_entropy + center_collapse.published(weight=0.8)",
}
_EXAMPLE = "0.5*cross_entropy + 0.5*lovasz + center_collapse(scale=10)"
# What the run gives every loss, or makes of the training labels.
_GIVEN = ("num_classes", "in_features", "ignore_index", "sync", "process_group")


@dataclass(frozen=True)
class Term:
    """One loss of a method.

    Attributes:
        name: As it was written: "focal", "center_collapse.published", "my_losses.MyLoss".
        factor: It counts this many times.
        arguments: Keyword arguments as they were written; of classes, by the name of a formula.
        build: The class, or its constructor of another name.
    """

    name: str
    factor: float
    arguments: dict[str, Any]
    build: Callable[..., nn.Module]

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """What can be given, by name: also what a class hands on to its base as ``**keywords``."""
        if not inspect.isclass(self.build):
            return _named(self.build)[0]
        known: dict[str, inspect.Parameter] = {}
        for cls in self.build.__mro__:
            if "__init__" in vars(cls):
                named, hands_on = _named(cls)
                known = named | known
                if not hands_on:
                    break
        return known

    @property
    def over_features(self) -> bool:
        """Whether the loss is one of the last-layer features; else it is one of the logits."""
        return "in_features" in self.parameters


def _named(build: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """The named parameters of a callable, and whether it takes any others."""
    found = inspect.signature(build).parameters.values()
    hands_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in found)
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {p.name: p for p in found if p.kind not in kinds}, hands_on


def loss_names() -> list[str]:
    """The names of the losses that come with equiseg, each that of its file."""
    found = inspect.getmembers(losses, inspect.isclass)
    bases = (losses.PixelLoss, losses.FeatureLoss)
    return [loss.__module__.rpartition(".")[2] for _, loss in found if loss not in bases]


def parse_method(text: str) -> tuple[Term, ...]:
    """The terms of a method.

    Args:
        text: A named method ("ceco"), a loss ("focal(gamma=1)"), or a weighted sum of losses
            ("0.5*cross_entropy + 0.5*lovasz + center_collapse(scale=10)"). A loss has the name of
            its file, or is a class of your own by its dotted name ("my_losses.MyLoss"). Only
            keyword arguments, with numbers, words, lists, True, False and None as values.

    Raises:
        ValueError: If the text is no such sum, or a loss or an argument is unknown.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise _refused(text, f"{error.msg} at character {error.offset}") from None
    terms = tuple(_term(node, text) for node in _summands(tree))
    names = [term.name for term in terms]
    if twice := {name for name in names if names.count(name) > 1}:
        raise _refused(text, f"{', '.join(sorted(twice))} stands in it twice; add up its factors")
    return terms


def _summands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.Name) and node.id in METHODS:
        return _summands(ast.parse(METHODS[node.id], mode="eval").body)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _summands(node.left) + _summands(node.right)
    return [node]


def _term(node: ast.expr, text: str) -> Term:
    factor: Any = 1.0
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        factor, node = _value(node.left, text), node.right
        if not (is_number(factor) and 0 < factor < math.inf):
            unlike = f"{ast.unparse(node)!r} needs a finite factor above 0, got {factor!r}"
            raise _refused(text, unlike)
    keywords: list[ast.keyword] = []
    if isinstance(node, ast.Call):
        if node.args:
            raise _refused(text, "arguments need their names")
        keywords = node.keywords
        node = node.func
    if not isinstance(node, (ast.Name, ast.Attribute)):
        raise _refused(text, f"{ast.unparse(node)!r} is no loss")
    name = ast.unparse(node)
    if name in METHODS:
        raise _refused(text, f"{name} is a sum, {METHODS[name]}; write it out")
    term = Term(name, float(factor), {}, _constructor(name, text))
    allowed = [parameter for parameter in term.parameters if parameter not in _GIVEN]
    for keyword in keywords:
        if keyword.arg not in allowed:
            known = f"takes {', '.join(allowed)}" if allowed else "takes no argument"
            near = get_close_matches(str(keyword.arg), allowed, 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"method {text!r}: {name} {known}, got {keyword.arg!r}{meant}")
        if keyword.arg in term.arguments:
            raise _refused(text, f"{name} is given {keyword.arg} twice")
        term.arguments[keyword.arg] = _value(keyword.value, text)
    return term


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name):
        return node.id  # prior=image reads better than prior='image'
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise _refused(text, f"{ast.unparse(node)!r} is no number, word or list") from None


def _constructor(name: str, text: str) -> Callable[..., nn.Module]:
    """A loss by its file's name, one of its other constructors, or a class by its dotted name."""
    first, _, rest = name.partition(".")
    found: Any
    if first in loss_names():
        found = getattr(losses, "".join(word.capitalize() for word in first.split("_")) + "Loss")
        if not rest:
            return found  # type: ignore[no-any-return]
        named = [k for k, v in vars(found).items() if isinstance(v, classmethod)]
        if rest not in named:
            raise _refused(text, f"{first} has no constructor {rest!r}, only {named}")
        return getattr(found, rest)  # type: ignore[no-any-return]
    module, _, loss = name.rpartition(".")
    if not module:
        known = (*METHODS, *loss_names())
        written = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().removesuffix("_loss")
        near = get_close_matches(written, known, 1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"method {text!r}: {name} is no loss{meant}; there are {', '.join(known)}, and classes "
            "of yours by their dotted names"
        )
    try:
        source = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(f"method {text!r}: {error}; put its folder on PYTHONPATH") from error
    found = getattr(source, loss, None)
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        reason = "no torch.nn.Module" if hasattr(source, loss) else "not there"
        raise ValueError(f"method {text!r}: {loss!r} in {module} is {reason}")
    return found


def _refused(text: str, reason: str) -> ValueError:
    return ValueError(f"method {text!r}: {reason}; write a sum of losses such as {_EXAMPLE!r}")
