import pytest

from equiseg.study.variant import Variant, changes_of, name_of
from runs import tiny_config


def test_variants_change_the_common_configuration():
    base = tiny_config()
    plain = Variant.parse("cross_entropy", base)
    assert (plain.name, plain.config.method) == ("cross_entropy", "cross_entropy")
    summed = Variant.parse("cross_entropy + dice", base)
    assert (summed.name, summed.config.method) == ("cross_entropy+dice", "cross_entropy + dice")
    text = "strong:method=cross_entropy + center_collapse(weight=0.8, scale=10), epochs=5"
    changed = Variant.parse(text, base)
    assert changed.config.method == "cross_entropy + center_collapse(weight=0.8, scale=10)"
    assert changed.config.epochs == 5
    assert changed.config.data == base.data
    cropped = Variant.parse("cropped:data.augment.crop=[32,48],epochs=4", base)
    assert cropped.config.data.augment.crop == (32, 48)
    assert cropped.config.epochs == 4
    # Validation every fourth of twelve epochs: neither change alone would do.
    base = tiny_config(epochs=12, val_every=4)
    assert Variant.parse("short:epochs=5,val_every=5", base).config.val_every == 5


def test_a_loss_in_a_file_counts_by_its_own_name():
    text = "cross_entropy + 2*my_losses.py:MyLoss"
    assert name_of(text) == "cross_entropy+MyLoss"
    assert changes_of(text) == {"method": text}
    named = "mine:method=my_losses.py:MyLoss(scale=2), epochs=3"
    assert name_of(named) == "mine"
    assert changes_of(named) == {"method": "my_losses.py:MyLoss(scale=2)", "epochs": "3"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("focl", "unknown loss .focl."),
        ("a:method", "must read field=value"),
        (
            "a/b:epochs=3",
            "a name is made of letters.* got 'a/b'; write a name first, as in 'mine:epochs=3'",
        ),
        ("dice + 2*focal", r"got 'dice\+2\*focal'; .* as in 'mine:method=dice \+ 2\*focal'"),
        ("a:optimizer.wait=1", "is none of the fields"),
        ("a:optimizer.lr=high", "lr must be a number, got high"),
        ("a:epochs=3,val_every=2", "methods: .*: epochs must be a multiple"),
        ("a:seed=1", "give them to all methods by --seeds"),
    ],
)
def test_invalid_variants_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Variant.parse(text, tiny_config())
