"""The results of a run of :mod:`benchmarks.robustness` as Markdown, from its JSON file.

python -m benchmarks.robustness.table [--page docs/reliability.md]

With --page the tables are put into the page, between its two comments.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results/robustness.json"
_BEGIN = "<!-- robustness: the output of `python -m benchmarks.robustness.table` -->"
_END = "<!-- robustness: end -->"
_HEADS = {
    "inputs": ("file", "damaged files"),
    "lines": ("verb", "lines"),
    "kills": ("killed", "runs"),
}
_WORDS = {
    "read": "read, right",
    "changed": "read, another value",
    "unnamed": "file not named",
    "memory": "over 2 GiB",
    "silent": "silent despite checksum",
    "0": "status 0",
    "1": "status 1",
    "2": "status 2",
}


def facts(record: dict[str, Any]) -> str:
    """When, with which code and on what it was measured."""
    head = record["measured"]
    seconds = sum(part["seconds"] for part in record["parts"].values())
    names = {"inputs": "damaged files", "lines": "command lines", "kills": "killed runs"}
    commits = ", ".join(f"{names[n]} {part['commit']}" for n, part in record["parts"].items())
    return (
        f"{head['date']}; commits: {commits}; Python {head['python']}, torch "
        f"{head['torch']}, numpy {head['numpy']}, Pillow {head['pillow']}, laspy {head['laspy']}, "
        f"lazrs {head['lazrs']}, {head['machine']}; seed {head['seed']}, "
        f"{seconds / 60:.0f} minutes on one core."
    )


def part_table(name: str, part: dict[str, Any]) -> str:
    """One row for each reader, verb or kind of kill, and their sums."""
    first, all_of_them = _HEADS[name]
    outcomes = part["outcomes"]
    head = [first, all_of_them, *(_WORDS.get(o, o) for o in outcomes)]
    rows = {row: [counts.get(o, 0) for o in outcomes] for row, counts in part["rows"].items()}
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row, counts in rows.items():
        cells = [f"{sum(counts):,}", *(f"{count:,}" for count in counts)]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page_tables(record: dict[str, Any]) -> str:
    """All that docs/reliability.md prints of a record."""
    tables = (part_table(name, part) for name, part in record["parts"].items())
    return "\n\n".join((*tables, facts(record)))


def with_tables(page: str, tables: str) -> str:
    """The page with these tables between its comments."""
    before, mark, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (mark and end):
        raise ValueError(f"the page lacks the comments {_BEGIN!r} and {_END!r}")
    return f"{before}{mark}\n\n{tables}\n\n{end}{after}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    file = parser.parse_args().page
    text = page_tables(json.loads(RESULTS.read_text(encoding="utf-8")))
    print(text)
    if file is not None:
        file.write_text(with_tables(file.read_text(encoding="utf-8"), text), encoding="utf-8")
