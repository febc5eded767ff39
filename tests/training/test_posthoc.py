from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from equiseg.imbalance import class_prior
from equiseg.losses import BalancedSoftmaxLoss, adjusted_logits
from equiseg.records.run_result import read_result
from equiseg.runs.weights import load_weights
from equiseg.training.posthoc import TAUS, adjust_classifier, adjust_run
from equiseg.training.run import train
from runs import tiny_config

PRIOR = torch.tensor([0.7, 0.2, 0.1])


def test_an_adjusted_classifier_makes_adjusted_logits():
    classifier, features = nn.Conv2d(4, 3, 1), torch.randn(2, 4, 5, 5)
    expected = adjusted_logits(classifier(features), prior=PRIOR, tau=0.5)
    adjust_classifier(classifier, PRIOR, 0.5)
    torch.testing.assert_close(classifier(features), expected)


def test_without_a_bias_it_is_refused():
    with pytest.raises(ValueError, match=r"moves the bias of the classifier, .* has none"):
        adjust_classifier(nn.Conv2d(4, 3, 1, bias=False), PRIOR, 0.5)


def test_an_adjusted_run_is_one_trained_with_adjust(tmp_path: Path):
    config = tiny_config(epochs=1, method="cross_entropy", log_collapse=False)
    train(config, tmp_path / "plain")
    trained = train(replace(config, adjust=0.5), tmp_path / "trained")
    assert adjust_run(tmp_path / "plain", tmp_path / "adjusted", 0.5) == {}
    adjusted = read_result(tmp_path / "adjusted")
    assert adjusted["config"] == trained["config"]
    assert adjusted["test"]["confusion"] == trained["test"]["confusion"]
    assert adjusted["test"]["ece"] == pytest.approx(trained["test"]["ece"], rel=1e-5)
    weights = [load_weights(tmp_path / name)[0].state_dict() for name in ("adjusted", "trained")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    plain, prior_K = load_weights(tmp_path / "plain")[0], class_prior(adjusted["pixels"])
    moved_K = plain.classifier.bias - weights[0]["classifier.bias"]
    torch.testing.assert_close(moved_K, 0.5 * prior_K.log().float(), atol=1e-5, rtol=1e-5)

    scores = adjust_run(tmp_path / "plain", tmp_path / "best", select="mean_accuracy")
    assert list(scores) == list(TAUS)
    best = read_result(tmp_path / "best")
    assert best["val"]["mean_accuracy"] == max(scores.values())
    assert scores[best["config"]["adjust"]] == max(scores.values())

    with pytest.raises(ValueError, match=r"is adjusted by 0\.5 already"):
        adjust_run(tmp_path / "adjusted", tmp_path / "twice")
    with pytest.raises(ValueError, match="holds a run; choose another folder"):
        adjust_run(tmp_path / "plain", tmp_path / "best")
    with pytest.raises(ValueError, match=r"select must be one of miou, .* got 'iou'"):
        adjust_run(tmp_path / "plain", tmp_path / "none", select="iou")
    with pytest.raises(ValueError, match="adjust must be 0 or more, got -1"):
        tiny_config(adjust=-1.0)


@pytest.mark.parametrize(
    "method", ["logit_adjusted(tau=0.5)", "dice + balanced_softmax", "test_posthoc.Own"]
)
def test_a_method_with_adjustment_is_not_adjusted_again(method):
    with pytest.raises(ValueError, match=r"adjust=0\.5 would subtract the prior a second time"):
        tiny_config(method=method, adjust=0.5)


class Own(BalancedSoftmaxLoss):
    pass
