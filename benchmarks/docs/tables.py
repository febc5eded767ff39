"""The tables of docs/explanation/results.md as Markdown, from benchmarks/results.

python -m benchmarks.docs.tables [NAME ...]
"""

import sys
from statistics import mean

from benchmarks.measure import RESULTS
from equiseg.commands.tables import class_cells, metric_cells, spread
from equiseg.metrics.catalogue import MEASURES, SCORES, SUMMARY
from equiseg.study.comparison import Comparison


def scores(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """A row for each score and collapse measure, a cell for each variant."""
    rows = [
        (
            SCORES[metric].label.format(unit=comparison.unit),
            metric_cells(comparison, metric),
        )
        for metric in comparison.metrics
    ]
    for measure in SUMMARY:
        cells = [spread(comparison.collapse_values(v, measure), 1) for v in comparison.runs]
        rows.append((MEASURES[measure].label, cells))
    return rows


def classes(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """A row for each class, most frequent first."""
    total = sum(comparison.pixels)
    rows = []
    for group, ids in comparison.groups.items():
        for k in ids:
            share = f"{100 * comparison.pixels[k] / total:.2g} %"
            rows.append((comparison.classes[k], [group, share, *class_cells(comparison, k)]))
    return rows


def markdown(header: list[str], rows: list[tuple[str, list[str]]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    lines += ["| " + " | ".join([name, *cells]) + " |" for name, cells in rows]
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
        variants = list(comparison.runs)
        title = f"{comparison.split}, {len(comparison.seeds)} seeds"
        print(f"## {name}\n\n{facts(comparison)}\n")
        print(markdown([title, *variants], scores(comparison)) + "\n")
        print(
            markdown(["class", "group", f"{comparison.unit}s", *variants], classes(comparison))
            + "\n"
        )
