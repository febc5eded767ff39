"""The contract of every loss: one function per rule."""

from __future__ import annotations

import io
import itertools
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from unittest import SkipTest
from unittest.mock import patch

import torch
from torch import Tensor
from torch.func import functional_call

from equiseg.testing.loss_case import (
    NUM_CLASSES,
    SIZES,
    LossCase,
    fail,
    require,
    require_close,
    state_of,
    value_and_gradient,
)

_HALVES = (torch.float16, torch.bfloat16)


def check_reference(case: LossCase, dtype: torch.dtype) -> None:
    """The value is a scalar in the dtype of the inputs, that of the slow float64 reference."""
    if case.reference is None:
        raise SkipTest("no reference is given")
    loss = case.loss()
    inputs, labels = case.batch(dtype=dtype)
    value = loss(inputs, labels)
    require(value.shape == (), f"a loss must be a scalar, got shape {tuple(value.shape)}")
    require(value.dtype == dtype, f"of {dtype} inputs the loss must be {dtype}, got {value.dtype}")
    expected = case.reference(state_of(loss), inputs, labels)
    require(expected > 0, f"a reference of {expected} proves nothing; it must be positive here")
    tolerance = 1e-5 if dtype == torch.float32 else 1e-7
    asked = f"the loss must equal its reference {expected} to {tolerance}, got {value.item()}"
    require(abs(value.item() - expected) <= tolerance * expected, asked)


def check_gradients(case: LossCase, size: str) -> None:
    """The gradient in the inputs, and in what the loss learns, is that of finite differences."""
    loss = case.loss().double()
    inputs, labels = case.batch(size, torch.float64)
    learned = {name: of for name, of in loss.named_parameters() if of.requires_grad}

    def value(inputs: Tensor, *learned_now: Tensor) -> Any:
        state = dict(zip(learned, learned_now, strict=True))
        return functional_call(loss, state, (inputs, labels))

    torch.autograd.gradcheck(value, (inputs, *learned.values()))


def check_half_precision(case: LossCase, size: str, half: torch.dtype) -> None:
    """Half inputs, also under autocast, give what the same values give in float32."""
    loss = case.loss()
    inputs, labels = case.batch(size)
    rounded = inputs.detach().to(half)
    expected = loss(rounded.float(), labels)
    require(expected.dtype == torch.float32, f"the loss must be float32, got {expected.dtype}")
    with torch.autocast("cpu", dtype=half):
        for given in (rounded, rounded.float()):
            asked = f"under autocast {given.dtype} inputs must give the float32 value"
            require_close(loss(given, labels), expected, asked)
    require_close(loss(rounded, labels), expected, f"{half} inputs must give the float32 value")


def check_flat_volume(case: LossCase, size: str) -> None:
    """A 2D map is a 3D map one cell deep."""
    loss = case.loss()
    inputs, labels = case.batch(size)
    value, gradient = value_and_gradient(loss, inputs, labels)
    deep = value_and_gradient(loss, inputs.unsqueeze(2), labels.unsqueeze(1))
    asked = "a 3D map one cell deep must give the value and gradient of the 2D map"
    require_close((deep[0], deep[1].squeeze(2)), (value, gradient), asked)


def check_points(case: LossCase) -> None:
    """A map is a list of points."""
    loss = case.loss()
    inputs, labels = case.batch("map")
    points = inputs.movedim(1, -1).flatten(0, -2)
    asked = "the pixels of a map, given as points, must give its value"
    require_close(loss(points, labels.flatten()), loss(inputs, labels), asked)


def check_ignored(case: LossCase, size: str) -> None:
    """Ignored places do not change the loss and have no gradient, for any value and marker."""
    loss = case.loss()
    inputs, labels = case.batch(size)
    ignored = (labels == 255).unsqueeze(1)
    value, gradient = value_and_gradient(loss, inputs, labels)
    require(not (gradient * ignored).any(), "ignored places must have a gradient of zero")
    for other in (100, math.inf, -math.inf, math.nan):
        changed = loss(inputs.masked_fill(ignored, other), labels)
        asked = f"{other} in place of the inputs at ignored places must not change the loss"
        require_close(changed, value, asked, atol=0, rtol=0)
        if case.in_features is None:
            # On an accelerator no check finds such values: the loss itself must mask them.
            with patch("equiseg.losses.pixel_loss.is_checkable", return_value=False):
                masked = loss(inputs.masked_fill(ignored, other), labels)
            require_close(masked, value, f"{asked}, also on an accelerator", atol=0, rtol=0)
    more = torch.cat((inputs, inputs)), torch.cat((labels, torch.full_like(labels, 255)))
    asked = "as many places again, all ignored, must change neither value nor gradient"
    more_value = loss(*more)
    (more_gradient,) = torch.autograd.grad(more_value, inputs)
    require_close((more_value, more_gradient), (value, gradient), asked)
    renamed = torch.where(labels == 255, -1, labels)
    asked = "ignore_index=-1 must do what 255 does"
    require_close(case.loss(-1)(inputs, renamed), value, asked, atol=0, rtol=0)


