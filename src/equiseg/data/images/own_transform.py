"""OwnTransform: a user's own function that changes training images at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from equiseg.dotted_names import find_object


class OwnTransform:
    """Calls a user's ``transform(image, labels, generator)`` and checks its result.

    The transform is called last, after the changes of
    :func:`equiseg.data.images.transforms.augment`: the image has its final size and colours, and
    networks normalise it afterwards. The generator is seeded for each draw, so results do not
    depend on the number of worker processes or on an interruption, as they would with global random
    numbers.

    Args:
        name: "my_module.transform" or "file.py:transform".
        num_classes: Number of classes K.
        ignore_index: Label of unlabelled pixels.

    Raises:
        ValueError: If there is no such function.
    """

    def __init__(self, name: str, num_classes: int, ignore_index: int) -> None:
        self.name, self.num_classes, self.ignore_index = name, num_classes, ignore_index
        self._function: Callable[..., Any] | None = None
        self._find()

    def __getstate__(self) -> dict[str, Any]:
        """The state without the function, which worker processes find by its name."""
        return self.__dict__ | {"_function": None}

    def __call__(
        self, image: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Call the transform on an image and its labels.

        Args:
            image: float32 (C, H, W) in [0, 1].
            labels: int64 (H, W).
            generator: The only source of randomness.

        Returns:
            Image and labels in the same shapes and types.

        Raises:
            ValueError: If the function fails or returns anything else, NaN or infinite values, or
                labels that are neither classes nor ``ignore_index``.
        """
        shapes = image.shape, labels.shape
        try:
            changed = self._find()(image, labels, generator)
        except Exception as error:
            raise ValueError(f"{self._said}: failed: {type(error).__name__}: {error}") from error
        if not (
            isinstance(changed, (tuple, list))
            and len(changed) == 2
            and all(isinstance(part, Tensor) for part in changed)
        ):
            raise ValueError(
                f"{self._said}: must return (image, labels), two tensors, got "
                f"{type(changed).__name__}"
            )
        image, labels = changed
        for what, tensor, shape, dtype in (
            ("image", image, shapes[0], torch.float32),
            ("labels", labels, shapes[1], torch.int64),
        ):
            if tensor.shape != shape or tensor.dtype != dtype:
                raise ValueError(
                    f"{self._said}: {what} must stay {dtype} of shape {tuple(shape)}, got "
                    f"{tensor.dtype} {tuple(tensor.shape)}"
                )
        if not image.isfinite().all():
            raise ValueError(f"{self._said}: image must be finite, got NaN or infinite values")
        wrong = (labels != self.ignore_index) & ((labels < 0) | (labels >= self.num_classes))
        if wrong.any():
            raise ValueError(
                f"{self._said}: labels must be 0 to {self.num_classes - 1} or "
                f"{self.ignore_index} (ignore_index), got {sorted(set(labels[wrong].tolist()))[:5]}"
            )
        return image, labels

    @property
    def _said(self) -> str:
        return f"data.augment.extra={self.name}"

    def _find(self) -> Callable[..., Any]:
        if self._function is None:
            self._function = find_object(self.name, "data.augment.extra")
        return self._function
