"""Small maps with labels, and a watch on what is done with them."""

from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
from torch._library.custom_ops import CustomOpDef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from equiseg.centers import operators

K = 4
SIZES = {
    "1d integer ratio": ((4,), (12,)),
    "1d other ratio": ((5,), (13,)),
    "2d integer ratio": ((3, 4), (12, 16)),
    "2d other ratio": ((3, 5), (7, 11)),
    "2d from one cell": ((1, 1), (4, 5)),
    "2d one axis equal": ((4, 3), (4, 8)),
    "2d equal": ((5, 6), (5, 6)),
    "3d integer ratio": ((2, 3, 2), (4, 6, 4)),
    "3d other ratio": ((2, 3, 2), (5, 4, 3)),
}
every_size = pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
every_kind = pytest.mark.parametrize(
    "sizes",
    [SIZES["2d other ratio"], SIZES["2d equal"], ((), ())],
    ids=["larger labels", "equal sizes", "points"],
)
every_kind_and_preparation = pytest.mark.parametrize(
    ("sizes", "prepared"),
    [
        (SIZES["2d other ratio"], False),
        (SIZES["2d other ratio"], True),
        (SIZES["2d equal"], False),
        (SIZES["2d equal"], True),
        (((), ()), False),
    ],
    ids=["larger labels", "larger, prepared", "equal sizes", "equal, prepared", "points"],
)
both_conventions = pytest.mark.parametrize("align_corners", [False, True])


def batch(feature_size, label_size, *, channels=3, dtype=torch.float32, images=2, seed=0):
    """Features, and labels in which some pixels are ignored and the last class is absent."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(images, channels, *feature_size, generator=generator).to(dtype)
    labels = torch.randint(0, K, (images, *label_size), generator=generator)
    return features, torch.where(labels == K - 1, 255, labels)


OPERATORS = {
    definition._qualname: definition._init_fn
    for definition in vars(operators).values()
    if isinstance(definition, CustomOpDef)
}


class LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor any operation returns."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name().rsplit(".", 1)[0] in OPERATORS:  # look inside
            with self:
                result = OPERATORS[func.name().rsplit(".", 1)[0]](*args, **(kwargs or {}))
        else:
            result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.numel = max(self.numel, leaf.numel())
        return result


class NoWait(TorchDispatchMode):
    """Refuses what makes an accelerator wait: values read, and shapes that depend on values."""

    WAITING = (
        "_local_scalar_dense",
        "nonzero",
        "bincount",
        "_unique2",
        "unique_dim",
        "unique_consecutive",
        "masked_select",
    )

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = name.startswith(("index", "_index")) and any(
            isinstance(leaf, torch.Tensor) and leaf.dtype == torch.bool
            for leaf in tree_leaves(args[1])
        )
        assert name not in self.WAITING and not masks, f"{func} would wait for the device"
        return func(*args, **(kwargs or {}))


@contextmanager
def accelerator():
    """The CPU in the part of an accelerator."""
    with (
        patch("equiseg.centers.centers.is_checkable", lambda _: False),
        patch("equiseg.losses.center_loss.is_checkable", lambda _: False),
        patch("equiseg.losses.class_errors.is_checkable", lambda _: False),
        patch("equiseg.losses.cosines.is_checkable", lambda _: False),
        patch("equiseg.losses.feature_loss.is_checkable", lambda _: False),
        patch("equiseg.losses.pixel_loss.is_checkable", lambda _: False),
        patch("equiseg.losses.shifted_cross_entropy.is_checkable", lambda _: False),
        patch("equiseg.labels.is_checkable", lambda _: False),
        NoWait(),
    ):
        yield
