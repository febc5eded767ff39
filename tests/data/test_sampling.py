"""Expected draws against the published formulas, sample by sample."""

import math

import pytest
import torch

from equiseg.data.sampling import SamplingConfig, expected_draws

# Class 0 is in all samples, class 1 in half, class 2 in one of eight, class 3 in none.
COUNTS_SK = torch.zeros(8, 4, dtype=torch.int64)
COUNTS_SK[:, 0] = 1000
COUNTS_SK[:4, 1] = torch.tensor([300, 200, 20, 2])
COUNTS_SK[0, 2] = 5


def draws(**options):
    return expected_draws(SamplingConfig(**options), COUNTS_SK)


def test_by_turn_every_sample_is_drawn_once():
    assert draws().tolist() == [1.0] * 8


@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_repeat_factors_equal_the_formula_of_lvis(threshold):
    shares = [1.0, 0.5, 0.125]
    repeats = [max(1.0, math.sqrt(threshold / f)) for f in shares]
    raw = [
        max(repeats[k] for k in range(3) if COUNTS_SK[index, k]) for index in range(len(COUNTS_SK))
    ]
    expected = [8 * r / sum(raw) for r in raw]
    found = draws(by="repeat_factor", threshold=threshold)
    assert found.tolist() == pytest.approx(expected)
    assert found.sum().item() == pytest.approx(8)


def test_the_default_threshold_is_the_median_share():
    torch.testing.assert_close(
        draws(by="repeat_factor"), draws(by="repeat_factor", threshold=0.5), rtol=0, atol=0
    )


@pytest.mark.parametrize(("temperature", "min_pixels"), [(0.01, 1), (0.1, 16), (1.0, 100)])
def test_probabilities_of_rare_classes_equal_the_formula_of_daformer(temperature, min_pixels):
    pixels = [8000, 522, 5]
    chances = [math.exp((1 - p / sum(pixels)) / temperature) for p in pixels]
    expected = [0.0] * 8
    for k in range(3):
        enough = [i for i in range(8) if COUNTS_SK[i, k] >= min_pixels]
        enough = enough or [i for i in range(8) if COUNTS_SK[i, k] > 0]
        for index in enough:
            expected[index] += 8 * chances[k] / sum(chances) / len(enough)
    found = draws(by="rare_class", temperature=temperature, min_pixels=min_pixels)
    assert found.tolist() == pytest.approx(expected)
    assert found.sum().item() == pytest.approx(8)


def test_a_class_below_min_pixels_everywhere_is_still_drawn():
    assert draws(by="rare_class", min_pixels=100)[0] > 2  # it alone holds class 2


def test_samples_without_labels_are_drawn_like_samples_of_common_classes():
    counts_SK = torch.cat([COUNTS_SK, torch.zeros(1, 4, dtype=torch.int64)])
    found = expected_draws(SamplingConfig(by="repeat_factor", threshold=0.4), counts_SK)
    assert found[8] == found[5]


def test_a_threshold_without_effect_is_refused():
    with pytest.raises(ValueError, match=r"got 0\.01 where .* in 0\.125 of .* a threshold above"):
        draws(by="repeat_factor", threshold=0.01)
    everywhere_SK = torch.ones(5, 3)
    with pytest.raises(
        ValueError, match=r"in 1 of .* one factor at any threshold: draw by 'rare_cl"
    ):
        expected_draws(SamplingConfig(by="repeat_factor"), everywhere_SK)
    # Every sample has a class of its own: above its share a threshold repeats all alike.
    with pytest.raises(ValueError, match=r"got 0\.9 where .* in 0\.2 of .* at any threshold: draw"):
        expected_draws(SamplingConfig(by="repeat_factor", threshold=0.9), torch.eye(5))
    with pytest.raises(ValueError, match="got 0 of every class"):
        expected_draws(SamplingConfig(by="rare_class"), torch.zeros(5, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "luck"}, r"by must be 'turn', 'repeat_factor' or 'rare_class', got 'luck'"),
        ({"by": "repeat_factor", "threshold": 0.0}, r"threshold must be .* \(0, 1\], got 0\.0"),
        ({"by": "rare_class", "temperature": 0.0}, r"temperature must be above 0, got 0\.0"),
        ({"by": "rare_class", "min_pixels": 0}, r"min_pixels must be at least 1, got 0; 1 takes"),
        (
            {"threshold": 0.1},
            r"threshold has no effect where samples are drawn by 'turn', got 0\.1",
        ),
        ({"by": "rare_class", "threshold": 0.1}, r"set by to 'repeat_factor', or leave threshold"),
        ({"by": "repeat_factor", "temperature": 0.1}, r"temperature has no effect .* 'rare_class'"),
        ({"min_pixels": 3}, r"min_pixels has no effect"),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SamplingConfig(**options)