def check_one_class(case: LossCase, size: str) -> None:
    """A batch of one class has a finite value and a finite gradient that is not zero."""
    inputs, labels = case.batch(size)
    value, gradient = value_and_gradient(case.loss(), inputs, labels.fill_(2))
    require(value.isfinite(), f"a batch of one class must have a finite loss, got {value}")
    require(gradient.isfinite().all(), "a batch of one class must have a finite gradient")
    require(gradient.any(), "a batch of one class must have a gradient")


def check_large_inputs(case: LossCase, size: str) -> None:
    """Inputs of some hundreds have a finite loss and gradient: no exponential overflows."""
    inputs, labels = case.batch(size)
    large = (200 * inputs.detach()).requires_grad_()
    value, gradient = value_and_gradient(case.loss(), large, labels)
    require(value.isfinite(), f"inputs of some hundreds must have a finite loss, got {value}")
    require(gradient.isfinite().all(), "inputs of some hundreds must have a finite gradient")


def check_nothing_valid(case: LossCase, size: str, images: int) -> None:
    """Where nothing is labelled the loss is zero, connected to the graph, its gradient zero."""
    loss = case.loss()
    inputs, labels = case.batch(size)
    value = loss(inputs[:images], labels[:images].fill_(255))
    require(value.item() == 0, f"without labels the loss must be 0, got {value.item()}")
    require(value.requires_grad, "without labels the loss must stay connected to the graph")
    value.backward()
    for name, tensor in (("the inputs", inputs), *loss.named_parameters()):
        # NaN would be any, too.
        none = tensor.grad is not None and not tensor.grad.any()
        require(none, f"without labels {name} must have a gradient of zeros, got {tensor.grad}")


def check_renaming(case: LossCase, size: str) -> None:
    """The names of the classes do not matter."""
    order = torch.tensor([2, 4, 3, 0, 1])  # the new name of each class
    loss, renamed_loss = case.loss(), case.loss()
    with torch.no_grad():
        for name, tensor in state_of(renamed_loss).items():
            tensor.copy_(_renamed(name, state_of(loss)[name], order))
    inputs, labels = case.batch(size)
    known = labels < NUM_CLASSES
    renamed_labels = torch.where(known, order[labels.clamp(max=NUM_CLASSES - 1)], labels)
    renamed_inputs = inputs[:, order.argsort()] if case.in_features is None else inputs
    asked = "classes under other names, also in the state, must give the same loss"
    require_close(renamed_loss(renamed_inputs, renamed_labels), loss(inputs, labels), asked)


def _renamed(name: str, tensor: Tensor, order: Tensor) -> Tensor:
    letters = name.rpartition("_")[2]
    for axis, letter in enumerate(letters if letters.isupper() else ""):
        if letter == "K":
            tensor = tensor.index_select(axis, order.argsort())
    return tensor


def check_compile(case: LossCase, size: str) -> None:
    """``torch.compile(fullgraph=True)`` traces it whole, forward and backward."""
    loss = case.loss()
    inputs, labels = case.batch(size)
    compiled = _compiled(loss)
    expected = value_and_gradient(loss, inputs, labels)
    asked = "compiled, value and gradient must be the eager ones"
    require_close(value_and_gradient(compiled, inputs, labels), expected, asked)
    wrong = torch.where(labels == 255, NUM_CLASSES, labels)
    asked = "compiled code cannot look at values: a label out of range must count as ignored"
    require_close(value_and_gradient(compiled, inputs, wrong), expected, asked)


