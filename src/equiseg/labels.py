"""Class labels: the rules for their shapes, ignored labels and value checks.

Labels are integer class ids in ``[0, num_classes)``, or ``ignore_index`` where the class is
unknown: (B, *spatial) for maps and (N,) for points. All other modules take the rules from here.
"""

import torch
from torch import Tensor

_INTEGER_DTYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_MOST_VALUES_SHOWN = 5
_MOST_BINS = 2**16  # half a megabyte of counters; wrong labels may be any number


def check_num_classes(num_classes: int, ignore_index: int) -> None:
    """Raise an error for an impossible number of classes or ``ignore_index``.

    Raises:
        ValueError: If ``num_classes < 2`` or ``ignore_index`` is itself a class.
    """
    if num_classes < 2:
        raise ValueError(
            f"num_classes must be at least 2, got {num_classes}; segmentation needs "
            "two classes or more"
        )
    if 0 <= ignore_index < num_classes:
        raise ValueError(
            f"ignore_index must lie outside the classes 0..{num_classes - 1}, got {ignore_index}; "
            "use 255 or a negative value, and remap the labels if they use that class for void"
        )


def check_labels(labels: Tensor, num_classes: int, *, ignore_index: int = 255) -> None:
    """Raise an error if a label is neither a class nor ``ignore_index``.

    It reads every label and synchronises on a GPU: call it once when the data are loaded, not in a
    training step. Losses call it themselves on eager CPU tensors, where it costs little.

    Args:
        labels: Integer class ids of any shape.
        num_classes: Number of classes K; valid ids are 0..K-1.
        ignore_index: The value that marks unlabelled pixels or points. 8-bit masks use 255.

    Raises:
        TypeError: If the labels are not integers.
        ValueError: If a label lies outside 0..K-1 and is not ``ignore_index``, or the two
            arguments contradict each other.
    """
    check_num_classes(num_classes, ignore_index)
    check_label_dtype(labels)
    if labels.numel() == 0:
        return
    lowest, highest = _extremes(labels)
    if lowest >= 0 and highest < num_classes:
        return
    if is_checkable(labels) and _tally(labels, num_classes, ignore_index, lowest, highest)[1] == 0:
        return
    _refuse_wrong(labels, num_classes, ignore_index)


def _refuse_wrong(labels: Tensor, num_classes: int, ignore_index: int) -> None:
    """Raise an error that lists and counts the labels neither of a class nor ignored, if any."""
    ids = labels.long()  # in 8 bits, a comparison with 300 or -100 would wrap around
    wrong = ((ids < 0) | (ids >= num_classes)) & (ids != ignore_index)
    values = torch.unique(ids[wrong])
    if len(values) == 0:
        return
    shown = ", ".join(str(int(v)) for v in values[:_MOST_VALUES_SHOWN])
    more = ", ..." if len(values) > _MOST_VALUES_SHOWN else ""
    raise ValueError(
        f"labels must be class ids 0..{num_classes - 1} or ignore_index={ignore_index}, got "
        f"{shown}{more} in {int(wrong.sum())} of {labels.numel()} places; remap these values, "
        "or pass the value that marks unlabelled data as ignore_index"
    )


def check_label_dtype(labels: Tensor) -> None:
    """Raise an error if the labels are not integers.

    Raises:
        TypeError: If the dtype is not one of torch's integer dtypes.
    """
    if labels.dtype not in _INTEGER_DTYPES:
        raise TypeError(
            f"labels must be integer class ids, got dtype {labels.dtype}; convert them with "
            "labels.long() if they hold whole numbers"
        )


def check_inputs(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    ignore_index: int = 255,
    inverse: Tensor | None = None,
    name: str = "features",
) -> None:
    """Check everything about the inputs of one forward pass: shapes, dtypes, devices, label values.

    A loss calls it once per forward pass; later steps (label side, centers, pixels) do not check
    again. Label values are read on eager CPU tensors only, see :func:`is_checkable`.

    Args:
        features: See :func:`check_shapes`.
        labels: See :func:`check_shapes`.
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        inverse: See :func:`check_shapes`.
        name: Name of the first argument in messages: "features" or "logits".

    Raises:
        TypeError: If dtypes are wrong or the two arguments are swapped.
        ValueError: If shapes or devices disagree, or a label is out of range.
    """
    check_shapes(features, labels, inverse, name=name)
    if is_checkable(labels):
        check_labels(labels, num_classes, ignore_index=ignore_index)


