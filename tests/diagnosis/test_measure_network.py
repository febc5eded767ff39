import json
import math

import pytest
import torch
from torch.nn import functional as F

from diagnoses import Stripes, TinyNetwork, tiny_diagnosis
from equiseg.collapse import BranchGradients
from equiseg.diagnosis.measure_network import diagnose
from equiseg.diagnosis.networks import open_network
from equiseg.diagnosis.result import FrequencyCorrelation, record
from equiseg.diagnosis.sample_choice import Spread
from equiseg.imbalance import FrequencyGroups
from equiseg.records.diagnosis import CENTER, PIXEL


def at_labels(network, sample):
    """Features resized to the labels, (H * W, D), and labels (H * W,), of labelled pixels."""
    with torch.no_grad():
        features = network.encoder(sample.image[None].float() / 255).relu()
    features = F.interpolate(features, sample.labels.shape, mode="bilinear", align_corners=False)
    known = sample.labels.flatten() != 255
    return features[0].flatten(1).T[known], sample.labels.flatten()[known].long()


def test_correlation_is_with_the_logarithm_of_the_count():
    counts = torch.tensor([10_000, 1000, 100, 10, 0, 500])
    iou = torch.tensor([0.8, 0.6, 0.4, 0.2, 0.9, math.nan], dtype=torch.float64)
    assert FrequencyCorrelation.of(iou, counts) == pytest.approx((1, 1, 4))
    assert FrequencyCorrelation.of(1 - iou, counts).pearson == pytest.approx(-1)


@pytest.mark.parametrize("iou", [[0.5, 0.5, 0.5, 0.5], [0.5, math.nan, 0.3, math.nan]])
def test_correlation_needs_three_classes_that_differ(iou):
    found = FrequencyCorrelation.of(torch.tensor(iou), torch.tensor([8, 4, 2, 1]))
    assert math.isnan(found.pearson)
    assert math.isnan(found.spearman)


def test_agreement_and_confusion_as_counted_pixel_by_pixel():
    data, network = Stripes(), TinyNetwork()
    diagnosis = tiny_diagnosis()
    features, labels = (
        torch.cat(parts)
        for parts in zip(*(at_labels(network, s) for s in data.samples), strict=True)
    )
    centers = torch.stack([features[labels == k].mean(0) for k in range(6)])
    nearest = torch.cdist(features, centers).argmin(1)
    with torch.no_grad():
        chosen = network.head(features.T[None, :, :, None]).argmax(1).flatten()
    share = float((nearest == chosen).double().mean())
    assert diagnosis.measures.nearest_center_agreement == pytest.approx(share, abs=1e-3)
    closest = diagnosis.pairs[0]
    assert closest.cosine == pytest.approx(diagnosis.measures.largest_cosine)
    a, b = closest.first, closest.second
    for one, other, share in ((a, b, closest.first_as_second), (b, a, closest.second_as_first)):
        assert share == pytest.approx(
            float((chosen[labels == one] == other).double().mean()), abs=1e-3
        )


def test_gradients_are_added_up_over_batches():
    data, network = Stripes(), TinyNetwork()
    diagnosis = tiny_diagnosis(batch_size=6)
    pixel, center = diagnosis.gradients[PIXEL], diagnosis.gradients[CENTER]
    assert (pixel.num_batches, center.num_batches) == (1, 1)
    features, labels = (
        torch.cat(parts)
        for parts in zip(*(at_labels(network, s) for s in data.samples), strict=True)
    )
    features.requires_grad_()
    weight, bias = network.head.weight.flatten(1), network.head.bias
    F.cross_entropy(F.linear(features, weight, bias), labels).backward()
    norms = features.grad.norm(dim=1)
    mass = torch.stack([norms[labels == k].sum() for k in range(7)])
    assert torch.allclose(pixel.mass_K.float(), mass, atol=1e-5)
    halves = tiny_diagnosis(batch_size=3).gradients[PIXEL]
    assert halves.num_batches == 2
    assert torch.equal(halves.counts_K, pixel.counts_K)


def test_images_of_several_sizes_wait_for_their_like():
    sizes = ((24, 32), (32, 24), (24, 32), (32, 24), (24, 32))
    diagnosis = tiny_diagnosis(data=Stripes(sizes=sizes), batch_size=2)
    assert diagnosis.gradients[PIXEL].num_batches == 3
    counted = diagnosis.evaluation.moments.counts_K
    assert torch.equal(diagnosis.gradients[PIXEL].counts_K, counted)


def test_a_classifier_of_neighbourhoods_has_no_rows():
    data, network = Stripes(), TinyNetwork()
    network.head = torch.nn.Conv2d(8, 7, 3, padding=1)
    counts_K = data.statistics.pixels_K
    groups = FrequencyGroups.from_counts(counts_K)
    diagnosis = diagnose(network, data, groups=groups, class_counts_K=counts_K)
    assert diagnosis.measures.classifier is None
    assert math.isnan(diagnosis.measures.nearest_center_agreement)
    assert list(diagnosis.gradients) == [CENTER]


def test_record_is_json_without_nan():
    diagnosis = tiny_diagnosis(most_samples=4)
    values = json.loads(json.dumps(record(diagnosis), allow_nan=False))
    assert values["num_samples"] == 4
    assert values["iou"][6] is None or values["iou"][6] == 0
    assert values["center_cosines"][6] == [None] * 7  # the class that never occurs
    assert values["collapse"]["num_present"] == 6
    assert values["nearest_pairs"][0]["first"].startswith("class ")
    assert len(values["gradients"][PIXEL]["mass"]) == 7
    assert values["frequency_correlation"]["num_classes"] == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"most_samples": 0}, "samples must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"layer": "body"}, "layer='body' fits none"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny_diagnosis(**options)


def test_counts_of_other_classes_are_refused():
    data = Stripes()
    groups = FrequencyGroups.from_counts(data.statistics.pixels_K)
    with pytest.raises(ValueError, match="for each of the 7 classes"):
        diagnose(TinyNetwork(), data, groups=groups, class_counts_K=torch.ones(5))


def test_samples_are_spread_over_the_split():
    data = Stripes(sizes=((8, 8),) * 10)
    assert sorted(Spread(data, 5).indices) == [0, 2, 4, 6, 8]
    assert sorted(Spread(data).indices) == list(range(10))
    assert Spread(data).indices == Spread(data).indices != list(range(10))


def test_the_center_branch_is_that_of_training(finished_run):
    network = open_network(finished_run)
    branch = network.center_branch()
    best = torch.load(finished_run / "checkpoints" / "best.ckpt", weights_only=True)
    state = best["fixed_buffers"]
    assert torch.equal(branch.frame_KD, state["criterion.losses.center_collapse.frame_KD"])
    assert branch.weight == 0.4


def test_gradients_are_of_the_branch_that_is_given():
    from equiseg.losses import CenterCollapseLoss

    def mass(weight: float) -> torch.Tensor:
        loss = CenterCollapseLoss(7, 8, weight=weight)
        gradients: BranchGradients = tiny_diagnosis(loss=loss).gradients[CENTER]
        return gradients.mass_K

    assert torch.allclose(mass(0.8), 2 * mass(0.4))
