"""Every loss is judged by every check of equiseg.testing."""

import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from contract.collected import CASES
from equiseg import losses
from equiseg.testing import LOSS_CHECKS

ROOT = Path(__file__).parents[2]
BASES = (losses.PixelLoss, losses.FeatureLoss)
PUBLIC = [loss for _, loss in inspect.getmembers(losses, inspect.isclass) if loss not in BASES]
every_public_loss = pytest.mark.parametrize("loss", PUBLIC, ids=lambda loss: loss.__name__)


@pytest.mark.parametrize("check", LOSS_CHECKS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_loss(case, check):
    check(case)


@every_public_loss
def test_every_public_loss_is_judged(loss):
    judged = [case for case in CASES if type(case.loss()) is loss]
    assert judged, "add a LossCase that builds it to a cases_*.py beside this file"
    assert all(case.reference for case in judged)


@every_public_loss
def test_every_public_loss_has_its_file_its_tests_and_its_card(loss):
    name = loss.__module__.rpartition(".")[2]
    assert loss.__name__ == "".join(word.capitalize() for word in name.split("_")) + "Loss"
    assert (ROOT / f"tests/losses/test_{name}.py").exists()
    card = (ROOT / f"docs/losses/{name}.md").read_text()
    assert card.startswith(f"# {loss.__name__}\n")
    assert "**Golden value.**" in card
    assert "assert round(" in card  # tests/test_readme.py runs it
    assert f"[`{name}`](losses/{name}.md)" in (ROOT / "docs/losses.md").read_text()


SPARED = [
    pytest.param(replace(case, spared={}), name, id=f"{case}-{name}")
    for case in CASES
    for name in case.spared.keys() - {"ranks"}  # of these test_loss_ranks.py knows
]


@pytest.mark.parametrize(("case", "name"), SPARED)
def test_no_case_is_spared_what_it_would_pass(case, name):
    for check in LOSS_CHECKS:
        if check.name == name:
            with pytest.raises(AssertionError, match=f"{case}, {name}"):
                check(case)
