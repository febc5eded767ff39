"""SummedMetric: the base of all metrics here, with states that add up and a frozen result."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from torch import Tensor

try:
    from torchmetrics import Metric
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError(
        'equiseg.metrics needs torchmetrics: pip install "equiseg[metrics]"'
    ) from error

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
