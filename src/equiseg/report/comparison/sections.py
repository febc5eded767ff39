"""The sections of the page of a comparison: words, tables, figures, and how it was made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from equiseg.metrics.catalogue import MEASURES, SCORES
from equiseg.report.html import (
    Cell,
    Html,
    Mark,
    Row,
    bullets,
    command_block,
    details,
    document,
    facts,
    figure_section,
    section,
    table,
)
from equiseg.report.style import Illustration
from equiseg.report.wording import NONE, caution, count, interval, number, spread, verdict
from equiseg.study.comparison import Comparison
from equiseg.study.interval import Interval
from equiseg.whole_files import replace_text


def write_page(
    path: Path,
    title: str,
    comparison: Comparison,
    figures: Sequence[Illustration],
    notes: Sequence[str] = (),
) -> None:
    """Write a page that needs no other file and no network, in light and dark.

    Args:
        path: The HTML file.
        title: The methods and the data.
        comparison: The results; its first variant is the baseline.
        figures: Shown in this order, each under its caption.
        notes: Other facts that a reader must know, one sentence or two each.
    """
    seeds = len(comparison.seeds)
    page = document(
        title,
        [
            _scores(comparison),
            *(figure_section(figure) for figure in figures),
            _classes(comparison),
            _collapse(comparison),
            _making(comparison, notes),
        ],
        eyebrow=f"{comparison.split} split, {count(seeds, 'seed')}, "
        f"{count(len(comparison.classes), 'class')}",
        ledes=_ledes(comparison),
        caution=caution(seeds, compared=len(comparison.runs) > 1),
    )
    replace_text(path, page)


def _ledes(comparison: Comparison) -> list[str]:
    first, *others = comparison.runs
    if others:
        return [verdict(comparison, name) for name in others]
    miou, tail = (spread(comparison.values(first, metric)) for metric in ("miou", "tail"))
    return [f"{first} reaches a mIoU of {miou} %, and {tail} % on the tail classes."]


def _scores(comparison: Comparison) -> Html:
    first = comparison.runs[comparison.baseline][0][comparison.split]
    seeds = len(comparison.seeds)
    over = f"mean ± standard deviation over {count(seeds, 'seed')}" if seeds > 1 else "one seed"
    rows = []
    for metric in comparison.metrics:
        covered = first.get(f"num_{'iou' if metric == 'miou' else metric}")
        note = f"mean of {count(covered, 'class')}" if covered is not None else ""
        score, better = SCORES[metric], 1
        if score.less_is_better:
            note, better = "less is better", -1
        row = [Cell(score.label.format(unit=comparison.unit), note=note)]
        for name in comparison.runs:
            row.append(_spread(comparison.values(name, metric)))
            if name != comparison.baseline:
                row += _difference(comparison, comparison.difference(name, metric), better=better)
        rows.append(row)
    heads = ["", *_columns(comparison)]
    caption = f"Percent, {over}. {_reading(comparison)}"
    return section("Scores", caption, table(heads, rows, dense=_dense(comparison)))


def _classes(comparison: Comparison) -> Html:
    total = max(1, sum(comparison.pixels))
    rows: list[Row] = []
    starts: list[int] = []
    for group, ids in comparison.groups.items():
        starts.append(len(rows))
        for k in ids:
            share = 100 * comparison.pixels[k] / total
            digits = ".1f" if share >= 1 else ".2g"
            text = f"{share:{digits}} %" if share else NONE
            row: list[str | Cell] = [Cell(comparison.classes[k], note=group), Cell(text, share)]
            for name in comparison.runs:
                row.append(_spread(comparison.class_values(name, k)))
                if name != comparison.baseline:
                    row += _difference(comparison, comparison.class_difference(name, k))
            rows.append(row)
    heads = ["class", f"training {comparison.unit}s", *_columns(comparison)]
    caption = "IoU in percent, most frequent class first. " + _reading(comparison)
    intervals = len(comparison.classes) * (len(comparison.runs) - 1)
    if len(comparison.seeds) > 1 and intervals >= 20:
        caption += (
            f" Of {intervals} intervals about {round(0.05 * intervals)} would exclude 0 "
            "if there were no difference at all."
        )
    body = table(heads, rows, starts=starts[1:], dense=_dense(comparison))
    return section("Every class", caption, body)


def _collapse(comparison: Comparison) -> Html:
    paired = len(comparison.runs) > 1 and len(comparison.seeds) > 1
    bold = "; a difference is bold where its 95 % interval excludes 0." if paired else "."
    measured = comparison.runs[comparison.baseline][0][comparison.split]["collapse"]
    rows = []
    for measure, known in MEASURES.items():
        if measure not in measured or not known.zero_at_collapse:
            continue
        base = comparison.collapse_values(comparison.baseline, measure)
        row: list[str | Cell] = [known.label]
        for name in comparison.runs:
            values = comparison.collapse_values(name, measure)
            row.append(_spread(values, 1, 3))
            if name != comparison.baseline:
                gap = Interval.paired(values, base)
                row += _difference(comparison, gap, 1, 3, better=0)
        rows.append([*row, Cell(known.sentence, mark="note")])
    caption = (
        "Distance of the class centers of the last features from a simplex; each measure is 0 when "
        "collapse is complete (Papyan, Han and Donoho 2020). Measures describe the features; they "
        "are not scores" + bold
    )
    heads = ["measure", *_columns(comparison), ""]
    return section("Neural collapse", caption, table(heads, rows, dense=_dense(comparison)))


def _making(comparison: Comparison, notes: Sequence[str]) -> Html:
    runs = [run for results in comparison.runs.values() for run in results]
    made = {"seeds": ", ".join(map(str, comparison.seeds))}
    for key in dict.fromkeys(key for run in runs for key in run["provenance"]):
        made[key] = ", ".join(dict.fromkeys(str(run["provenance"].get(key, NONE)) for run in runs))
    settings = {name: _flat(results[0]["config"]) for name, results in comparison.runs.items()}
    keys = [k for k in dict.fromkeys(k for s in settings.values() for k in s) if k != "seed"]
    differ = [key for key in keys if len({str(s.get(key)) for s in settings.values()}) > 1]
    same = {key: str(settings[comparison.baseline][key]) for key in keys if key not in differ}
    differing: list[Row] = [
        [Cell(key, mark="code"), *(str(s.get(key, NONE)) for s in settings.values())]
        for key in differ
    ]
    blocks = [command_block(comparison.command), bullets(notes), facts(made)]
    if differing:
        blocks.append(table(["different settings", *comparison.runs], differing))
    blocks.append(details("Every run", _every_run(comparison)))
    blocks.append(details("Shared settings", facts(same)))
    return section("How it was made", "", *blocks)


def _every_run(comparison: Comparison) -> Html:
    """Scores and timings of each run."""
    by_seed: list[Row] = [
        [
            name,
            Cell(str(seed), seed),
            Cell(str(run["best_epoch"]), run["best_epoch"]),
            _spread([run[comparison.split]["miou"]]),
            _spread([run[comparison.split]["tail"]]),
            *_timings(run),
        ]
        for name, results in comparison.runs.items()
        for seed, run in zip(comparison.seeds, results, strict=True)
    ]
    heads = ["run", "seed", "best epoch", "mIoU", "tail", "a step", "waiting for data"]
    return table(heads, by_seed)


def _timings(run: dict[str, Any]) -> list[Cell]:
    """A step, and the share of waiting; a run resumed for its scores alone measured none."""
    seconds, waiting = run["step_seconds"], run["data_wait_share"]
    if seconds is None:
        return [Cell(NONE, math.nan)] * 2
    return [Cell(f"{seconds:.2g} s", seconds), Cell(f"{number(waiting)} %", waiting)]


def _reading(comparison: Comparison) -> str:
    """How to read the columns of differences."""
    if len(comparison.runs) < 2:
        return ""
    text = f"Differences from {comparison.baseline} are in points"
    if len(comparison.seeds) < 2:
        return text + "; one seed gives no interval."
    how = "± half their 95 % interval" if _narrow(comparison) else "with their 95 % interval"
    return text + f", paired by seed, {how}; coloured where it excludes 0."


def _columns(comparison: Comparison) -> list[str]:
    """Heads of a value for each variant and its difference from the baseline."""
    columns = [comparison.baseline]
    apart = len(comparison.seeds) > 1 and not _narrow(comparison)
    for name in list(comparison.runs)[1:]:
        columns += [name, "difference", *["95 % interval"] * apart]
    return columns


def _narrow(comparison: Comparison) -> bool:
    """Tables of four variants and more have no room for a column of intervals."""
    return len(comparison.runs) > 3


def _dense(comparison: Comparison) -> bool:
    """Tables of three variants and more must set their columns closer to fit a page."""
    return len(comparison.runs) > 2


def _spread(values: Sequence[float], scale: float = 100, digits: int = 1) -> Cell:
    """Mean and standard deviation, NaN left out, sorted by the mean."""
    known = [value for value in values if not math.isnan(value)]
    return Cell(spread(values, scale, digits), mean(known) if known else math.nan)


def _difference(
    comparison: Comparison, gap: Interval, scale: float = 100, digits: int = 1, better: int = 1
) -> list[Cell]:
    """Cells of a difference and, with several seeds, its interval, marked where it excludes 0.

    ``better`` is 1 where more is better, -1 where less is, 0 where neither is.
    """
    mark: Mark = ""
    if gap.excludes_zero:
        mark = "clear" if not better else "gain" if better * gap.mean > 0 else "loss"
    text = number(gap.mean, scale, digits, sign=True)
    if _narrow(comparison) and not math.isnan(gap.half_width):
        text += f" ± {number(gap.half_width, scale, digits)}"
    difference = Cell(text, gap.mean, mark=mark)
    if len(comparison.seeds) < 2 or _narrow(comparison):
        return [difference]
    return [difference, Cell(interval(gap, scale, digits) or NONE, gap.low, mark="quiet")]


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
