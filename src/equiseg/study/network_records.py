"""The networks of a comparison: diagnosed once, and kept with example panels in its folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from equiseg.data.sample import DataSpec
from equiseg.data.sources import open_split
from equiseg.diagnosis.example_panels import example_panels
from equiseg.diagnosis.measure_network import Passes, diagnose
from equiseg.diagnosis.networks import open_network
from equiseg.diagnosis.result import record
from equiseg.imbalance import FrequencyGroups
from equiseg.records.diagnosis import NETWORKS, save_networks
from equiseg.records.examples import EXAMPLES
from equiseg.study.comparison import Comparison
from equiseg.training.config_file import read_config

_MOST_NETWORKS = 4  # what a picture has room for
_MOST_SAMPLES = 48  # enough for centers of rare classes, few enough for seconds on a CPU


def record_networks(out: Path, comparison: Comparison) -> str:
    """Diagnose the networks of the first seed and write networks.json and examples.npz.

    Of many methods the baseline and the best on the tail are taken. Where weights or data cannot
    be read, the record says why.

    Args:
        out: Folder of the comparison, ``out/<variant>/seed<seed>``.
        comparison: Its results.

    Returns:
        The reason why there are no networks to show; empty if there are some.
    """
    (out / EXAMPLES).unlink(missing_ok=True)
    first = f"seed{comparison.seeds[0]}"
    try:
        folders = {name: out / name / first for name in chosen_methods(comparison)}
        found, where = _diagnosed(folders, comparison, out / EXAMPLES)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        save_networks(out / NETWORKS, {}, problem=reason)
        return reason
    save_networks(out / NETWORKS, found, where)
    return ""


def chosen_methods(comparison: Comparison) -> list[str]:
    """The methods whose networks are shown: the baseline, and of many others the best on the tail.

    Args:
        comparison: The results.
    """

    def tail(name: str) -> float:
        score = mean(comparison.values(name, "tail"))
        return -math.inf if math.isnan(score) else score

    first, *others = comparison.runs
    best = sorted(others, key=tail, reverse=True)[: _MOST_NETWORKS - 1]
    return [name for name in comparison.runs if name in (first, *best)]


def _diagnosed(
    folders: Mapping[str, Path], comparison: Comparison, examples: Path
) -> tuple[dict[str, dict[str, Any]], str]:
    """The record of each network, on which samples; example panels go into a file."""
    networks, records = {}, {}
    groups = FrequencyGroups.from_mapping(comparison.groups)
    for name, folder in folders.items():
        data = open_split(read_config(folder / "config.yaml").data, comparison.split)
        network = open_network(folder)
        networks[name] = network.model, data
        found = diagnose(
            network.model,
            data,
            groups=groups,
            class_counts_K=torch.tensor(comparison.pixels),
            passes=Passes(loss=network.center_branch(), most_samples=_MOST_SAMPLES),
        )
        records[name] = record(found, margins=False)
    spec, number = DataSpec.of(data), min(_MOST_SAMPLES, len(data))
    kind = "scans" if spec.holds_points else "images"
    where = f"first seed, {number} {kind} of the {comparison.split} split"
    if len(folders) < len(comparison.runs):
        where += f"; {comparison.baseline} and the methods with the best tail"
    panels = example_panels(networks, groups)
    if panels is not None:
        panels.save(examples)
    return records, where
