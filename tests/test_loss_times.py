"""The times of losses in their cards are those of the last measurement."""

import importlib

import pytest
import torch

from places import ROOT

CARDS = sorted(p.stem for p in (ROOT / "docs/losses").glob("*.md") if p.stem != "index")


@pytest.fixture
def cards(monkeypatch):
    """The module that writes them."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.docs.loss_times")


@pytest.fixture
def benchmark(monkeypatch):
    """The module that measures."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.speed.losses")


@pytest.mark.parametrize("name", CARDS)
def test_a_card_has_its_measured_time(name, cards):
    card = (ROOT / f"docs/losses/{name}.md").read_text(encoding="utf-8")
    expected = cards.with_line(card, cards.line(name, cards.saved_rows()))
    assert card == expected, "run python -m benchmarks.docs.loss_times"


def test_every_loss_with_a_card_is_measured(cards):
    assert sorted(cards.LOSSES) == CARDS


def test_a_card_has_one_line_with_its_time(cards):
    once = cards.with_line("# A\n\n**Golden value.** 1\n", "**Time.** 2 times")
    assert once == "# A\n\n**Time.** 2 times\n\n**Golden value.** 1\n"
    assert cards.with_line(once, "**Time.** 3 times") == once.replace("2", "3")
    with pytest.raises(ValueError, match=r"must have one '\*\*Golden value"):
        cards.with_line("# A", "**Time.** 2 times")


def test_the_dice_of_monai_by_hand(benchmark):
    """One image, two classes, two pixels."""
    logits = torch.tensor([[[[0.0, 1.0]], [[0.0, 0.0]]]])
    p = logits.softmax(1)[0, :, 0]
    expected = sum(1 - 2 * p[k, k] / (1 + p[k].sum()) for k in range(2)) / 2
    actual = benchmark.monai_dice(logits, torch.tensor([[[0, 1]]]))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=0)


def test_everything_that_is_timed_runs(benchmark):
    steps = benchmark.functions(3, 16)
    assert set(CARDS) <= set(steps)
    for step in steps.values():
        step()
