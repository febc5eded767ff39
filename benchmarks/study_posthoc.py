"""Post-hoc logit adjustment of the study's networks of cross entropy; nothing is trained.

    python benchmarks/study_posthoc.py --study runs/study

For each task tau is chosen on val, on the trial of cross entropy that the study chose (a seed of
its own), and then applied to every seed. Prints the paired differences on test and writes a row a
run to benchmarks/results/study_posthoc.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from measure import save

from equiseg.study.comparison import Difference
from equiseg.study.run import TUNING
from equiseg.training.config_file import read_config
from equiseg.training.posthoc import adjust_run
from equiseg.training.result import read_result

SCORES = ("miou", "head", "common", "tail", "mean_accuracy", "pixel_accuracy", "ece")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, default=Path("runs/study"))
    options = parser.parse_args()
    rows = []
    for folder in sorted(options.study.glob("*/cross_entropy")):
        trials = json.loads((folder / TUNING).read_text(encoding="utf-8"))
        chosen = next(n for n, trial in enumerate(trials) if trial["chosen"])
        with tempfile.TemporaryDirectory() as scratch:
            adjust_run(folder / f"trial{chosen}", Path(scratch))
            tau = read_config(Path(scratch) / "config.yaml").adjust
        runs = sorted(folder.glob("seed*/result.json"))
        before, after = [], []
        for run in (path.parent for path in runs):
            out = folder.parent / "posthoc" / run.name
            if not (out / "result.json").is_file():
                adjust_run(run, out, tau)
            before.append(read_result(run)["test"])
            after.append(read_result(out)["test"])
            seed = read_result(run)["seed"]
            scores = {name: after[-1][name] for name in SCORES}
            rows.append({"task": folder.parent.name, "seed": seed, "tau": tau, **scores})
        print(f"{folder.parent.name}: tau {tau}, {len(runs)} seeds")
        for name in SCORES:
            gap = Difference.of([a[name] for a in after], [b[name] for b in before])
            print(f"  {name:15} {100 * gap.mean:+.1f} +- {100 * gap.half_width:.1f}")
    save("study_posthoc", rows)


if __name__ == "__main__":
    main()
