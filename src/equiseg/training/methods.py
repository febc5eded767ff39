"""Methods: weighted sums of losses, by name or written out."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

from torch import nn

from equiseg import losses
from equiseg.dotted_names import absolute_name, find_object
from equiseg.foreign_text import short
from equiseg.losses.arguments import is_number
from equiseg.typed_options import LARGEST

METHODS = {
    "ceco": "cross_entropy + center_collapse",
    # The weight they released for Swin-T; 0.2 for Swin-B.
    "ceco_published": "cross_entropy + center_collapse.published(weight=0.8)",
}
_EXAMPLE = "0.5*cross_entropy + 0.5*lovasz + center_collapse(scale=10)"
# What the run gives every loss.
_GIVEN = ("num_classes", "in_features", "ignore_index", "sync")
# Older names of arguments, as configurations and studies on disk have them.
_RENAMED = {
    "weighted_cross_entropy": {"weight": "class_weight"},
    "focal": {"alpha": "class_weight"},
}
# A quoted name, or a file and a name: what Python's own syntax does not read as one name.
_FILE_NAME = re.compile(r"""'[^']*'|"[^"]*"|(?P<file>[^\s+*(),=\[\]'"]+\.py:\w+)""")


@dataclass(frozen=True)
class Term:
    """One loss of a method.

    Attributes:
        name: As it was written: "focal", "center_collapse.published", "my_losses.MyLoss",
            "folder/file.py:MyLoss".
        factor: It counts this many times.
        arguments: Keyword arguments as they were written; of classes, by the name of a formula.
        build: The class, or its constructor of another name.
    """

    name: str
    factor: float
    arguments: dict[str, Any]
    build: Callable[..., nn.Module]

    @property
    def key(self) -> str:
        """The name in logs and state dicts: without the folder of a file, and without dots."""
        place, _, attribute = self.name.rpartition(":")
        if place.endswith(".py"):
            return f"{Path(place).stem}_{attribute}"
        return self.name.replace(".", "_").replace(":", "_")

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
    """The named parameters of a callable with their types, and whether it takes any others."""
    found = inspect.signature(build).parameters.values()
    hands_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in found)
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    function: Any = vars(build).get("__init__") if inspect.isclass(build) else build
    return {p.name: _typed(p, function) for p in found if p.kind not in kinds}, hands_on


def _typed(parameter: inspect.Parameter, function: Any) -> inspect.Parameter:
    """The parameter with its type instead of the type's text, where the text can be resolved."""
    alone = SimpleNamespace(__annotations__={"it": parameter.annotation})
    names = getattr(function, "__globals__", {})
    try:
        return parameter.replace(annotation=get_type_hints(alone, names, {}, True)["it"])
    except Exception:  # a name that only type checkers import: not one of ours
        return parameter


def loss_names() -> list[str]:
    """The names of the losses of equiseg; each is the name of its file."""
    found = inspect.getmembers(losses, inspect.isclass)
    bases = (losses.PixelLoss, losses.FeatureLoss)
    return [loss.__module__.rpartition(".")[2] for _, loss in found if loss not in bases]


def parse_method(text: str) -> tuple[Term, ...]:
    """The terms of a method.

    Args:
        text: A named method ("ceco"), a loss ("focal(gamma=1)"), or a weighted sum of losses
            ("0.5*cross_entropy + 0.5*lovasz + center_collapse(scale=10)"). A loss has the name of
            its file; a class of your own is named "my_losses.MyLoss" or "folder/file.py:MyLoss"
            (in quotes where the path has spaces or operators). Only keyword arguments, with
            numbers, words, lists, True, False and None as values.

    Raises:
        ValueError: If the text is no such sum, or a loss or an argument is unknown.
    """
    try:
        tree = ast.parse(_quoted(text.strip()), mode="eval").body
    except SyntaxError as error:
        raise _refused(text, f"{error.msg} at character {error.offset}") from None
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes, endless brackets
        raise _refused(text, short(error) or "it is nested too deeply") from None
    terms = tuple(_term(node, text) for node in _summands(tree))
    keys = [term.key for term in terms]
    if twice := {term.name for term in terms if keys.count(term.key) > 1}:
        raise _refused(
            text, f"{short(', '.join(sorted(twice)))} is named twice; add up its factors"
        )
    return terms


def absolute_method(text: str) -> str:
    """The method with absolute paths for files, so that it can be read from any folder."""

    def absolute(found: re.Match[str]) -> str:
        name = found["file"] or found[0][1:-1]
        return repr(absolute_name(name)) if ".py:" in name else found[0]

    return _FILE_NAME.sub(absolute, text)