def _compiled(loss: Any) -> Any:
    torch.compiler.reset()  # else earlier losses of the same code count as recompilations
    return torch.compile(loss, fullgraph=True, backend="aot_eager")


def check_training(case: LossCase, size: str) -> None:
    """Training mode, too: finite, the same from the same seed, unharmed where nothing is valid."""
    inputs, labels = case.batch(size)
    steps = []
    for loss in (case.loss().train(), case.loss().train()):
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            for images in (len(inputs), 0):
                nothing = torch.full_like(labels[:images], 255)
                value, gradient = value_and_gradient(loss, inputs[:images], nothing)
                asked = "without labels loss and gradient must be 0 in training mode, too"
                require(not value.any() and not gradient.any(), asked)
            value, gradient = value_and_gradient(loss, inputs, labels)
        steps.append((value, gradient, loss.state_dict()))
        for tensor in (value, gradient, *loss.state_dict().values()):
            asked = "in training mode, value, gradient and state must be finite"
            require(tensor.isfinite().all(), asked)
    asked = "a step of training must be the same from the same seed and state"
    require_close(steps[1], steps[0], asked, atol=0, rtol=0)


def check_state_dict(case: LossCase) -> None:
    """State dict and arguments are the whole state: saved and loaded, the loss is the same."""
    loss, other = case.loss(), case.loss(seed=1)
    for tensor in other.state_dict().values():
        generator = torch.Generator().manual_seed(1)
        if tensor.is_floating_point():
            tensor.normal_(generator=generator)
        else:  # a counter, or a mask
            tensor.random_(generator=generator)
    saved = io.BytesIO()
    torch.save(loss.state_dict(), saved)
    saved.seek(0)
    other.load_state_dict(torch.load(saved, weights_only=True))
    inputs, labels = case.batch()
    asked = "a loss with the saved state of another must give its value"
    require_close(other(inputs, labels), loss(inputs, labels), asked, atol=0, rtol=0)


def check_module_dtype(case: LossCase, dtype: torch.dtype) -> None:
    """A module moved to another dtype still computes in that of its inputs."""
    inputs, labels = case.batch()
    loss = case.loss()
    expected = value_and_gradient(loss, inputs, labels)
    moved = value_and_gradient(loss.to(dtype), inputs, labels)
    asked = f"a {dtype} module must give float32 inputs a float32 loss, got {moved[0].dtype}"
    require(moved[0].dtype == torch.float32, asked)
    tolerance = 1e-6 if dtype == torch.float64 else 0.05
    asked = f"a {dtype} module must give value and gradient of a float32 one to {tolerance}"
    require_close(moved, expected, asked, rtol=tolerance, atol=tolerance)


def check_labels_out_of_range(case: LossCase, size: str) -> None:
    """On the CPU a label that is neither a class nor ignored is an error that counts them."""
    inputs, labels = case.batch(size)
    labels.view(-1)[0] = NUM_CLASSES
    message = rf"labels must be .* 0\.\.{NUM_CLASSES - 1} .*got {NUM_CLASSES} in 1 of"
    _require_error(ValueError, message, lambda: case.loss()(inputs, labels))


def check_wrong_inputs(case: LossCase) -> None:
    """Labels that cannot belong to the inputs, and an impossible ignore value, are errors."""
    loss = case.loss()
    inputs, labels = case.batch()
    _require_error(
        TypeError, r"labels must be integer .* torch\.float32", lambda: loss(inputs, labels.float())
    )
    _require_error(
        ValueError,
        r"labels \(2, 8\) under \w+ \(3, 4\)",
        lambda: loss(inputs, labels[:, :2]),
    )
    _require_error(ValueError, r"labels\.squeeze\(1\)", lambda: loss(inputs, labels.unsqueeze(1)))
    last = NUM_CLASSES - 1
    _require_error(ValueError, f"ignore_index .* got {last}", lambda: case.loss(last))


def check_voxels(case: LossCase, mode: str) -> None:
    """Voxels under labelled points give what a copy of its voxel for each point gives."""
    inputs, labels = case.batch("points", torch.float64)
    inverse = torch.randint(0, 12, (len(labels),), generator=torch.Generator().manual_seed(1))
    voxels = inputs[:12].detach().requires_grad_()
    loss = case.loss()
    expected = loss(voxels[inverse], labels)
    (expected_gradient,) = torch.autograd.grad(expected, voxels)
    call = _compiled(loss) if mode == "compiled" else loss
    value = call(voxels, labels, inverse=inverse)
    (gradient,) = torch.autograd.grad(value, voxels)
    asked = "voxels with an inverse map must give value and gradient of points"
    require_close((value, gradient), (expected, expected_gradient), asked)


