"""Every loss is judged by every check of equiseg.testing."""

import inspect
from dataclasses import replace

import pytest
from torch import nn

from contract.collected import CASES
from equiseg import losses
from equiseg.testing import LOSS_CHECKS
from places import ROOT

BASES = (losses.PixelLoss, losses.FeatureLoss)
PUBLIC = [
    loss
    for _, loss in inspect.getmembers(losses, inspect.isclass)
    if issubclass(loss, nn.Module) and loss not in BASES
]
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


REQUIRED = {"num_classes": 5, "in_features": 7, "weight": 1.0} | dict.fromkeys(
    ("prior", "class_counts", "class_weight"), (5, 4, 3, 2, 1)
)
NUMBERS = [
    pytest.param(loss, name, id=f"{loss.__name__}-{name}")
    for loss in PUBLIC
    for name, parameter in inspect.signature(loss).parameters.items()
    if parameter.annotation == "float"
]


@pytest.mark.parametrize("word", ["abc", None, True])
@pytest.mark.parametrize(("loss", "name"), NUMBERS)
def test_an_argument_that_is_not_a_number_is_refused_by_name(loss, name, word):
    parameters = inspect.signature(loss).parameters.values()
    needed = {p.name: REQUIRED[p.name] for p in parameters if p.default is p.empty}
    with pytest.raises(ValueError, match=f"^{name} must be .* got {word!r}"):
        loss(**needed | {name: word})


@every_public_loss
def test_every_public_loss_has_its_file_its_tests_and_its_card(loss):
    name = loss.__module__.rpartition(".")[2]
    assert loss.__name__ == "".join(word.capitalize() for word in name.split("_")) + "Loss"
    assert (ROOT / f"tests/losses/test_{name}.py").exists()
    card = (ROOT / f"docs/losses/{name}.md").read_text()
    assert card.startswith(f"# {loss.__name__}\n")
    assert "**Golden value.**" in card
    assert "assert round(" in card  # tests/test_readme.py runs it
    assert f"[`{name}`]({name}.md)" in (ROOT / "docs/losses/index.md").read_text()


SPARED = [
    pytest.param(replace(case, spared={}), name, id=f"{case}-{name}")
    for case in CASES
    for name in case.spared.keys() - {"ranks"}  # of these test_loss_ranks.py knows
]


@pytest.mark.parametrize(("case", "name"), SPARED)
def test_no_case_skips_a_check_that_it_would_pass(case, name):
    for check in LOSS_CHECKS:
        if check.name == name:
            with pytest.raises(AssertionError, match=f"{case}, {name}"):
                check(case)
