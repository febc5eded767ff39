"""Post-hoc logit adjustment of the cross entropy networks of the study; nothing is trained.

    python -m benchmarks.study.posthoc --study runs/study

For each run, tau is chosen on the val split and applied on test. Prints the paired differences and
writes one row per run to benchmarks/results/study_posthoc.json; rows of other runs stay there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.measure import RESULTS, save
from equiseg.records.run_result import RESULT, read_result
from equiseg.study.interval import Interval
from equiseg.training.posthoc import adjust_run

SCORES = ("miou", "head", "common", "tail", "mean_accuracy", "pixel_accuracy", "ece")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, default=Path("runs/study"))
    parser.add_argument("--out", type=Path, default=Path("runs/study_posthoc"))
    options = parser.parse_args()
    known = json.loads((RESULTS / "study_posthoc.json").read_text(encoding="utf-8"))["rows"]
    rows = {(row["task"], row["seed"]): row for row in known}
    for folder in sorted(options.study.glob("*/cross_entropy")):
        task, before, after, taus = folder.parent.name, [], [], []
        for run in sorted(path.parent for path in folder.glob(f"seed*/{RESULT}")):
            out = options.out / task / run.name
            if not (out / RESULT).is_file():
                adjust_run(run, out)
            adjusted = read_result(out)
            before.append(read_result(run)["test"])
            after.append(adjusted["test"])
            scores = {name: after[-1][name] for name in SCORES}
            taus.append(adjusted["config"]["adjust"])
            seed = adjusted["seed"]
            rows[task, seed] = {"task": task, "seed": seed, "tau": taus[-1], **scores}
        print(f"{task}: {len(before)} seeds, tau {taus}")
        for name in SCORES:
            gap = Interval.paired([a[name] for a in after], [b[name] for b in before])
            print(f"  {name:15} {100 * gap.mean:+.1f} +- {100 * gap.half_width:.1f}")
    save("study_posthoc", [rows[key] for key in sorted(rows)])


if __name__ == "__main__":
    main()