def check_inverse(case: LossCase) -> None:
    """On the CPU a point in no voxel, or a map of another length, is an error."""
    inputs, labels = case.batch("points")
    rows = torch.arange(len(labels)) % 13 - 1
    _require_error(
        ValueError,
        r"inverse must hold rows 0\.\.11 .* got -1\.\.11",
        lambda: case.loss()(inputs[:12], labels, inverse=rows),
    )
    _require_error(
        ValueError,
        r"inverse \(39,\); give each label the row",
        lambda: case.loss()(inputs[:12], labels, inverse=torch.zeros(39, dtype=torch.int64)),
    )


def _require_error(kind: type[Exception], message: str, call: Callable[[], object]) -> None:
    """The error of the contract: :mod:`equiseg.labels` raises it."""
    asked = f"must raise {kind.__name__} with a message like {message!r}"
    try:
        call()
    except kind as error:
        require(re.search(message, str(error)) is not None, f"{asked}, got {str(error)!r}")
    else:
        fail(f"{asked}, got no error")


@dataclass(frozen=True)
class LossCheck:
    """A rule under one choice of its options: what a case is called with.

    Attributes:
        function: The rule; the first line of its docstring says it.
        options: What it is given after the case.
    """

    function: Callable[..., None]
    options: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """Of the rule, as :attr:`LossCase.spared` names it."""
        return self.function.__name__.removeprefix("check_")

    def __str__(self) -> str:
        options = "-".join(str(option).removeprefix("torch.") for option in self.options)
        return f"{self.name}-{options}" if options else self.name

    def __call__(self, case: LossCase) -> None:
        """Judge a case.

        Raises:
            AssertionError: If it breaks the rule, whatever was raised by it.
            unittest.SkipTest: If the rule does not apply, with the reason.
        """
        case.skip_if_spared(self.name)
        rule = (self.function.__doc__ or "").partition("\n")[0]
        try:
            self.function(case, *self.options)
        except SkipTest:
            raise
        except AssertionError as error:
            if not str(error):  # a bare assert of the loss: where it stands is all there is
                raise AssertionError(f"{case}, {self}: {rule}\nan assert failed") from error
            raise AssertionError(f"{case}, {self}: {rule}\n{error}") from None
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise AssertionError(f"{case}, {self}: {rule}\n{reason}") from error


def _each(function: Callable[..., None], *choices: Iterable[Any]) -> list[LossCheck]:
    return [LossCheck(function, options) for options in itertools.product(*choices)]


LOSS_CHECKS: tuple[LossCheck, ...] = (
    *_each(check_reference, (torch.float32, torch.float64)),
    *_each(check_gradients, SIZES),
    *_each(check_half_precision, SIZES, _HALVES),
    *_each(check_flat_volume, ("map", "larger labels")),
    *_each(check_points),
    *_each(check_ignored, ("points", "map")),
    *_each(check_one_class, SIZES),
    *_each(check_large_inputs, SIZES),
    *_each(check_nothing_valid, SIZES, (2, 0)),
    *_each(check_renaming, SIZES),
    *_each(check_compile, SIZES),
    *_each(check_training, SIZES),
    *_each(check_state_dict),
    *_each(check_module_dtype, (torch.float64, torch.bfloat16)),
    *_each(check_labels_out_of_range, SIZES),
    *_each(check_wrong_inputs),
    *_each(check_voxels, ("eager", "compiled")),
    *_each(check_inverse),
)


def check_loss(case: LossCase) -> None:
    """Put every check to a case; see :func:`equiseg.testing.check_ranks` for several processes.

    Raises:
        AssertionError: At the first check that the loss does not pass; it says what is asked.

    Examples:
        >>> from equiseg.losses import DiceLoss
        >>> from equiseg.testing import NUM_CLASSES, LossCase, check_loss
        >>> case = LossCase("dice", lambda ignore: DiceLoss(NUM_CLASSES, ignore_index=ignore))
        >>> check_loss(case)
    """
    for check in LOSS_CHECKS:
        try:
            check(case)
        except SkipTest:
            continue
