import pytest

from equiseg.study.search_ranges import drawn, has_ranges, with_defaults

FOCAL = "focal:method=focal(gamma=2 or uniform(0.5, 5)),optimizer.lr=1e-3 or loguniform(5e-4,4e-3)"


def test_the_default_is_written_before_its_range():
    assert with_defaults(FOCAL) == "focal:method=focal(gamma=2),optimizer.lr=1e-3"
    assert with_defaults("ceco") == "ceco"
    assert has_ranges(FOCAL)
    assert not has_ranges("focal(gamma=2)")


def test_draws_lie_in_their_range_and_are_reproducible():
    settings = [drawn(FOCAL, seed) for seed in range(50)]
    assert settings == [drawn(FOCAL, seed) for seed in range(50)]
    assert len(set(settings)) == 50
    gammas, rates = [], []
    for text in settings:
        gamma, rate = text.removeprefix("focal:method=focal(gamma=").split("),optimizer.lr=")
        gammas.append(float(gamma))
        rates.append(float(rate))
    assert min(gammas) >= 0.5
    assert max(gammas) <= 5
    assert sum(rate < 1.414e-3 for rate in rates) == pytest.approx(25, abs=10)  # the middle
    assert sum(gamma < 2.75 for gamma in gammas) == pytest.approx(25, abs=10)


def test_a_choice_is_one_of_its_words():
    text = "w:method=weighted_cross_entropy(weight=enet or choice(enet, inverse))"
    found = {drawn(text, seed) for seed in range(20)}
    assert found == {
        "w:method=weighted_cross_entropy(weight=enet)",
        "w:method=weighted_cross_entropy(weight=inverse)",
    }


def test_a_value_may_be_a_list():
    text = "a:data.augment.scale=[0.5,2] or choice([1,2],[3,4])"
    assert with_defaults(text) == "a:data.augment.scale=[0.5,2]"
    ends = {drawn(text, seed).partition("=")[2] for seed in range(20)}
    assert ends == {"[1,2]", "[3,4]"}


def test_another_method_draws_other_values():
    other = FOCAL.replace("focal:", "focal2:")
    assert drawn(FOCAL, 1).partition(":")[2] != drawn(other, 1).partition(":")[2]


@pytest.mark.parametrize(
    "text",
    [
        "a:epochs=3 or gauss(1, 2)",
        "a:epochs=3 or uniform(5)",
        "a:epochs=3 or uniform(5, 1)",
        "a:optimizer.lr=1e-3 or loguniform(0, 1)",
        "a:epochs=3 or 5",
        "a:epochs=3 or choice()",
    ],
)
def test_ranges_that_cannot_be_read(text):
    for read in (with_defaults, lambda text: drawn(text, 0)):
        with pytest.raises(ValueError, match="write 'DEFAULT or uniform"):
            read(text)
