"""The package with and without its extras."""

import subprocess
import sys

import pytest

import equiseg


def run(code):
    """A new interpreter, as imports happen once."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", ["equiseg", "equiseg.data", "equiseg.metrics"])
def test_every_name_is_there(package):
    names = run(
        f"import {package} as p; print(sorted(p.__all__) == sorted(set(p.__all__)), *("
        f"n for n in p.__all__ if not hasattr(p, n) or n not in dir(p)))"
    )
    assert names.split() == ["True"]


@pytest.mark.parametrize(
    "module",
    ["equiseg", "equiseg.commands", "equiseg.training.config", "equiseg.metrics", "equiseg.data"],
)
def test_torch_is_imported_only_on_use(module):
    assert run(f"import sys, {module}; print('torch' in sys.modules)") == "False\n"


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'equiseg' has no attribute 'CenterLos'"):
        _ = equiseg.CenterLos


def test_without_torchmetrics_only_its_metrics_are_missing():
    told = run(
        """
import sys
sys.modules["torchmetrics"] = None
import equiseg
from equiseg import *
print(CenterCollapseLoss.__name__, Score.__name__, hasattr(equiseg, "SegmentationScore"))
try:
    from equiseg import SegmentationScore
except ImportError as error:
    print(error)
try:
    equiseg.CollapseMetric
except AttributeError as error:
    print(error)
"""
    )
    needs = 'needs torchmetrics: pip install "equiseg[metrics]"'
    assert told.splitlines() == [
        "CenterCollapseLoss Score False",
        f"equiseg.SegmentationScore {needs}",
        f"equiseg.CollapseMetric {needs}",
    ]
