import re

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from equiseg.labels import (
    check_labels,
    check_num_classes,
    check_shapes,
    checked_counts,
    count_labels,
    fold_ignored,
)

INTEGER_DTYPES = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]


@pytest.mark.parametrize("dtype", INTEGER_DTYPES)
def test_classes_and_the_ignore_value_pass(dtype):
    check_labels(torch.tensor([0, 1, 2, 100], dtype=dtype), 3, ignore_index=100)


def test_the_error_names_and_counts_labels_out_of_range():
    labels = torch.tensor([[0, 7, 7], [2, 255, -1]])
    with pytest.raises(ValueError, match=r"0\.\.2 or ignore_index=255, got -1, 7 in 3 of 6 places"):
        check_labels(labels, 3)


def test_many_wrong_values_are_cut_short():
    with pytest.raises(ValueError, match=r"got 3, 4, 5, 6, 7, \.\.\. in 17 of 20 places"):
        check_labels(torch.arange(20), 3)


def test_empty_labels_are_valid():
    check_labels(torch.zeros(0, dtype=torch.int64), 3)


def test_8_bit_labels_under_more_than_256_classes():
    check_labels(torch.tensor([50, 254], dtype=torch.uint8), 300, ignore_index=-1)


def test_8_bit_labels_are_not_confused_with_a_wrapped_ignore_value():
    # In 8 bits -100 is 156 and 255 is -1.
    with pytest.raises(ValueError, match="got 156"):
        check_labels(torch.tensor([156], dtype=torch.uint8), 150, ignore_index=-100)
    with pytest.raises(ValueError, match="got -1 "):
        check_labels(torch.tensor([-1], dtype=torch.int8), 50, ignore_index=255)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_labels_that_are_not_integers_are_refused(dtype):
    with pytest.raises(TypeError, match=f"labels must be integer class ids, got dtype {dtype}"):
        check_labels(torch.zeros(3, dtype=dtype), 3)


@pytest.mark.parametrize("ignore_index", [0, 149])
def test_an_ignore_value_that_is_a_class_is_refused(ignore_index):
    with pytest.raises(ValueError, match=rf"ignore_index .* 0\.\.149, got {ignore_index}"):
        check_num_classes(150, ignore_index)


@pytest.mark.parametrize("num_classes", [1, 0, -3])
def test_fewer_than_two_classes_are_refused(num_classes):
    with pytest.raises(ValueError, match=f"num_classes must be at least 2, got {num_classes}"):
        check_num_classes(num_classes, 255)


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        ((5, 4), (5,)),
        ((2, 4, 7), (2, 7)),
        ((2, 4, 3, 5), (2, 3, 9)),
        ((2, 4, 3, 5, 2), (2, 6, 9, 2)),
    ],
)
def test_matching_shapes_pass(features, labels):
    check_shapes(torch.zeros(features), torch.zeros(labels, dtype=torch.int64))


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        ((2, 4, 3, 3), (2, 1, 3, 3), r"labels \(2, 1, 3, 3\).*labels.squeeze\(1\)"),
        ((4,), (4,), r"features must be \(B, C, \*spatial\).*got \(4,\)"),
        ((1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1), "features must be"),
        ((2, 4, 3, 3), (3, 3, 3), r"same first size, got 2 in \(2, 4, 3, 3\) and 3 in"),
        ((5, 4), (6,), "same first size, got 5"),
        ((2, 4, 3, 5), (2, 6, 4), r"labels \(6, 4\) under features \(3, 5\)"),
        ((2, 4, 0, 5), (2, 6, 9), r"at least one cell in every direction, got \(2, 4, 0, 5\)"),
    ],
)
def test_shapes_that_do_not_match_are_refused(features, labels, message):
    with pytest.raises(ValueError, match=message):
        check_shapes(torch.zeros(features), torch.zeros(labels, dtype=torch.int64))


def test_features_that_are_not_floating_point_are_refused():
    with pytest.raises(TypeError, match=r"features must be floating point, got .*\.int64"):
        check_shapes(torch.zeros(3, 4, dtype=torch.int64), torch.zeros(3, dtype=torch.int64))


def test_two_devices_are_refused():
    with pytest.raises(ValueError, match=r"one device, got meta and cpu"):
        check_shapes(torch.zeros(3, 4, device="meta"), torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("dtype", INTEGER_DTYPES)
def test_labels_that_are_no_class_fold_into_the_extra_class(dtype):
    ids = fold_ignored(torch.tensor([[0, 2, 100], [3, 1, 99]], dtype=dtype), 3, 100)
    assert ids.dtype == torch.int64
    assert ids.tolist() == [[0, 2, 3], [3, 1, 3]]


def test_negative_labels_fold_into_the_extra_class():
    assert fold_ignored(torch.tensor([-1, -100, 1]), 3, -100).tolist() == [3, 3, 1]


def test_the_ignore_value_folds_even_if_it_is_a_class():
    assert fold_ignored(torch.tensor([0, 1, 2]), 3, 1).tolist() == [0, 3, 2]


def test_counts():
    counts = count_labels(torch.tensor([[0, 2, 2], [255, 9, -1]]), 4)
    assert counts.dtype == torch.int64
    assert counts.tolist() == [1, 0, 2, 0]


LABELS = {
    "in range": [0, 2, 2, 1],
    "ignored": [0, 2, 2, 255],
    "negative": [0, 2, -1, -128],
    "far": [0, 2, 2**40, -(2**62)],
    "empty": [],
}


@pytest.mark.parametrize("ignore_index", [255, -1, 2])
@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("dtype", INTEGER_DTYPES)
def test_counts_do_not_depend_on_dtype_or_route(dtype, kind, ignore_index, monkeypatch):
    limits = torch.iinfo(dtype)
    kept = [label for label in LABELS[kind] if limits.min <= label <= limits.max]
    labels = torch.tensor(kept, dtype=dtype)
    expected = [sum(k == label != ignore_index for label in kept) for k in range(3)]
    assert count_labels(labels, 3, ignore_index=ignore_index).tolist() == expected
    monkeypatch.setattr("equiseg.labels.is_checkable", lambda _: False)
    assert count_labels(labels, 3, ignore_index=ignore_index).tolist() == expected


def test_counts_compile():
    torch.compiler.reset()
    compiled = torch.compile(count_labels, fullgraph=True, backend="aot_eager")
    assert compiled(torch.tensor([[0, 2, 2], [255, 9, -1]]), 4).tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize("ignore_index", [255, -1])
@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("checkable", [True, False])
def test_checked_counts_check_and_count(kind, ignore_index, checkable, monkeypatch):
    labels = torch.tensor(LABELS[kind], dtype=torch.int64)
    if not checkable:
        monkeypatch.setattr("equiseg.labels.is_checkable", lambda _: False)
    try:
        check_labels(labels, 3, ignore_index=ignore_index)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            checked_counts(labels, 3, ignore_index=ignore_index)
        return
    counts = checked_counts(labels, 3, ignore_index=ignore_index)
    assert torch.equal(counts, count_labels(labels, 3, ignore_index=ignore_index))


def test_checked_counts_read_the_labels_twice():
    """Once for their range, once to count; a check and a count would take four reads."""
    reads = []

    class Reads(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if any(isinstance(of, torch.Tensor) and of.numel() >= 1000 for of in args):
                reads.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    with Reads():
        checked_counts(torch.full((1000,), 255, dtype=torch.uint8), 3)
    assert reads == ["aminmax", "bincount"]
