"""How often an epoch draws each training sample: once, or more often if it has rare classes."""

from __future__ import annotations

import torch
from torch import Tensor

from equiseg.data.sampling_config import SamplingConfig as SamplingConfig


def expected_draws(config: SamplingConfig, counts_SK: Tensor) -> Tensor:
    """How often each sample is drawn in an epoch, on average: (S,) float64 that sum to S.

    Args:
        config: The method of sampling.
        counts_SK: (S, K) labelled pixels (points) of each class in each of the S samples.

    Raises:
        ValueError: If nothing is labelled, or no sample would be drawn more often than another.
    """
    num_samples = len(counts_SK)
    if not counts_SK.any():
        raise ValueError(
            "counts_SK must hold labels of some class, got 0 of every class; check ignore_index"
        )
    counts_SK = counts_SK[:, counts_SK.any(0)].double()  # drop classes without labels
    if config.by == "turn":
        return torch.ones(num_samples, dtype=torch.float64)
    weights_S = (_repeats if config.by == "repeat_factor" else _by_class)(config, counts_SK)
    return weights_S * (num_samples / weights_S.sum())


def _repeats(config: SamplingConfig, counts_SK: Tensor) -> Tensor:
    """Largest repeat factor of the classes in each sample; 1 if it has none."""
    holds_SK = counts_SK > 0
    shares_K = holds_SK.double().mean(0)
    threshold = float(shares_K.quantile(0.5)) if config.threshold is None else config.threshold
    repeats_K = (threshold / shares_K).sqrt().clamp(min=1)
    repeats_S = torch.where(holds_SK, repeats_K, 1.0).amax(1)
    if bool((repeats_S == repeats_S[0]).all()):
        rarest = float(shares_K.min())
        if threshold <= rarest < 1:
            cure = "set a threshold above that, or draw"
        else:
            cure = "all samples share one factor at any threshold: draw"
        raise ValueError(
            f"threshold repeats no sample more often than another, got {threshold:.3g} where the "
            f"rarest class is in {rarest:.3g} of the samples; {cure} by "
            "'rare_class', which goes by pixels"
        )
    return repeats_S


def _by_class(config: SamplingConfig, counts_SK: Tensor) -> Tensor:
    """Probability of each sample: each class divides its own among the samples with the class."""
    shares_K = counts_SK.sum(0) / counts_SK.sum()
    chances_K = torch.softmax((1 - shares_K) / config.temperature, 0)
    enough_SK = counts_SK >= config.min_pixels
    chosen_SK = torch.where(enough_SK.any(0), enough_SK, counts_SK > 0).double()
    return (chosen_SK / chosen_SK.sum(0)) @ chances_K
