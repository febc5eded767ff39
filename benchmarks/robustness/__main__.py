"""Damaged files, wrong command lines and killed runs, in numbers that take an hour on one core.

python -m benchmarks.robustness [--inputs 30000] [--lines 2000] [--kills 200] [--seed 0]
                                [--only TEXT] [--faults FOLDER] [--out FILE]

Every input is read in a forked process, which may die of it; so are the command lines and the runs.
Nothing is random but by the seed. Linux only. Each fault is printed with its place in the code,
and its file, line and traceback are kept under --faults. The exit status is 1 if there is one.

Writes benchmarks/results/robustness.json, where a part with the number 0 keeps its earlier rows;
`python -m benchmarks.robustness.table` prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.robustness import inputs, kills, lines
from benchmarks.robustness.originals import write_records
from benchmarks.robustness.readers import all_readers
from benchmarks.robustness.table import RESULTS, page_tables
from benchmarks.robustness.worker import Done, Worker, import_everything

_MEMORY_DISK = Path("/dev/shm")  # a second file system, in memory


class Ended(NamedTuple):
    """One input, line or run: its row of the table, its outcome, and what tells of a fault."""

    row: str
    how: str
    title: str
    done: Done
    file: Path | None = None


class Part(NamedTuple):
    """One of the three parts: its outcomes, which of them are faults, and what was tried."""

    outcomes: Sequence[str]
    faults: Sequence[str]
    ended: Iterable[Ended]


def main(arguments: argparse.Namespace) -> bool:
    """Run the three parts; whether there is no fault."""
    import_everything()
    base = [Path(tempfile.mkdtemp(prefix="robust-"))]
    if _MEMORY_DISK.is_dir():
        base.append(Path(tempfile.mkdtemp(prefix="robust-", dir=_MEMORY_DISK)))
    os.environ["EQUISEG_CACHE"] = str(base[-1] / "cache")
    os.environ["TMPDIR"] = str(base[-1])
    tempfile.tempdir = None
    try:
        parts = _parts(arguments, base)
        found = {name: _counted(part, arguments.faults) for name, part in parts.items()}
    finally:
        for folder in base:
            shutil.rmtree(folder, ignore_errors=True)
    record = {"measured": _facts(arguments), "parts": _parts_before(arguments.out) | found}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(page_tables(record))
    return not any(part["faults"] for part in found.values())


def _parts_before(file: Path) -> dict[str, Any]:
    """The parts of an earlier run; those that this one tried are replaced."""
    return json.loads(file.read_text(encoding="utf-8"))["parts"] if file.is_file() else {}


def good_records(folder: Path) -> Path:
    """The records that mutations start from, made in a process of their own."""
    worker = Worker(lambda: write_records(folder / "good"), folder / "printed.txt")
    done = worker.ask(seconds=300)
    worker.end()
    if done.how != "value":
        raise RuntimeError(f"the good records cannot be made\n{done.message}{done.trace}")
    return folder / "good"


def _parts(arguments: argparse.Namespace, base: list[Path]) -> dict[str, Part]:
    seed, parts = arguments.seed, {}
    good = good_records(base[0]) if arguments.inputs or arguments.lines else base[0]
    if arguments.inputs:
        readers = [r for r in all_readers(good) if arguments.only in r.name]
        tried = inputs.try_inputs(readers, arguments.inputs, seed, base[-1] / "inputs", _tell)
        parts["inputs"] = Part(inputs.OUTCOMES, inputs.FAULTS, _of_inputs(tried))
    if arguments.lines:
        some = lines.try_lines(arguments.lines, seed, good, base[-1] / "lines", _tell)
        parts["lines"] = Part(lines.OUTCOMES, lines.FAULTS, _of_lines(some))
    if arguments.kills:
        killed = kills.try_kills(arguments.kills, seed, base, _tell)
        parts["kills"] = Part(kills.OUTCOMES, kills.FAULTS, _of_kills(killed))
    return parts


def _of_inputs(tried: Iterator[inputs.Outcome]) -> Iterator[Ended]:
    for one in tried:
        title = f"{one.reader.name}, input {one.number} ({one.mutation})"
        yield Ended(one.reader.group, one.how, title, one.done, one.file)


def _of_lines(tried: Iterator[lines.Line]) -> Iterator[Ended]:
    from equiseg.cli.main import VERBS

    for one in tried:
        verb = one.words[0] if one.words and one.words[0] in VERBS else "no verb"
        yield Ended(verb, one.how, shlex.join(("equiseg", *one.words)), one.done)


def _of_kills(tried: Iterator[kills.Kill]) -> Iterator[Ended]:
    for one in tried:
        title = f"run {one.number}, {one.kind}, {one.place}, at {one.at}"
        yield Ended(f"{one.kind}, {one.place}", one.how, title, Done("", message=one.message))


def _counted(part: Part, folder: Path | None) -> dict[str, Any]:
    """The counts of a part; each new kind of fault is printed and kept."""
    from equiseg.runs.provenance import provenance

    start, rows = time.monotonic(), {}
    kinds: Counter[tuple[str, ...]] = Counter()
    for one in part.ended:
        rows.setdefault(one.row, Counter())[one.how] += 1
        if one.how not in part.faults:
            continue
        kind = (one.row, one.how, *one.done.error[:1], one.done.where)
        kinds[kind] += 1
        if kinds[kind] == 1:
            print(
                f"FAULT {' | '.join(kind)}\n  {one.title}\n  {one.done.message[-300:]!r}",
                flush=True,
            )
            if folder is not None:
                _keep(one, folder)
    faults = [{"kind": " | ".join(kind), "number": number} for kind, number in kinds.items()]
    return {
        "commit": provenance().get("commit", "unknown"),
        "outcomes": list(part.outcomes),
        "seconds": round(time.monotonic() - start),
        "faults": faults,
        "rows": rows,
    }


def _keep(one: Ended, folder: Path) -> None:
    name = "".join(c if c.isalnum() else "_" for c in f"{one.row} {one.how} {one.title}")[:120]
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    if one.file is not None and one.file.is_file():
        shutil.copy(one.file, place)
    text = f"{one.title}\n\n{one.done.message}\n\n{one.done.where}\n\n{one.done.trace}"
    (place / "fault.txt").write_text(text, encoding="utf-8", errors="replace")


def _facts(arguments: argparse.Namespace) -> dict[str, Any]:
    from equiseg.runs.provenance import provenance

    packages = ("numpy", "pillow", "laspy", "lazrs", "safetensors", "pyyaml")
    versions = {package: metadata.version(package) for package in packages}
    numbers = {name: getattr(arguments, name) for name in ("inputs", "lines", "kills", "seed")}
    return provenance() | versions | numbers


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=30_000)
    parser.add_argument("--lines", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers whose names hold this text")
    parser.add_argument("--faults", type=Path, help="a folder for the files of faults")
    parser.add_argument("--out", type=Path, default=RESULTS)
    sys.exit(0 if main(parser.parse_args()) else 1)
