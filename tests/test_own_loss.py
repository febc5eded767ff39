"""What docs/extend/loss.md promises of a loss of one's own."""

import importlib
import json
import math

import pytest

from equiseg.testing import LOSS_CHECKS, NUM_CLASSES, LossCase
from equiseg.training.run import train
from places import ROOT
from reference.slow_pixels import as_numpy, labelled_pixels, softmax
from runs import tiny_config

EXAMPLE = ROOT / "examples/own_loss.py"


def test_the_page_shows_the_example_whole():
    assert '--8<-- "examples/own_loss.py"' in (ROOT / "docs/extend/loss.md").read_text()


def test_the_loss_takes_twelve_lines():
    code = EXAMPLE.read_text().partition('"""\n\n')[2].partition("\n\n\nif __name__")[0]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 12


@pytest.fixture
def own_loss(monkeypatch):
    """The module, as Python finds it in the folder it was called from."""
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    return importlib.import_module("own_loss")


@pytest.mark.parametrize("check", LOSS_CHECKS, ids=str)
def test_the_loss_keeps_the_contract(own_loss, check):
    build = own_loss.Poly1Loss
    check(LossCase("poly1", lambda ignore: build(NUM_CLASSES, ignore_index=ignore), slow_poly1))


def slow_poly1(state, logits, labels):
    shares = [softmax(row)[label] for row, label in labelled_pixels(as_numpy(logits), labels)]
    return sum(-math.log(share) + 1 - share for share in shares) / len(shares)


def test_a_network_trains_with_it(own_loss, tmp_path):
    train(tiny_config(method="own_loss.Poly1Loss(epsilon=2)", epochs=1), tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert 0 <= result["test"]["miou"] <= 1
