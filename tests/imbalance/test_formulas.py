"""Measures of imbalance, weights and priors."""

import math

import numpy as np
import pytest
import torch

from equiseg.imbalance import (
    class_prior,
    class_weights,
    effective_num_classes,
    effective_number,
    gini,
    imbalance_factor,
)

COUNTS = torch.tensor([900, 0, 40, 250, 40, 7, 12_345])
IMAGES = torch.tensor([30, 0, 4, 25, 40, 2, 100])
OCCURS = COUNTS > 0
FORMULAS = ("inverse", "square_root", "enet", "median_frequency", "effective_number")
MEASURES = (imbalance_factor, gini, effective_num_classes)


def weights(formula, counts=COUNTS, images=IMAGES):
    return class_weights(
        counts, formula, images_K=images if formula == "median_frequency" else None
    )


def test_measures_of_balanced_data():
    for counts in ([7] * 5, [7.5] * 2, [3]):
        assert imbalance_factor(counts) == 1
        assert gini(counts) == 0
        assert effective_num_classes(counts) == pytest.approx(len(counts), rel=1e-15)


def test_measures_of_data_that_one_class_fills():
    counts = [10**15, *[1] * 9]
    assert imbalance_factor(counts) == 1e15
    assert gini(counts) == pytest.approx(0.9)
    assert effective_num_classes(counts) == pytest.approx(1)


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_are_invariant_to_order_unit_and_absent_classes(measure):
    expected = measure(COUNTS)
    assert measure(COUNTS.flip(0)) == pytest.approx(expected, rel=1e-14)
    assert measure(COUNTS * 1000) == pytest.approx(expected, rel=1e-14)
    assert measure(COUNTS[OCCURS].tolist()) == expected


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_without_counts_are_nan(measure):
    assert math.isnan(measure([0, 0, 0]))
    assert math.isnan(measure([]))


def test_gini_is_half_the_relative_mean_difference():
    counts = COUNTS[OCCURS].double().numpy()
    differences = np.abs(counts[:, None] - counts[None, :]).mean()
    assert gini(COUNTS) == pytest.approx(differences / (2 * counts.mean()), rel=1e-14)


def test_effective_number_of_classes_is_the_power_of_the_entropy():
    counts = COUNTS[OCCURS].double().numpy()
    bits = -sum(p * math.log2(p) for p in counts / counts.sum())
    assert effective_num_classes(COUNTS) == pytest.approx(2**bits, rel=1e-14)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.9999, 1.0])
def test_effective_number_is_a_sum_of_ever_smaller_samples(beta):
    counts = [0, 1, 2, 30, 4000]
    expected = [sum(beta**i for i in range(n)) for n in counts]
    np.testing.assert_allclose(effective_number(counts, beta), expected, rtol=1e-11)


def test_effective_number_keeps_its_digits_near_one_and_far_out():
    assert effective_number([3], 1 - 1e-12).item() == pytest.approx(3, rel=1e-4)
    assert effective_number([10**12], 0.999).item() == pytest.approx(1000, rel=1e-12)


@pytest.mark.parametrize("formula", FORMULAS)
def test_weights_have_mean_1_over_the_classes_that_occur(formula):
    found = weights(formula)
    assert found.dtype == torch.float64
    assert found[OCCURS].mean().item() == pytest.approx(1, rel=1e-14)
    assert found[1] == found[OCCURS].max()
    torch.testing.assert_close(weights(formula, COUNTS[OCCURS], IMAGES[OCCURS]), found[OCCURS])
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(weights(formula, COUNTS[order], IMAGES[order]), found[order])


@pytest.mark.parametrize("formula", FORMULAS)
def test_weights_of_balanced_data_are_1(formula):
    torch.testing.assert_close(
        weights(formula, [50] * 4, [5] * 4), torch.ones(4, dtype=torch.float64)
    )


def published_weights(formula):
    """The formulas as their papers give them, in NumPy, over the classes that occur."""
    n, images = COUNTS[OCCURS].double().numpy(), IMAGES[OCCURS].double().numpy()
    if formula == "inverse":
        return n.sum() / (len(n) * n)
    if formula == "square_root":
        return np.sqrt(n.max() / n)
    if formula == "enet":
        return 1 / np.log(1.02 + n / n.sum())
    if formula == "median_frequency":
        frequency = n / (images * 480 * 640)  # over the pixels of the images with the class
        return np.median(frequency) / frequency
    return (1 - 0.999) / (1 - 0.999**n)


@pytest.mark.parametrize("formula", FORMULAS)
def test_weights_equal_the_formulas_of_the_papers_up_to_a_factor(formula):
    ratios = weights(formula)[OCCURS].numpy() / published_weights(formula)
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-12)


def test_effective_number_weights_lie_between_none_and_inverse():
    ones = torch.ones(7, dtype=torch.float64)
    torch.testing.assert_close(class_weights(COUNTS, "effective_number", beta=0.0), ones)
    torch.testing.assert_close(
        class_weights(COUNTS, "effective_number", beta=1.0), class_weights(COUNTS, "inverse")
    )


def test_the_prior_is_a_share_and_the_largest_for_a_class_without_counts():
    assert class_prior([6, 2]).tolist() == [0.75, 0.25]
    assert class_prior([6, 0, 2]).tolist() == [0.75, 0.75, 0.25]
    assert class_prior([6, 0, 3], total=8).tolist() == [0.75, 0.75, 0.375]
    assert class_prior([6, 0, 3], total=1).tolist() == [6, 6, 3]
    for total in (None, 0):
        assert class_prior([0, 0], total=total).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gini([3, -1]), r"finite counts >= 0, got shape \(2,\) and values \[3\.0, -1\.0\]"),
        (lambda: imbalance_factor([1, math.nan]), "finite counts >= 0"),
        (lambda: class_prior(torch.ones(2, 2)), r"one row .* got shape \(2, 2\)"),
        (lambda: effective_number([1], 1.5), r"beta must be 0 to 1, got 1\.5; customary"),
        (lambda: class_weights([0, 0], "inverse"), "a class that occurs, got zeros; count the"),
        (lambda: class_weights([1, 2], "sqrt"), r"one of inverse, square_root, .* got 'sqrt'"),
        (lambda: class_weights([1, 2], "median_frequency"), "needs images_K"),
        (
            lambda: class_weights([1, 2], "median_frequency", images_K=[1, 0]),
            r"at least 1 for each of the 2 classes .* got \[1\.0, 0\.0\]; take both",
        ),
        (lambda: class_weights([1], "median_frequency", images_K=[1, 0]), "each of the 1 classes"),
    ],
)
def test_arguments_that_cannot_work_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
