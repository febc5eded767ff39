"""One HTML file that holds a whole comparison: words, tables, figures, and how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from equiseg.report.drawing import Illustration, inline_svg
from equiseg.report.wording import NONE, caution, count, interval, number, spread, verdict
from equiseg.training.compare import Comparison, Difference

_METRICS = {
    "miou": "mIoU",
    "foreground": "mIoU without background",
    "head": "head",
    "common": "common",
    "tail": "tail",
    "mean_accuracy": "mean accuracy",
    "pixel_accuracy": "{unit} accuracy",
}
_COLLAPSE = {
    "equinorm": "Spread of the lengths of the class centers, relative to their mean.",
    "equiangularity": "Spread of the cosines between class centers.",
    "maximal_separation": "Mean distance of these cosines from −1/(K−1), the widest apart.",
    "self_duality": "Squared distance between centers and rows of the classifier, 0 to 4.",
}


def write_page(
    path: Path,
    title: str,
    comparison: Comparison,
    figures: Sequence[Illustration],
    notes: Sequence[str] = (),
    command: str = "",
) -> None:
    """Write a page that needs no other file and no network, in light and dark.

    Args:
        path: The HTML file.
        title: What was compared.
        comparison: The results; its first variant is the baseline.
        figures: Shown in this order, each under its caption.
        notes: What a reader must know besides, one sentence or two each.
        command: How the comparison was made; empty leaves it out.
    """
    style = resources.files("equiseg.report").joinpath("page.css").read_text(encoding="utf-8")
    parts = [
        _header(title, comparison),
        _scores(comparison),
        *(_figure(figure) for figure in figures),
        _classes(comparison),
        _collapse(comparison),
        _making(comparison, notes, command),
    ]
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _header(title: str, comparison: Comparison) -> str:
    seeds = len(comparison.seeds)
    names = list(comparison.runs)
    lines = [verdict(comparison, name) for name in names[1:]]
    if not lines:
        miou, tail = (spread(comparison.values(names[0], metric)) for metric in ("miou", "tail"))
        lines = [f"{names[0]} reaches a mIoU of {miou} %, and {tail} % on the tail classes."]
    return (
        f'<header>\n<p class="eyebrow">{escape(comparison.split)} split, {count(seeds, "seed")}, '
        f"{count(len(comparison.classes), 'class')}</p>\n<h1>{escape(title)}</h1>\n"
        + "".join(f'<p class="lede">{escape(line)}</p>\n' for line in lines)
        + (f'<p class="caution">{escape(caution(seeds))}</p>\n' if caution(seeds) else "")
        + "</header>"
    )


def _scores(comparison: Comparison) -> str:
    first = comparison.runs[comparison.baseline][0][comparison.split]
    seeds = len(comparison.seeds)
    over = f"mean ± standard deviation over {count(seeds, 'seed')}" if seeds > 1 else "one seed"
    rows = []
    for metric in comparison.metrics:
        covered = first.get(f"num_{'iou' if metric == 'miou' else metric}")
        note = f" <i>mean of {count(covered, 'class')}</i>" if covered is not None else ""
        cells = [f"<th scope=row>{_METRICS[metric].format(unit=comparison.unit)}{note}</th>"]
        for name in comparison.runs:
            cells.append(_td(spread(comparison.values(name, metric))))
            if name != comparison.baseline:
                cells += _difference(comparison.difference(name, metric))
        rows.append("".join(cells))
    return _section(
        "Scores",
        f"Percent, {over}. {_reading(comparison)}",
        _table(_columns(comparison, ""), rows),
    )


def _classes(comparison: Comparison) -> str:
    total = max(1, sum(comparison.pixels))
    rows: list[str] = []
    starts: list[int] = []
    for group, ids in comparison.groups.items():
        starts.append(len(rows))
        for k in ids:
            share = 100 * comparison.pixels[k] / total
            digits = ".1f" if share >= 1 else ".2g"
            cells = [
                f"<th scope=row>{escape(comparison.classes[k])} <i>{group}</i></th>",
                _td(f"{share:{digits}} %" if share else NONE),
            ]
            for name in comparison.runs:
                cells.append(_td(spread(comparison.class_values(name, k))))
                if name != comparison.baseline:
                    cells += _difference(comparison.class_difference(name, k))
            rows.append("".join(cells))
    columns = ["class", f"training {comparison.unit}s", *_columns(comparison, "")[1:]]
    caption = "IoU in percent, most frequent class first. " + _reading(comparison)
    intervals = len(comparison.classes) * (len(comparison.runs) - 1)
    if len(comparison.seeds) > 1 and intervals >= 20:
        caption += (
            f" Of {intervals} intervals about {round(0.05 * intervals)} would leave out 0 "
            "if there were no difference at all."
        )
    return _section("Every class", caption, _table(columns, rows, starts[1:]))


def _collapse(comparison: Comparison) -> str:
    paired = len(comparison.runs) > 1 and len(comparison.seeds) > 1
    bold = "; a difference is bold where its 95 % interval leaves out 0." if paired else "."
    rows = []
    for measure, meaning in _COLLAPSE.items():
        base = comparison.collapse_values(comparison.baseline, measure)
        cells = [f"<th scope=row>{measure.replace('_', ' ')}</th>"]
        for name in comparison.runs:
            values = comparison.collapse_values(name, measure)
            cells.append(_td(spread(values, 1, 3)))
            if name != comparison.baseline:
                cells += _difference(Difference.of(values, base), 1, 3, better=0)
        rows.append("".join(cells) + f'<td class="note">{meaning}</td>')
    return _section(
        "Neural collapse",
        "How far the class centers of the last features are from a simplex, each measure 0 when "
        "collapse is complete (Papyan, Han and Donoho 2020). They describe the features and are "
        "no scores" + bold,
        _table([*_columns(comparison, ""), ""], rows),
    )


def _making(comparison: Comparison, notes: Sequence[str], command: str) -> str:
    runs = [run for results in comparison.runs.values() for run in results]
    facts = {"seeds": ", ".join(map(str, comparison.seeds))}
    for key in dict.fromkeys(key for run in runs for key in run["provenance"]):
        facts[key] = ", ".join(dict.fromkeys(str(run["provenance"].get(key, NONE)) for run in runs))
    settings = {name: _flat(results[0]["config"]) for name, results in comparison.runs.items()}
    keys = [k for k in dict.fromkeys(k for s in settings.values() for k in s) if k != "seed"]
    differ = [key for key in keys if len({str(s.get(key)) for s in settings.values()}) > 1]
    same = {key: str(settings[comparison.baseline][key]) for key in keys if key not in differ}
    differing = [
        f"<th scope=row><code>{escape(key)}</code></th>"
        + "".join(_td(str(s.get(key, NONE))) for s in settings.values())
        for key in differ
    ]
    by_seed = [
        f"<th scope=row>{escape(name)}</th>"
        + "".join(
            _td(text)
            for text in (
                str(seed),
                str(run["best_epoch"]),
                number(run[comparison.split]["miou"]),
                number(run[comparison.split]["tail"]),
                f"{run['step_seconds']:.2g} s",
                f"{number(run['data_wait_share'])} %",
            )
        )
        for name, results in comparison.runs.items()
        for seed, run in zip(comparison.seeds, results, strict=True)
    ]
    heads = ["run", "seed", "best epoch", "mIoU", "tail", "a step", "waiting for data"]
    names = [escape(name) for name in comparison.runs]
    return (
        "<section>\n<h2>How it was made</h2>\n"
        + (f"<pre>{escape(command)}</pre>\n" if command else "")
        + ("<ul>" + "".join(f"<li>{escape(n)}</li>" for n in notes) + "</ul>\n" if notes else "")
        + _facts(facts)
        + (_table(["what differs", *names], differing) if differing else "")
        + f"<details><summary>Every run</summary>{_table(heads, by_seed)}</details>\n"
        + f"<details><summary>Settings all share</summary>{_facts(same)}</details>\n</section>"
    )


def _figure(figure: Illustration) -> str:
    label = escape(figure.caption, quote=True)
    return (
        f'<section>\n<h2>{escape(figure.title)}</h2>\n<figure role="group" aria-label="{label}">\n'
        f"{inline_svg(figure.figure, figure.name)}\n"
        f"<figcaption>{escape(figure.caption)}</figcaption>\n</figure>\n</section>"
    )


def _section(heading: str, caption: str, body: str) -> str:
    return (
        f'<section>\n<h2>{heading}</h2>\n<p class="caption">{escape(caption)}</p>\n{body}</section>'
    )


def _reading(comparison: Comparison) -> str:
    """How to read the columns of differences."""
    if len(comparison.runs) < 2:
        return ""
    text = f"Differences from {comparison.baseline} are in points"
    if len(comparison.seeds) < 2:
        return text + "; one seed gives no interval."
    return text + ", paired by seed, with their 95 % interval; coloured where it leaves out 0."


def _columns(comparison: Comparison, corner: str) -> list[str]:
    """Heads of a table with a value for each variant and its difference from the baseline."""
    columns = [corner, escape(comparison.baseline)]
    for name in list(comparison.runs)[1:]:
        columns += [escape(name), "difference", "95 % interval"]
    return columns


def _difference(gap: Difference, scale: float = 100, digits: int = 1, better: int = 1) -> list[str]:
    """Cells of a difference and its interval, marked where that leaves out 0.

    ``better`` is 1 where more is better, 0 where neither is.
    """
    marks = {1: "gain", -1: "loss", 0: "clear"}
    sign = better * (1 if gap.mean > 0 else -1)
    cell = f'<td class="{marks[sign]}">' if gap.excludes_zero else "<td>"
    text = interval(gap, scale, digits) or NONE
    return [f"{cell}{number(gap.mean, scale, digits, sign=True)}</td>", f"<td><i>{text}</i></td>"]


def _table(heads: Iterable[str], rows: Sequence[str], starts: Sequence[int] = ()) -> str:
    """A table of heads and rows that are HTML already; ``starts`` get a line above."""
    heads = list(heads)
    # Tables of three variants and more must set their columns closer to fit a page.
    many = ' class="many"' if heads.count("difference") > 1 else ""
    body = "\n".join(
        f'<tr class="first">{row}</tr>' if i in starts else f"<tr>{row}</tr>"
        for i, row in enumerate(rows)
    )
    head = "".join(f"<th scope=col>{text}</th>" for text in heads)
    return (
        f'<div class="scroll"><table{many}>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>\n"
    )


def _td(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _facts(facts: dict[str, str]) -> str:
    items = (f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f"<dl>{''.join(items)}</dl>\n"


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