def check_shapes(
    features: Tensor, labels: Tensor, inverse: Tensor | None = None, *, name: str = "features"
) -> None:
    """Raise an error if features (or logits) and labels do not fit together.

    Args:
        features: (B, C, *spatial) with one to three spatial dimensions, or (N, C); (V, C) voxels
            where an inverse map is given.
        labels: (B, *Spatial), each side at least the feature's, or (N,).
        inverse: (N,) int64 voxel of every labelled point, in 0..V-1. Its values are read on eager
            CPU tensors only.
        name: Name of the first argument in messages: "features" or "logits".

    Raises:
        TypeError: If the features are not floating point or the labels are not integers.
        ValueError: If dimensions, batch sizes, devices or spatial sizes disagree, or a point lies
            in no voxel.
    """
    check_order(features, labels, name)
    check_label_dtype(labels)
    if not features.is_floating_point():
        raise TypeError(
            f"{name} must be floating point, got dtype {features.dtype}; pass the network's "
            f"{name} first and the labels second"
        )
    if inverse is not None:
        _check_inverse(features, labels, inverse)
        return
    if features.ndim == 3 and labels.ndim > 2:
        raise ValueError(
            f"{name} of shape {tuple(features.shape)} are tokens (B, C, N), the labels are maps "
            f"{tuple(labels.shape)}; make maps of them, {name}.unflatten(2, (h, w)), in the order "
            "in which the network does"
        )
    if features.ndim < 2 or labels.ndim != features.ndim - 1 or features.ndim > 5:
        raise ValueError(
            f"{name} must be (B, C, *spatial) with labels (B, *spatial), or (N, C) with "
            f"(N,); got {tuple(features.shape)} and labels {tuple(labels.shape)}; if the labels "
            "have a channel dimension, drop it with labels.squeeze(1), or with labels.argmax(1) if "
            "they are one-hot"
        )
    if features.shape[0] != labels.shape[0]:
        raise ValueError(
            f"{name} and labels must have the same first size, got {features.shape[0]} in "
            f"{tuple(features.shape)} and {labels.shape[0]} in {tuple(labels.shape)}"
        )
    if 0 in features.shape[2:]:
        raise ValueError(
            f"{name} must have at least one cell in every direction, got "
            f"{tuple(features.shape)}; the images may be smaller than the network's stride"
        )
    if any(s > t for s, t in zip(features.shape[2:], labels.shape[1:], strict=True)):
        raise ValueError(
            f"labels must be at least as large as the {name} in every direction, got labels "
            f"{tuple(labels.shape[1:])} under {name} {tuple(features.shape[2:])}; pass the "
            "labels at full resolution"
        )
    if features.device != labels.device:
        raise ValueError(
            f"{name} and labels must be on one device, got {features.device} and "
            f"{labels.device}; move the labels with labels.to(features.device)"
        )


def check_order(features: Tensor, labels: Tensor, name: str) -> None:
    """Raise an error if the arguments are swapped: class ids first, then features or logits.

    Raises:
        TypeError: If they are swapped.
    """
    has_channels = labels.ndim == features.ndim + 1
    # Predictions may be class ids; features and logits are never integers.
    has_values = features.dtype in _INTEGER_DTYPES and (has_channels or name != "predictions")
    if labels.is_floating_point() and (has_values or (has_channels and name != "predictions")):
        raise TypeError(
            f"{name} and labels are swapped: the first argument is {features.dtype} "
            f"{tuple(features.shape)}, the second {labels.dtype} {tuple(labels.shape)}; pass "
            f"({name}, labels)"
        )


def _check_inverse(features: Tensor, labels: Tensor, inverse: Tensor) -> None:
    """Raise an error if voxels, point labels and inverse map do not belong together."""
    if inverse.dtype != torch.int64:
        raise TypeError(f"inverse must be int64, got dtype {inverse.dtype}; use inverse.long()")
    if features.ndim != 2 or labels.ndim != 1 or inverse.shape != labels.shape:
        raise ValueError(
            "with an inverse map, features must be (V, C) and labels and inverse (N,), got "
            f"features {tuple(features.shape)}, labels {tuple(labels.shape)} and inverse "
            f"{tuple(inverse.shape)}; give each label the row of its voxel"
        )
    if not features.device == labels.device == inverse.device:
        raise ValueError(
            f"features, labels and inverse must be on one device, got {features.device}, "
            f"{labels.device} and {inverse.device}; move them to {features.device}"
        )
    if is_checkable(labels) and inverse.numel():
        lowest, highest = (int(value) for value in inverse.aminmax())
        if lowest < 0 or highest >= len(features):
            raise ValueError(
                f"inverse must hold rows 0..{len(features) - 1} of the features, got "
                f"{lowest}..{highest}; it belongs to another voxelisation"
            )


