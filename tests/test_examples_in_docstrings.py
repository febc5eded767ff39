"""The examples in the docstrings of the core run, and print what they say."""

import doctest
import importlib

import pytest

MODULES = (
    "centers.centers",
    "frames",
    "imbalance.formulas",
    "imbalance.groups",
    "imbalance.statistics",
    "losses.center_collapse",
    "losses.cross_entropy",
    "losses.dice",
    "losses.focal",
    "metrics.collapse_metric",
    "metrics.segmentation",
    "tap.compare_output",
    "tap.feature_tap",
    "testing.loss_checks",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(f"equiseg.{name}"))
    assert found.attempted
    assert not found.failed
