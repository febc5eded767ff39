"""The tables of README and docs, as Markdown, from the comparisons in benchmarks/results.

python benchmarks/tables.py [NAME ...]
"""

import sys
from pathlib import Path
from statistics import mean

from equiseg.cli.tables import cell, spread
from equiseg.training.compare import Comparison

RESULTS = Path(__file__).parent / "results"
MEASURES = ("equinorm", "equiangularity", "maximal_separation", "self_duality")


def table(comparison: Comparison) -> str:
    variants = list(comparison.runs)
    lines = [
        f"| {comparison.split}, {len(comparison.seeds)} seeds | " + " | ".join(variants) + " |"
    ]
    lines.append("|---" * (len(variants) + 1) + "|")

    def row(name: str, values: dict[str, str]) -> None:
        lines.append(f"| {name} | " + " | ".join(values.values()) + " |")

    def against(name: str, get, difference) -> str:
        return cell(get(name), None if name == comparison.baseline else difference(name))

    for metric in comparison.metrics:
        row(
            metric.replace("_", " "),
            {
                v: against(
                    v,
                    lambda n, m=metric: comparison.values(n, m),
                    lambda n, m=metric: comparison.difference(n, m),
                )
                for v in variants
            },
        )
    for measure in MEASURES:
        row(
            measure.replace("_", " "),
            {v: spread(comparison.collapse_values(v, measure), 1) for v in variants},
        )
    return "\n".join(lines)


def classes(comparison: Comparison) -> str:
    variants = list(comparison.runs)
    total = sum(comparison.pixels)
    lines = ["| class | group | training pixels | " + " | ".join(variants) + " |"]
    lines.append("|---" * (len(variants) + 3) + "|")
    for group, ids in comparison.groups.items():
        for k in ids:
            cells = [
                cell(
                    comparison.class_values(v, k),
                    None if v == comparison.baseline else comparison.class_difference(v, k),
                )
                for v in variants
            ]
            share = f"{100 * comparison.pixels[k] / total:.2g} %"
            lines.append(
                f"| {comparison.classes[k]} | {group} | {share} | " + " | ".join(cells) + " |"
            )
    return "\n".join(lines)


def facts(comparison: Comparison) -> str:
    runs = [run for runs in comparison.runs.values() for run in runs]
    commits = sorted({run["provenance"].get("commit", "unknown") for run in runs})
    first = runs[0]["provenance"]
    waits = mean(run["data_wait_share"] for run in runs)
    best = [run["best_epoch"] for run in runs]
    return (
        f"{first['date']}, commit {', '.join(commits)}, torch {first['torch']}, "
        f"{first['machine']}, one thread a run; best epoch {min(best)} to {max(best)} of "
        f"{runs[0]['config']['epochs']}; steps waited {100 * waits:.1f} % of their time for data."
    )


if __name__ == "__main__":
    names = sys.argv[1:] or sorted(path.stem for path in RESULTS.glob("*.json"))
    for name in names:
        comparison = Comparison.load(RESULTS / f"{name}.json")
        print(f"## {name}\n\n{facts(comparison)}\n\n{table(comparison)}\n\n{classes(comparison)}\n")
