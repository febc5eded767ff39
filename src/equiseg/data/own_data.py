"""OwnData: adapts a user's data set class and checks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equiseg.data.card_fields import MOST_INTEGER, name_problems
from equiseg.data.errors import DataError
from equiseg.data.images.transforms import resize
from equiseg.data.sample import Sample

_RGB = ("red", "green", "blue")


class NoSplitError(DataError):
    """The user's class has no such split."""


class OwnData:
    """One split of a user's images, built by their class or function.

    The class is built as ``MyData(split, root=...)``; ``root`` is None if none is given. It has

    - ``class_names``: names of the K classes, at least 2;
    - ``ignore_index``, optional: the label of pixels without a class, by default 255;
    - ``background``, optional: the name of the class for "nothing named";
    - ``__len__`` and ``__getitem__(i)``, which returns ``(image, labels)``: image (C, H, W), uint8
      or floating point in [0, 1], labels (H, W) of whole numbers; tensors or numpy arrays.

    "train" and "val" are needed. A class without a test split raises ``ValueError`` or ``KeyError``
    when it is built with "test".

    Args:
        build: The class, or a function with the same arguments.
        name: Its name, for messages.
        split: "train", "val" or "test".
        root: Folder of the data.
        size: (H, W) to resize images and labels to; None keeps their own size.

    Attributes:
        classes: Names of the classes.
        ignore_index: Label of what is not labelled.
        background: Id of the background class, if there is one.
        channels: Names of the C channels, as the first image has them.

    Raises:
        NoSplitError: If building the split raises ``ValueError`` or ``KeyError``.
        DataError: If building fails otherwise, or an attribute cannot be used.
    """

    def __init__(
        self,
        build: Callable[..., Any],
        name: str,
        split: str,
        root: str | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.name, self.split, self.size = name, split, size
        call = f"{name}({split!r}, root={root!r})"
        try:
            self.data: Any = build(split, root=root)
        except (KeyError, ValueError) as error:
            raise NoSplitError(f"{call} failed: {type(error).__name__}: {error}") from error
        except Exception as error:
            raise DataError(f"{call} failed: {type(error).__name__}: {error}") from error
        self.classes = self._class_names()
        self.ignore_index = self._ignore_index()
        self.background = self._background()
        for method in ("__len__", "__getitem__"):
            if not hasattr(self.data, method):
                raise DataError(f"{name} must have {method}, got {type(self.data).__name__}")
        if not len(self):
            raise DataError(f"{call} is empty: len() is 0; give at least one image")
        channels = len(self[0].image)
        self.channels = (
            _RGB if channels == 3 else tuple(f"channel_{c}" for c in range(1, channels + 1))
        )

    def __len__(self) -> int:
        """Number of images."""
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        """The image at ``index``, its labels, and a name made of split and index."""
        if not 0 <= index < len(self):
            raise IndexError(f"index must be 0 to {len(self) - 1}, got {index}")
        place = f"{self.name}({self.split!r})[{index}]"
        try:
            given = self.data[index]
        except Exception as error:
            raise DataError(f"{place}: failed: {type(error).__name__}: {error}") from error
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise DataError(
                f"{place}: must be a pair (image, labels), got {type(given).__name__}"
                + (f" of {len(given)}" if isinstance(given, (tuple, list)) else "")
            )
        image = _image(given[0], place)
        labels = self._labels(given[1], place)
        if image.shape[1:] != labels.shape:
            raise DataError(
                f"{place}: image and labels must have one (H, W), got "
                f"{tuple(image.shape[1:])} and {tuple(labels.shape)}"
            )
        channels = len(getattr(self, "channels", image))
        if len(image) != channels:
            raise DataError(
                f"{place}: all images must have the {channels} channels of the first, got "
                f"{len(image)}"
            )
        if self.size is not None:
            image, labels = resize(image, labels, self.size)
        return Sample(image, labels, f"{self.split}-{index:05d}")

    def _class_names(self) -> tuple[str, ...]:
        names = getattr(self.data, "class_names", None)
        fits = isinstance(names, Sequence) and not isinstance(names, str)
        if not fits or not all(isinstance(name, str) for name in names):  # type: ignore[union-attr]
            raise DataError(
                f"{self.name}.class_names must be a list of names, got {names!r:.80}; name the "
                "classes in the order of their ids 0, 1, ..."
            )
        if len(names) < 2 or len(set(names)) < len(names):  # type: ignore[arg-type]
            raise DataError(
                f"{self.name}.class_names must be at least 2 different names, got {names!r:.80}"
            )
        if problems := [*name_problems("class_names", names)]:
            raise DataError(f"{self.name}: {problems[0]}")
        return tuple(names)  # type: ignore[arg-type]

    def _ignore_index(self) -> int:
        value = getattr(self.data, "ignore_index", 255)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or 0 <= value < len(self.classes) or abs(value) > MOST_INTEGER:
            raise DataError(
                f"{self.name}.ignore_index must be a whole number that is no class id, got "
                f"{value!r:.80}; the ids are 0 to {len(self.classes) - 1}, and it has at most "
                "31 bits"
            )
        return value

    def _background(self) -> int | None:
        name = getattr(self.data, "background", None)
        if name is None:
            return None
        if name not in self.classes:
            raise DataError(
                f"{self.name}.background must be one of the class names {list(self.classes)!r:.80},"
                f" got {name!r:.80}"
            )
        return self.classes.index(name)

    def _labels(self, given: Any, place: str) -> Tensor:
        labels = _tensor(given, "labels", place)
        if labels.ndim != 2:
            raise DataError(
                f"{place}: labels must be class ids of shape (H, W), got {tuple(labels.shape)}"
            )
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise DataError(f"{place}: labels must be whole numbers, got {labels.dtype}")
        labels = labels.long()
        wrong = (labels != self.ignore_index) & ((labels < 0) | (labels >= len(self.classes)))
        if wrong.any():
            raise DataError(
                f"{place}: labels must be 0 to {len(self.classes) - 1} (class_names) or "
                f"{self.ignore_index} (ignore_index), got {sorted(set(labels[wrong].tolist()))[:5]}"
            )
        small = len(self.classes) <= 256 and 0 <= self.ignore_index <= 255
        return labels.to(torch.uint8) if small else labels


def _image(given: Any, place: str) -> Tensor:
    """An image, uint8 or float32 in [0, 1]."""
    image = _tensor(given, "image", place)
    if image.ndim != 3 or not image.numel():
        raise DataError(
            f"{place}: image must be (C, H, W), channels first, got shape {tuple(image.shape)}"
        )
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point():
        raise DataError(
            f"{place}: image must be uint8 (0 to 255) or floating point (0 to 1), got {image.dtype}"
        )
    low, high = image.min().item(), image.max().item()
    if not (low >= 0 and high <= 1):  # also where it is NaN
        raise DataError(
            f"{place}: a floating-point image must lie in [0, 1], got {low:.4g} to {high:.4g}; "
            "scale it, or return uint8"
        )
    return image.float()


def _tensor(given: Any, what: str, place: str) -> Tensor:
    if isinstance(given, np.ndarray):
        # torch refuses negative strides and foreign byte orders, and warns if an array is
        # read-only: only such arrays are copied.
        given = np.ascontiguousarray(given, given.dtype.newbyteorder("="))
        given = given if given.flags.writeable else given.copy()
    try:
        return torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{place}: {what} must be a tensor or a numpy array, got {type(given).__name__}"
        ) from error
