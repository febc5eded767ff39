"""Post-hoc logit adjustment of a trained network, for equal weight of all classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from equiseg.evaluation.config import MeasureConfig
from equiseg.evaluation.scoring import evaluate, evaluation_record
from equiseg.imbalance import class_prior
from equiseg.losses import adjusted_logits
from equiseg.metrics.catalogue import best_of
from equiseg.records.run_result import read_result, score_of, write_result
from equiseg.runs.folder_kind import Outcome, check_outcome, mark_outcome
from equiseg.runs.lock import held
from equiseg.runs.weights import load_weights, save_weights
from equiseg.tap import FeatureTap
from equiseg.training.config_file import plain, read_config, write_config
from equiseg.training.opened_data import open_data
from equiseg.training.split_scores import split_scores
from equiseg.whole_files import sweep

TAUS = tuple(step / 10 for step in range(11))


@torch.no_grad()
def adjust_classifier(classifier: nn.Module, prior_K: Tensor, tau: float) -> None:
    """Subtract tau times the log-prior from the bias of the classifier.

    Its logits then equal :func:`equiseg.losses.adjusted_logits`, also when the network is
    evaluated, saved or exported.

    Args:
        classifier: The last layer.
        prior_K: (K,) pixel shares of the classes in training.
        tau: Share of the adjustment, >= 0.

    Raises:
        ValueError: If the classifier has no bias, or tau is negative.
    """
    bias: Any = classifier.bias
    if bias is None:
        raise ValueError(
            f"adjust={tau} moves the bias of the classifier, and {classifier} has none; adjust its "
            "logits with equiseg.losses.adjusted_logits"
        )
    bias.copy_(adjusted_logits(bias[None], prior=prior_K, tau=tau)[0])


def adjust_run(
    run: Path,
    out: Path,
    tau: float | None = None,
    select: str = "miou",
    track: Callable[[Iterable[Any], str], Iterable[Any]] = lambda items, _: items,
) -> dict[float, float]:
    """Adjust the network of a finished run, without training, and score it in a new folder.

    The folder has the same content as a run trained with ``adjust``.

    Args:
        run: Folder of the finished run.
        out: Folder of the adjusted one.
        tau: Share of the adjustment; None takes the best of :data:`TAUS` on the validation split.
        select: Validation score that selects tau.
        track: Wraps (samples or taus, what is done), to show progress.

    Returns:
        The validation score of each tau tried; empty where tau was given.

    Raises:
        ValueError: If the run was adjusted before, by this or in its loss, ``out`` holds
            results, or the score is unknown.
    """
    config, result = read_config(run / "config.yaml"), read_result(run)
    if config.adjust:
        raise ValueError(f"run: {run} is adjusted by {config.adjust} already; give the plain one")
    check_outcome(out, Outcome.RUN)
    if (out / "config.yaml").is_file():
        raise ValueError(f"out: {out} holds a run; choose another folder")
    replace(config, adjust=1.0)  # refuses a method that is adjusted in training
    data = open_data(config.data, track)
    model, card = load_weights(run)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    with FeatureTap(model, layer=model.classifier_name) as tap:  # type: ignore[arg-type]
        classifier = tap.layer
    prior_K = class_prior(data.statistics.pixels_K)
    scores: dict[float, float] = {}
    if tau is None:
        unadjusted = {name: value.clone() for name, value in classifier.state_dict().items()}
        for tried in track(TAUS, "tau"):
            adjust_classifier(classifier, prior_K, tried)
            workers = config.data.num_workers
            validation = evaluate(
                model,
                data.splits["val"],
                config.evaluation,
                data.groups,
                measures=MeasureConfig(collapse=False, calibration=select.endswith("ece")),
                num_workers=workers,
            )
            record = evaluation_record(validation, data.spec.background)
            scores[tried] = score_of(record, select)
            classifier.load_state_dict(unadjusted)
        tau = TAUS[best_of([*scores.values()], select)]
    adjust_classifier(classifier, prior_K, tau)
    config = replace(config, adjust=tau)
    result |= split_scores(model, data, config) | {"config": plain(config)}
    with held(out):
        sweep(out)
        mark_outcome(out, Outcome.RUN)
        save_weights(model, card, out / "model.safetensors")
        write_result(result, out)
        write_config(config, out / "config.yaml")  # last: a folder with it is refused above
    return scores
