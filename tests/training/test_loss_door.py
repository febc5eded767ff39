"""A loss of a user's own: copies of ours behave the same, under every kind of name."""

import importlib
import inspect
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from equiseg import losses
from equiseg.imbalance import ClassStatistics
from equiseg.testing.loss_case import state_of
from equiseg.training.config import TrainConfig
from equiseg.training.criterion import build_criterion
from equiseg.training.methods import absolute_method, loss_names, parse_method

K, C = 6, 16
STATISTICS = ClassStatistics(
    torch.tensor([50000, 9000, 3000, 800, 50, 7]), torch.tensor([40, 35, 20, 9, 3, 1]), 40
)
ARGUMENTS = {
    "weighted_cross_entropy": "(class_weight=enet)",
    "focal": "(class_weight=square_root)",
    "published_center_collapse": "(weight=0.8)",
    "center_collapse": "(projection=[frozen, 20], prior=image)",
}
AUXILIARY = (
    "center_collapse",
    "published_center_collapse",
    "learnable_center",
    "region_rebalance",
    "prototype_contrast",
)


@pytest.fixture
def copied_losses(tmp_path, monkeypatch):
    """A folder with a module of the user's, which the test writes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield tmp_path / "copied_losses.py"
    for name in set(sys.modules) - before:
        del sys.modules[name]
    importlib.invalidate_caches()


def class_name(name):
    return "".join(word.capitalize() for word in name.split("_")) + "Loss"


def trained(method, share):
    """Parts, gradients, classifier and state after one epoch's start and one step."""
    torch.manual_seed(1)
    labels = torch.randint(0, K, (2, 17, 19))
    labels[0, :3] = 255
    features, classifier = torch.randn(2, C, 8, 9).requires_grad_(), nn.Conv2d(C, K, 1)
    criterion = build_criterion(method, STATISTICS, C, 255)
    criterion.fix_classifier(classifier)
    criterion.begin_epoch(share)
    parts = criterion.train()(classifier(features), features, labels)
    sum(parts.values()).backward()
    frozen = not any(parameter.requires_grad for parameter in classifier.parameters())
    state = [*state_of(criterion).values(), classifier.weight.detach()]
    return [*parts.values()], features.grad, frozen, state


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("name", loss_names())
def test_a_copy_of_a_loss_behaves_as_the_loss(name, share, copied_losses):
    source = inspect.getsourcefile(getattr(losses, class_name(name)))
    copied_losses.write_text(Path(source).read_text())
    start = "cross_entropy + " if name in AUXILIARY else ""
    arguments = ARGUMENTS.get(name, "")
    ours = trained(f"{start}{name}{arguments}", share)
    theirs = trained(f"{start}copied_losses.{class_name(name)}{arguments}", share)
    torch.testing.assert_close(theirs, ours, atol=0, rtol=0)


OWN = """from equiseg.losses import CrossEntropyLoss


class My(CrossEntropyLoss):
    def __init__(self, num_classes, *, sharp: float = 1.0, ignore_index=255):
        super().__init__(num_classes, ignore_index=ignore_index)
        self.sharp = sharp
"""


@pytest.mark.parametrize("folder", [".", "losses of copied_losses+more"])
def test_a_loss_is_named_by_its_file(folder, copied_losses, monkeypatch, tmp_path):
    file = Path(folder) / "own.py"
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / file).write_text(OWN)
    name = f"'{file}:My'" if " " in folder else f"{file}:My"
    method = f"0.5*dice + 2*{name}(sharp=3) + center_collapse"
    kept = TrainConfig(method=method).method
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    terms = parse_method(kept)
    assert [term.key for term in terms] == ["dice", "own_My", "center_collapse"]
    assert terms[1].factor == 2
    assert build_criterion(kept, STATISTICS, C, 255).losses["own_My"].sharp == 3
    assert absolute_method(kept) == kept


def test_a_word_for_a_number_is_refused(copied_losses):
    copied_losses.write_text(OWN)
    with pytest.raises(
        ValueError, match=r"sharp of copied_losses\.My must be a number, got 'inverse'"
    ):
        build_criterion("copied_losses.My(sharp=inverse)", STATISTICS, C, 255)


def test_vectors_go_by_type_whatever_the_name(copied_losses):
    copied_losses.write_text(
        "from equiseg.losses import ClassWeight, ClassPrior, WeightedCrossEntropyLoss\n\n\n"
        "class My(WeightedCrossEntropyLoss):\n"
        "    def __init__(self, num_classes, *, loud: ClassWeight, shares: ClassPrior,\n"
        "                 ignore_index=255):\n"
        "        super().__init__(num_classes, class_weight=loud, ignore_index=ignore_index)\n"
        "        self.shares = shares\n"
    )
    built = build_criterion("copied_losses.My(loud=enet)", STATISTICS, C, 255).losses[
        "copied_losses_My"
    ]
    ours = build_criterion("weighted_cross_entropy(class_weight=enet)", STATISTICS, C, 255)
    assert torch.equal(built.weight_K, ours.losses["weighted_cross_entropy"].weight_K)
    torch.testing.assert_close(built.shares.sum().item(), 1.0)
    with pytest.raises(ValueError, match=r"copied_losses\.My needs loud, one of inverse"):
        build_criterion("copied_losses.My", STATISTICS, C, 255)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "weighted_cross_entropy(weight=square_root)",
            "weighted_cross_entropy(class_weight=square_root)",
        ),
        ("focal(alpha=[1, 2, 3, 4, 5, 6])", "focal(class_weight=[1, 2, 3, 4, 5, 6])"),
        (
            "dice + center_collapse(projection=frozen, dim=20)",
            "dice + center_collapse(projection=[frozen, 20])",
        ),
        ("dice + center_collapse(projection=none)", "dice + center_collapse"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_older_texts_are_read(old, new):
    torch.testing.assert_close(trained(old, 0.5), trained(new, 0.5), atol=0, rtol=0)