def is_checkable(labels: Tensor) -> bool:
    """Whether label values can be read here without a device wait and without a graph break."""
    return labels.device.type == "cpu" and not torch.compiler.is_compiling()


def fold_ignored(labels: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """Convert labels to int64 class ids, with the extra class K for every label that is no class.

    This avoids boolean indexing, whose shape depends on values: sum over K + 1 classes and drop
    the last row. Labels out of range become K too, so that code that skipped :func:`check_labels`
    never writes outside an array.

    Args:
        labels: Integer labels of any shape.
        num_classes: Number of classes K.
        ignore_index: The value that marks unlabelled data.

    Returns:
        int64 ids in 0..K, of the same shape as ``labels``.
    """
    ids = labels.long()
    known = (ids >= 0) & (ids < num_classes) & (ids != ignore_index)
    return torch.where(known, ids, num_classes)


def count_labels(labels: Tensor, num_classes: int, *, ignore_index: int = 255) -> Tensor:
    """Number of labels of each class.

    Args:
        labels: Integer labels of any shape.
        num_classes: Number of classes K.
        ignore_index: The value that marks unlabelled data.

    Returns:
        (K,) int64; exact at any size (float32 would stop counting at 2^24).
    """
    if is_checkable(labels) and labels.numel():
        return _tally(labels, num_classes, ignore_index, *_extremes(labels))[0]
    return count_ids(fold_ignored(labels, num_classes, ignore_index), num_classes)


def count_ids(ids: Tensor, num_classes: int) -> Tensor:
    """:func:`count_labels` of int64 ids in 0..K, as :func:`fold_ignored` returns them.

    Args:
        ids: Class ids of any shape, K where there is no class.
        num_classes: Number of classes K.

    Returns:
        (K,) int64.
    """
    ids = ids.flatten()
    if is_checkable(ids):
        return torch.bincount(ids, minlength=num_classes + 1)[:num_classes]
    # bincount would wait for an accelerator, and its shape depends on the ids.
    counts = torch.zeros(num_classes + 1, dtype=torch.int64, device=ids.device)
    return counts.index_add(0, ids, torch.ones_like(ids))[:num_classes]


def checked_counts(labels: Tensor, num_classes: int, *, ignore_index: int = 255) -> Tensor:
    """:func:`check_labels` and :func:`count_labels` in one pass over the labels (on a CPU).

    Args:
        labels: Integer labels of any shape.
        num_classes: Number of classes K.
        ignore_index: The value that marks unlabelled data.

    Returns:
        (K,) int64, the number of labels of each class.

    Raises:
        TypeError: If the labels are not integers.
        ValueError: If a label lies outside 0..K-1 and is not ``ignore_index``, or the two
            arguments contradict each other.
    """
    if not is_checkable(labels) or labels.numel() == 0:
        check_labels(labels, num_classes, ignore_index=ignore_index)
        return count_labels(labels, num_classes, ignore_index=ignore_index)
    check_num_classes(num_classes, ignore_index)
    check_label_dtype(labels)
    counts_K, wrong = _tally(labels, num_classes, ignore_index, *_extremes(labels))
    if wrong:
        _refuse_wrong(labels, num_classes, ignore_index)
    return counts_K


def _extremes(labels: Tensor) -> tuple[int, int]:
    """The lowest and the highest label."""
    lowest, highest = labels.aminmax()
    return int(lowest), int(highest)


def _tally(
    labels: Tensor, num_classes: int, ignore_index: int, lowest: int, highest: int
) -> tuple[Tensor, int]:
    """(K,) labels of each class, and the number of labels neither of a class nor ignored.

    ``lowest`` and ``highest`` are the extremes of the labels; if they lie close together, as they
    do unless labels are wrong, the labels need no conversion.
    """
    first = min(lowest, 0)
    if highest - first < num_classes + _MOST_BINS:
        values = labels.flatten() if first == 0 else labels.flatten().long() - first
        bins = torch.bincount(values, minlength=num_classes - first)
        ignored = int(bins[ignore_index - first]) if first <= ignore_index <= highest else 0
    else:
        first, bins = 0, count_ids(fold_ignored(labels, num_classes, ignore_index), num_classes)
        ignored = int((labels.long() == ignore_index).sum())
    counts_K = bins[-first : num_classes - first].clone()
    if 0 <= ignore_index < num_classes:
        counts_K[ignore_index] = 0
    return counts_K, labels.numel() - ignored - int(counts_K.sum())
