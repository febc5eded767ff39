import pytest

from equiseg import losses
from equiseg.training.methods import METHODS, loss_names, parse_method


def test_every_loss_has_the_name_of_its_file():
    names = loss_names()
    assert {"cross_entropy", "center_collapse", "lovasz", "ohem"} <= set(names)
    assert "pixel_loss" not in names
    for name in names:
        (term,) = parse_method(name)
        assert term.build.__module__ == f"equiseg.losses.{name}"


def test_a_weighted_sum():
    terms = parse_method("0.5*cross_entropy + 2 * focal(gamma=1, class_weight=enet) + dice")
    assert [(term.name, term.factor) for term in terms] == [
        ("cross_entropy", 0.5),
        ("focal", 2.0),
        ("dice", 1.0),
    ]
    assert terms[1].arguments == {"gamma": 1, "class_weight": "enet"}


def test_named_methods_and_other_constructors():
    for name, text in METHODS.items():
        assert parse_method(name) == parse_method(text)
        assert parse_method(f"{name} + dice") == parse_method(f"{text} + dice")
    (term,) = parse_method("center_collapse.published(weight=0.2)")
    assert term.build == losses.CenterCollapseLoss.published


def test_a_class_of_your_own_by_its_dotted_name():
    (term,) = parse_method("torch.nn.CrossEntropyLoss(label_smoothing=0.1)")
    assert term.arguments == {"label_smoothing": 0.1}


class HandsOn(losses.FocalLoss):
    """Takes one argument of its own and hands the others to its base."""

    def __init__(self, num_classes: int, *, sharp: bool = False, **keywords) -> None:
        super().__init__(num_classes, **keywords)
        self.sharp = sharp


def test_a_class_of_your_own_takes_the_arguments_of_its_base():
    (term,) = parse_method(f"{__name__}.HandsOn(sharp=True, gamma=3)")
    built = term.build(4, **term.arguments, ignore_index=7)
    assert (built.sharp, built.gamma, built.ignore_index) == (True, 3, 7)
    with pytest.raises(ValueError, match=r"takes gamma, class_weight, sharp, got 'gama'"):
        parse_method(f"{__name__}.HandsOn(gama=3)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("focal(2)", "arguments need their names"),
        ("2", "'2' is not a loss"),
        ("dice - focal", "'dice - focal' is not a loss"),
        ("x*dice", "'dice' needs a factor above 0 and below 2\\^63, got 'x'"),
        ("dice + -1*focal", "'focal' needs a factor above 0 and below 2\\^63, got -1"),
        ("1e999*dice", "'dice' needs a factor above 0 and below 2\\^63, got inf"),
        ("focal(gamma=1, gamma=5)", "focal is given gamma twice"),
        ("0.5*ceco", "ceco is a sum, cross_entropy \\+ center_collapse; write it out"),
        ("dice + dice", "dice is named twice; add up its factors"),
        ("dice +", "invalid syntax"),
        ("center_collapse.public", r"no constructor 'public', only \['published'\]"),
        ("focal(gamma=1 + x)", r"'1 \+ x' is not a number, word or list"),
    ],
)
def test_sums_that_cannot_be_read(text, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_method(text)
    assert "write a sum of losses such as" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("focl", r"unknown loss 'focl' \(did you mean focal\?\); known are ceco, ceco_published"),
        ("zzz", r"unknown loss 'zzz'; known are ceco"),
        ("DiceLoss", r"unknown loss 'DiceLoss' \(did you mean dice\?\)"),
        ("CenterCollapseLoss", r"\(did you mean center_collapse\?\)"),
        ("focal(gama=1)", r"focal takes gamma, class_weight, got 'gama' \(did you mean gamma\?\)$"),
        ("focal(num_classes=3)", "focal takes gamma, class_weight, got 'num_classes'$"),
        ("dice(smooth=1)", "dice takes no argument, got 'smooth'$"),
        ("no_such.Loss", "No module named 'no_such'; start in the folder of the module"),
        ("torch.nn.Loss", "no 'Loss' in torch.nn; check the spelling"),
        ("torch.nn.Parameter", "torch.nn.Parameter is not a torch.nn.Module class"),
    ],
)
def test_unknown_losses_and_arguments_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_method(text)


DIGITS = "1" + "0" * 4200  # more than Python turns into a float, fewer than it refuses to read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{DIGITS}*dice", "needs a factor above 0 and below 2\\^63"),
        (
            f"0x{'f' * 4000}*dice",
            "needs a factor above 0 and below 2\\^63, got a number of thousands",
        ),
        (f"focal(gamma={DIGITS})", "gamma must be finite and below 2\\^63"),
        (f"focal(gamma=[[{DIGITS}]])", "gamma must be finite and below 2\\^63"),
        (f"(0x{'f' * 4000} + 1j)*dice", "is not a number, word or list"),
        ("x" * 5000, "unknown loss 'xxx"),
        (f"dice({'z' * 5000}=1)", "dice takes no argument, got 'zzz"),
        (f"dice.x{'y' * 5000}", "dice has no constructor 'xyy"),
        (f"'{'a' * 5000}.py:Loss'", "no file "),
        (f"my_losses_{'a' * 5000}.Loss", "No module named 'my_losses_aaa"),
        ("dice(**more)", "arguments need their names"),
    ],
    ids=lambda text: text[:20],
)
def test_endless_texts_are_refused_in_short_messages(text, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_method(text)
    assert len(str(error.value)) < 900
