"""SummedMetric: the base of all metrics here, with states that add up and a frozen result."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

try:
    from torchmetrics import Metric
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError(
        'equiseg.metrics needs torchmetrics: pip install "equiseg[metrics]"'
    ) from error

from equiseg.foreign_text import short

Result = TypeVar("Result")


def named_ignore_index(positional: Sequence[int]) -> int:
    """The ignore_index of an older, positional call; warns once per calling line.

    Raises:
        TypeError: If there is more than one positional argument.
    """
    if len(positional) > 1:
        raise TypeError(
            f"only num_classes is positional, got {len(positional)} more; name the others, as in "
            "ignore_index=255, groups=groups"
        )
    warnings.warn("name ignore_index: ignore_index=255", FutureWarning, stacklevel=3)
    return positional[0]


class SummedMetric(Metric, Generic[Result]):
    """A metric of a whole data set, from sums over its batches and ranks.

    A subclass adds states that are summed, and implements ``update`` and :meth:`result_of`.
    """

    is_differentiable = False
    full_state_update = False
    numbers: ClassVar[tuple[str, ...]] = ()
    """Names that :meth:`number` takes."""

    def number(self, name: str) -> OneNumber:
        """One number of the result as a metric of its own, for ``self.log`` of Lightning.

        It has no state: it reads the counts of this metric. Make it once, as an attribute of
        the LightningModule, and update this metric.

        Args:
            name: One of :attr:`numbers`.

        Raises:
            ValueError: If there is no such number.

        Example:
            In a LightningModule::

                def __init__(self):
                    self.score = SegmentationScore(num_classes=19)
                    self.miou = self.score.number("miou")

                def validation_step(self, batch, index):
                    self.score.update(self.model(batch.images), batch.labels)
                    self.log("val_miou", self.miou)
        """
        if name not in self.numbers:
            raise ValueError(
                f"{type(self).__name__} has no number {short(name)!r}; it has "
                f"{', '.join(self.numbers) or 'none'}"
            )
        return OneNumber(self, name)

    def result_of(self, *states: Tensor) -> Result:
        """The result, of the states in the order in which they were added."""
        raise NotImplementedError(f"{type(self).__name__} must implement result_of")

    def compute(self) -> Result:
        """The result of everything counted so far, over all ranks."""
        return self.result_of(*self._states())

    def _states(self) -> tuple[Any, ...]:
        return tuple(self.metric_state.values())

    def _wrap_compute(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        # torchmetrics rebuilds the fields of the result of `compute` to synchronise and cache it,
        # which fails for a frozen dataclass: give it the states instead.
        synchronised = super()._wrap_compute(self._states)
        return lambda: self.result_of(*synchronised())

    def _apply(self, fn: Callable[..., Any], exclude_state: Any = "") -> Any:
        # torchmetrics moves the last result of `forward`, which fails for a frozen dataclass: the
        # result is on the CPU, wherever the states are.
        batch, self._forward_cache = self._forward_cache, None
        try:
            return super()._apply(fn, exclude_state)
        finally:
            self._forward_cache = batch


class OneNumber(Metric):
    """One number of the result of another metric, as a tensor; made by ``number``.

    It is summed over ranks, cached and reset with the other metric.

    Args:
        source: The other metric.
        name: Of the number in the result's ``as_dict()``.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, source: SummedMetric[Any], name: str) -> None:
        self.source: SummedMetric[Any]
        super().__init__()
        self.source, self.name = source, name

    def update(self, *_: Any, **__: Any) -> None:
        """Refuse: several numbers of one metric would count each batch several times.

        Raises:
            TypeError: Always.
        """
        kind = type(self.source).__name__
        raise TypeError(f"update the {kind} itself; this metric only shows its {self.name}")

    def forward(self, *_: Any, **__: Any) -> None:
        """Refuse, as :meth:`update` does."""
        self.update()

    def compute(self) -> Tensor:
        """A float32 scalar, on the device of the other metric."""
        return self._shown(self.source.compute())

    def reset(self) -> None:
        """Reset the other metric."""
        self.source.reset()

    @property
    def update_called(self) -> bool:
        """Whether the other metric was updated."""
        return self.source.update_called

    @property  # type: ignore[override]
    def _forward_cache(self) -> Tensor | None:
        # Lightning logs this with on_step=True.
        batch = self.source._forward_cache
        return None if batch is None else self._shown(batch)

    @_forward_cache.setter
    def _forward_cache(self, value: Any) -> None:  # Metric.__init__ sets it
        pass

    def _shown(self, result: Any) -> Tensor:
        number = result.as_dict()[self.name]
        return torch.tensor(number, dtype=torch.float32, device=self.source.device)

    def _wrap_compute(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        return compute  # the other metric synchronises and caches
