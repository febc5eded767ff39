"""per_class: what a user gives once a class, checked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def per_class(name: str, values: Tensor | Sequence[float], num_classes: int) -> Tensor:
    """(K,) positive numbers as float32, detached and on the CPU: ready for a buffer.

    Args:
        name: What the error message calls them.
        values: One number a class.
        num_classes: Number of classes K.

    Raises:
        ValueError: If there is not one number a class, or one is not positive and finite.
    """
    values_K = torch.as_tensor(values).detach().double().cpu()
    if values_K.shape != (num_classes,):
        raise ValueError(
            f"{name} must hold one number per class, shape ({num_classes},), got "
            f"{tuple(values_K.shape)}; equiseg.class_prior and equiseg.class_weights make one "
            "from class counts"
        )
    wrong = ~(values_K.isfinite() & (values_K > 0))
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0])
        raise ValueError(
            f"{name} must be positive and finite, got {float(values_K[first])} for class {first}; "
            "equiseg.class_prior and equiseg.class_weights give classes never counted a value"
        )
    return values_K.float()
