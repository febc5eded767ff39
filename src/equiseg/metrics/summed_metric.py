"""SummedMetric: what all metrics here share, states that add up and a frozen result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import Tensor

try:
    from torchmetrics import Metric
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError(
        'equiseg.metrics needs torchmetrics: pip install "equiseg[metrics]"'
    ) from error

Result = TypeVar("Result")


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
        # torchmetrics synchronises and caches what `compute` returns by rebuilding its fields,
        # which a frozen dataclass refuses: let it have the states.
        synchronised = super()._wrap_compute(self._states)
        return lambda: self.result_of(*synchronised())