def _quoted(text: str) -> str:
    """The text with quotes around file names, which then are Python strings."""
    return _FILE_NAME.sub(lambda found: repr(found["file"]) if found["file"] else found[0], text)


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
        if not (is_number(factor) and 0 < factor < LARGEST):
            unlike = f"{_written(node)} needs a factor above 0 and below 2^63, got {_shown(factor)}"
            raise _refused(text, unlike)
    keywords: list[ast.keyword] = []
    if isinstance(node, ast.Call):
        if node.args or any(keyword.arg is None for keyword in node.keywords):
            raise _refused(text, "arguments need their names")
        keywords = node.keywords
        node = node.func
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        name = node.value
    elif isinstance(node, (ast.Name, ast.Attribute)):
        name = ast.unparse(node)
    else:
        raise _refused(text, f"{_written(node)} is not a loss")
    if name in METHODS:
        raise _refused(text, f"{name} is a sum, {METHODS[name]}; write it out")
    build = _constructor(name, text)
    term = Term(name, float(factor), _arguments(name, keywords, text), build)
    allowed = [parameter for parameter in term.parameters if parameter not in _GIVEN]
    for argument in term.arguments:
        if argument not in allowed:
            known = f"takes {', '.join(allowed)}" if allowed else "takes no argument"
            near = get_close_matches(argument, allowed, 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            unlike = f"{short(name)} {known}, got {short(argument)!r}{meant}"
            raise ValueError(f"{_said(text)}: {unlike}")
    return term


def _arguments(name: str, keywords: list[ast.keyword], text: str) -> dict[str, Any]:
    """The arguments as they were written, under today's names."""
    arguments: dict[str, Any] = {}
    for keyword in keywords:
        argument = _RENAMED.get(name, {}).get(str(keyword.arg), str(keyword.arg))
        if argument != keyword.arg:
            _note(f"{name}({keyword.arg}=...)", f"{argument}=")
        if argument in arguments:
            raise _refused(text, f"{short(name)} is given {short(argument)} twice")
        arguments[argument] = value = _value(keyword.value, text)
        for number in _flat(value):
            if is_number(number) and not abs(number) < LARGEST:
                unlike = f"{short(argument)} must be finite and below 2^63, got {short(number)}"
                raise _refused(text, unlike)
    if name == "center_collapse":
        _join_projection(arguments)
    return arguments


def _flat(value: Any) -> Iterator[Any]:
    """The values in a list, also in lists in it."""
    if not isinstance(value, (list, tuple, set, dict)):
        yield value
        return
    for item in value:
        yield from _flat(item)


def _join_projection(arguments: dict[str, Any]) -> None:
    """Read ``projection=frozen, dim=512`` and ``projection=none``, as older texts have them."""
    if arguments.get("projection") == "none":
        arguments["projection"] = None
    if "dim" in arguments and isinstance(arguments.get("projection"), str):
        dim = arguments.pop("dim")
        _note("center_collapse(projection=frozen, dim=512)", "projection=[frozen, 512]")
        if dim is not None:
            arguments["projection"] = (arguments["projection"], dim)


@functools.cache
def _note(old: str, new: str) -> None:
    """Say once that a method has an older name."""
    warnings.warn(f"method: {old} is now written {new}", FutureWarning, stacklevel=2)


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name):
        return node.id  # prior=image reads better than prior='image'
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item, text) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, ArithmeticError, RecursionError, MemoryError):
        raise _refused(text, f"{_written(node)} is not a number, word or list") from None


def _constructor(name: str, text: str) -> Callable[..., nn.Module]:
    """A loss by the name of its file, another constructor of it, or a class of a user's own."""
    first, _, rest = name.partition(".")
    found: Any
    if first in loss_names():
        found = getattr(losses, "".join(word.capitalize() for word in first.split("_")) + "Loss")
        if not rest:
            return found  # type: ignore[no-any-return]
        kinds = (classmethod, staticmethod)
        named = [k for k, v in vars(found).items() if isinstance(v, kinds)]
        if rest not in named:
            raise _refused(text, f"{first} has no constructor {short(rest)!r}, only {named}")
        return getattr(found, rest)  # type: ignore[no-any-return]
    if "." not in name and ":" not in name:
        known = (*METHODS, *loss_names())
        written = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().removesuffix("_loss")
        near = get_close_matches(written, known, 1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"{_said(text)}: unknown loss {short(name)!r}{meant}; known are {', '.join(known)}, "
            "and classes of yours by their dotted names"
        )
    found = find_object(name, _said(text))
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        raise ValueError(f"{_said(text)}: {short(name)} is not a torch.nn.Module class")
    return found


def _written(node: ast.expr) -> str:
    """A part of a method as it was written, for a message."""
    try:
        return repr(short(ast.unparse(node)))
    except (ValueError, RecursionError):  # a number of thousands of digits, endless brackets
        return "what is written"


def _shown(value: object) -> str:
    return repr(short(value)) if isinstance(value, str) else short(value)


def _said(text: str) -> str:
    return f"method {short(repr(text), 200)}"


def _refused(text: str, reason: str) -> ValueError:
    return ValueError(f"{_said(text)}: {reason}; write a sum of losses such as {_EXAMPLE!r}")
