import pytest
import torch
from torch import nn

from equiseg.imbalance import ClassStatistics, class_prior, class_weights
from equiseg.losses import FocalLoss
from equiseg.training.criterion import build_criterion
from equiseg.training.methods import METHODS, loss_names

K, C = 5, 7
LABELS = torch.randint(0, K, (4, 16, 16), generator=torch.Generator().manual_seed(0)) ** 2 // K
STATISTICS = ClassStatistics.from_labels(LABELS, K)


def built(method):
    return build_criterion(method, STATISTICS, C, 255)


def parts_of(method):
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(4, C, 8, 8, generator=generator).requires_grad_()
    classifier = nn.Conv2d(C, K, 1)
    parts = built(method)(classifier(features), features, LABELS)
    sum(parts.values()).backward()
    assert features.grad.isfinite().all()
    assert features.grad.any()
    return parts


ALONE = {
    "published_center_collapse": "published_center_collapse(weight=0.8)",
    "weighted_cross_entropy": "weighted_cross_entropy(class_weight=enet)",
}
AUXILIARY = (
    "center_collapse",
    "published_center_collapse",
    "learnable_center",
    "region_rebalance",
    "prototype_contrast",
)


@pytest.mark.parametrize("name", [*METHODS, *loss_names()])
def test_configuration_can_name_every_loss(name):
    method = ALONE.get(name, name)
    if name in AUXILIARY:
        method = f"cross_entropy + {method}"
    assert parts_of(method)


def test_factors_weigh_the_parts():
    torch.manual_seed(0)
    single = parts_of("cross_entropy + dice")
    torch.manual_seed(0)
    weighed = parts_of("0.5*cross_entropy + 3*dice")
    torch.testing.assert_close(weighed["cross_entropy"], 0.5 * single["cross_entropy"])
    torch.testing.assert_close(weighed["dice"], 3 * single["dice"])


def test_the_training_labels_give_priors_counts_and_weights():
    pixel, image = built("logit_adjusted").losses, built("logit_adjusted(prior=image)").losses
    expected_K = class_prior(STATISTICS.pixels_K).log().float()
    torch.testing.assert_close(pixel["logit_adjusted"].log_prior_K, expected_K)
    torch.testing.assert_close(
        image["logit_adjusted"].log_prior_K, STATISTICS.image_prior().log().float()
    )
    weighted = built("focal(class_weight=enet)").losses["focal"]
    assert isinstance(weighted, FocalLoss)
    torch.testing.assert_close(weighted.alpha_K, class_weights(STATISTICS.pixels_K, "enet").float())
    given = built("logit_adjusted(prior=[1, 1, 1, 1, 2])").losses["logit_adjusted"]
    assert given.log_prior_K[4] == pytest.approx(0.6931, abs=1e-4)


def test_losses_over_features_take_the_image_prior():
    branch = built("center_collapse.published(weight=0.2) + dice").losses
    torch.testing.assert_close(
        branch["center_collapse_published"].log_prior_K, STATISTICS.image_prior().log().float()
    )
    plain = built("ceco").losses["center_collapse"]
    assert plain.log_prior_K is None  # a default that is None stays None


def test_ldam_is_reweighted_in_the_last_fifth():
    criterion = built("ldam(scale=1)")
    weight_K = criterion.losses["ldam"].weight_K
    criterion.begin_epoch(0.75)
    assert torch.equal(weight_K, torch.ones(K))
    criterion.begin_epoch(0.8)
    expected_K = class_weights(STATISTICS.images_K, "effective_number", beta=0.9999)
    torch.testing.assert_close(weight_K, expected_K.float())


@pytest.mark.parametrize("name", ["fixed_classifier", "dot_regression"])
def test_a_fixed_classifier_becomes_the_networks(name):
    criterion, classifier = built(name), nn.Conv2d(C, K, 1)
    criterion.fix_classifier(classifier)
    classifier_rows = criterion.losses[name].classifier_rows
    assert torch.equal(classifier.weight.flatten(1), classifier_rows)
    assert not classifier.bias.any()
    assert not any(parameter.requires_grad for parameter in classifier.parameters())
    with pytest.raises(ValueError, match=f"{name} needs a classifier of one row per class"):
        criterion.fix_classifier(nn.Conv2d(C, K, 3))


def test_a_class_never_labelled_counts_as_the_commonest():
    never = LABELS + (LABELS == 1)  # class 1 is class 2 now
    statistics = ClassStatistics.from_labels(never, K)

    def loss(method):
        (made,) = build_criterion(method, statistics, C, 255).losses.values()
        return made

    for method in ("logit_adjusted", "balanced_softmax"):
        log_prior_K = loss(method).log_prior_K
        assert log_prior_K[1] == log_prior_K.max() > log_prior_K.min()
    margin_K = loss("ldam").margin_K
    assert margin_K[1] == margin_K.min() < margin_K.max()
    assert margin_K.max() == 2  # of the rarest that is there


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("fixed_classifier + dot_regression", "each bring a classifier, and the network has one"),
        ("center_collapse", "trains no pixel classifier; .* 'cross_entropy \\+ center_collapse'"),
        ("weighted_cross_entropy", "weighted_cross_entropy needs class_weight, one of inverse, "),
        ("cross_entropy + center_collapse.published", "published needs weight"),
        ("focal(class_weight=heavy)", "class_weight must be one of inverse, .* got 'heavy'"),
        ("logit_adjusted(prior=object)", "prior must be pixel or image, or numbers, got 'object'"),
        ("logit_adjusted(prior=[1, 2])", "prior must hold one number per class"),
        ("focal(gamma=-1)", "gamma must be a finite number >= 0"),
        ("torch.nn.MSELoss", "MSELoss takes no ignore_index"),
    ],
)
def test_methods_that_cannot_work(method, message):
    with pytest.raises(ValueError, match=message):
        built(method)


def test_a_loss_is_given_features_if_it_is_built_with_their_number():
    criterion = built("test_criterion.Norm + cross_entropy")
    features, logits = torch.ones(2, C, 4, 4), torch.zeros(2, K, 4, 4)
    parts = criterion(logits, features, torch.zeros(2, 4, 4, dtype=torch.long))
    assert parts["test_criterion_Norm"] == 2 * C * 16


def test_a_loss_that_returns_several_numbers_is_refused():
    criterion = built("test_criterion.PerImage")
    with pytest.raises(ValueError, match=r"PerImage must return one number, got shape \(4,\)"):
        criterion(torch.zeros(4, K, 8, 8), torch.zeros(4, C, 8, 8), LABELS)


class PerImage(nn.Module):
    def __init__(self, num_classes, *, ignore_index=255):
        super().__init__()

    def forward(self, logits, labels, *, inverse=None):
        return logits.mean((1, 2, 3))


class Norm(nn.Module):
    def __init__(self, num_classes, in_features, *, ignore_index=255, **options):
        super().__init__()

    def forward(self, features, labels, *, inverse=None):
        return features.sum()
