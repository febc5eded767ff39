"""What losses refuse, and what they take for a number."""

import math
import re

import numpy as np
import pytest
import torch

from equiseg.losses.arguments import check_at_least, check_number, per_class


@pytest.mark.parametrize("value", [0, 2, 0.5, np.float32(0.5), np.int64(3)])
def test_numbers_are_numbers(value):
    check_number("gamma", value, default=2)


@pytest.mark.parametrize("value", ["abc", "2", None, True, [2], 1j, -1, math.nan, math.inf])
def test_the_error_for_an_invalid_number_names_the_argument(value):
    with pytest.raises(ValueError, match=r"gamma must be a finite number >= 0, got .* is 2$"):
        check_number("gamma", value, default=2)


def test_zero_is_refused_where_it_must_be_positive():
    with pytest.raises(ValueError, match="scale must be a finite number > 0, got 0; the"):
        check_number("scale", 0, default=1, positive=True)


@pytest.mark.parametrize("value", [1, 7, np.int64(2)])
def test_whole_numbers_are_whole_numbers(value):
    check_at_least("dim", value, 1)


@pytest.mark.parametrize("value", [0, 1.5, 2.0, "2", None])
def test_the_error_for_an_invalid_whole_number_names_the_argument(value):
    with pytest.raises(ValueError, match=f"dim must be a whole number >= 1, got {value!r}$"):
        check_at_least("dim", value, 1)


def test_numbers_of_classes_are_ready_for_a_buffer():
    values_K = per_class("weight", torch.tensor([1.0, 2.0], requires_grad=True), 2)
    assert values_K.dtype == torch.float32
    assert not values_K.requires_grad


@pytest.mark.parametrize("values", [["a", "b"], [1, [2]], {1: 2}], ids=str)
def test_the_error_for_invalid_class_numbers_names_the_argument(values):
    with pytest.raises(ValueError, match="weight must be one number per class, got"):
        per_class("weight", values, 2)


@pytest.mark.parametrize("value", [1e-46, 1e39])
def test_numbers_that_float32_cannot_hold_are_refused(value):
    message = re.escape(f"must be positive and finite, got {value} for class 1")
    with pytest.raises(ValueError, match=message):
        per_class("weight", torch.tensor([1, value], dtype=torch.float64), 2)
