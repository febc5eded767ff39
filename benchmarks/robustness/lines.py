"""Generated command lines through ``equiseg.cli.main.main``: wrong words, values and files.

A line starts as a good one of its verb on tiny data. Then it gets strange words: options with
values of a wrong kind, extremes, paths of what is no file, a mutated file, or words left out.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, get_args

from benchmarks.robustness import formats
from benchmarks.robustness.mutations import mutate
from benchmarks.robustness.values import STRANGE
from benchmarks.robustness.worker import MEMORY, SECONDS, Done, Worker

OUTCOMES = (
    "0",
    "1",
    "2",
    "traceback",
    "abort",
    "hang",
    "memory",
    "other status",
    "control characters",
)
"""Exit status 0, 1 or 2; a traceback or an apology; a dead process; more than 20 s of computing;
more than 2 GiB; another exit status; what a terminal would obey."""
FAULTS = OUTCOMES[3:]
_APOLOGY = "mistake of equiseg"
# Of these an extreme value is allowed and takes for ever, or starts as many processes.
_COSTLY = (
    *("epochs", "num_workers", "jobs", "num_samples", "trials", "seeds", "keep_views", "votes"),
    *("threads", "accumulate", "val_every", "patience"),
)
_WHOLE = ("0", "-1", "1", "2", "3", "7", "1" + "0" * 30, "x", "nan", "1.5", "", "1e3", "[1]", "٣")
_FLOATS = ("nan", "inf", "-inf", "1e300", "1e400", "-1", "0", "1", "0.5", "x", "", "[0.5]", "true")
_TEXTS = tuple(str(one) for one in STRANGE if "\0" not in str(one) and str(one).isprintable())
_LISTS = (
    "[]",
    "[1]",
    "[1, 2]",
    "[1, 2",
    "{a: b}",
    "[a, b]",
    "[null]",
    "[-1, 0]",
    "1",
    "[1e400, 2]",
)
_CHEAP = "--epochs=1 --batch_size=2 --threads=1 --data.num_workers=0"


class Line(NamedTuple):
    """A line and its end.

    Attributes:
        number: Which with the seed decides the line.
        words: The line.
        how: One of :data:`OUTCOMES`.
        done: What the process told.
    """

    number: int
    words: list[str]
    how: str
    done: Done


def _good_lines(place: Path, out: str) -> dict[str, tuple[str, float]]:
    """Of each verb a good line, and how often it is taken."""
    card = f"{place}/street/card.yaml"
    return {
        "train": (f"--data.card {card} --out {out} {_CHEAP}", 3),
        "compare": (f"--data.card {card} --out {out} --seeds [0] --split val {_CHEAP}", 2),
        "demo": (f"--out {out}", 1),
        "predict": (f"--weights {place}/run --inputs {place}/street/images/val --out {out}", 3),
        "evaluate": (f"--run {place}/run --root {place}/street --split val", 3),
        "diagnose": (f"--run {place}/run --root {place}/street --split val --json", 2),
        "adjust": (f"--run {place}/run --out {out} --tau 0.5", 1),
        "stats": (f"{card}", 3),
        "doctor": (f"{card}", 3),
        "submission": (f"--folder {place}/scannet/submission --root {place}/scannet", 1),
        "report": (f"{place}/statistics --out {out}", 2),
    }


# Files of the place that a verb reads, with their formats.
_FILES = {
    "street/card.yaml": (formats.YAML, ("train", "stats", "doctor")),
    "street/classes.txt": (formats.TEXT, ("train", "stats", "doctor")),
    "street/images/train/0.png": (formats.PNG, ("train", "doctor")),
    "street/annotations/train/0.png": (formats.PNG, ("train", "doctor", "stats")),
    "street/images/val/2.png": (formats.PNG, ("predict", "evaluate", "diagnose")),
    "run/model.safetensors": (formats.SAFETENSORS, ("predict", "evaluate", "diagnose")),
    "run/config.yaml": (formats.YAML, ("evaluate", "diagnose", "adjust")),
    "run/result.json": (formats.JSON, ("evaluate", "adjust", "diagnose")),
    "statistics/statistics.json": (formats.JSON, ("report",)),
    "scannet/submission/scene0002_00.txt": (formats.TEXT, ("submission",)),
}


def write_place(good: Path, place: Path) -> None:
    """The files of the lines: data, a run, statistics and what is no file."""
    from benchmarks.robustness.originals import write_images, write_scannet

    write_images(place / "street")
    write_scannet(place / "scannet", preprocessed=False)
    (place / "run").mkdir()
    for name in ("model.safetensors", "config.yaml", "result.json", ".equiseg"):
        shutil.copy(good / "comparison/cross_entropy/seed0" / name, place / "run" / name)
    shutil.copytree(good / "statistics", place / "statistics")
    (place / "empty").mkdir()
    (place / "empty.yaml").touch()
    (place / "latin.yaml").write_bytes("name: stra\xdfe\n".encode("latin-1"))
    os.mkfifo(place / "pipe.yaml")
    os.mkfifo(place / "pipe.png")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(place)  # the path of a socket may have 100 characters
        listener.bind("socket.yaml")
        os.chdir(here)


def _paths(place: Path) -> tuple[str, ...]:
    names = (
        "pipe.yaml",
        "pipe.png",
        "socket.yaml",
        "empty",
        "empty.yaml",
        "latin.yaml",
        "missing.yaml",
    )
    more = (
        "street/card.yaml",
        "street",
        "run",
        "statistics",
        "statistics/classes.csv",
        ".",
        "scannet",
    )
    system = (
        "/dev/null",
        "/dev/zero",
        "/dev/stdin",
        "/",
        "",
        "~",
        "\udcff.yaml",
        "a" * 300,
        "[x].yaml",
    )
    return (*(f"{place}/{name}" for name in (*names, *more)), *system)


def _value(option: Any, place: Path, random: Random) -> str:
    """A value that an option may not like."""
    members = get_args(option.kind) or (option.kind,)
    if random.random() < 0.12:
        return random.choice((*_TEXTS, *_LISTS, *_WHOLE, *_paths(place)))
    costly = option.name.rpartition(".")[2] in _COSTLY
    if Path in members or option.name in ("data", "root", "data.card", "data.root"):
        return random.choice(_paths(place))
    if costly:
        return random.choice(("0", "-1", "x", "nan", "", "[]", "{}", "1.5"))
    if int in members:
        return random.choice(_WHOLE)
    if float in members:
        return random.choice(_FLOATS)
    if bool in members:
        return random.choice(("true", "false", "x", "1", "", "nan"))
    if str in members:
        return random.choice(_TEXTS)
    return random.choice((*_LISTS, *_TEXTS[:30], *map(str, members[:2])))


def make_line(seed: int, number: int, place: Path, out: str) -> tuple[list[str], str, bytes]:
    """The words of a line, and the file of the place that it mutates with its new content."""
    from equiseg.cli.main import VERBS
    from equiseg.cli.verbs import Verb

    random = Random(hashlib.sha256(f"{seed} line {number}".encode()).digest())
    lines = _good_lines(place, out)
    verb = random.choices(list(lines), [share for _, share in lines.values()])[0]
    words = lines[verb][0].split()
    options = Verb.of(verb, VERBS[verb]).options()
    if random.random() < 0.03:
        return (
            random.choice(([], ["--help"], [verb, "--help"], [verb, "--help-all"], [verb[:-1]])),
            "",
            b"",
        )
    files = [name for name, (_, verbs) in _FILES.items() if verb in verbs]
    if files and random.random() < 0.3:
        name = random.choice(files)
        content = (place / name).read_bytes()
        return [verb, *words], name, mutate(content, _FILES[name][0], [b"x", b"{}"], random)[1]
    trains = verb in ("train", "compare", "demo")
    for _ in range(random.choice((1, 1, 2, 3))):
        option = random.choice(options)
        value = _value(option, place, random)
        kind = random.random()
        at = 0 if trains and random.random() < 0.5 else len(words)
        if option.positional:
            words[0] = value
        elif kind < 0.8:
            words[at:at] = (
                [f"--{option.name}", value] if kind < 0.6 else [f"--{option.name}={value}"]
            )
        elif kind < 0.87:
            words[at:at] = [f"--{option.name}"]
        elif kind < 0.94:
            words[at:at] = [random.choice((f"--{option.name}x", value, "-x", "--", f"--{value}"))]
        elif len(words) > 1:
            del words[random.randrange(len(words))]
    if verb in ("compare", "demo"):  # they start other processes, so they must be wrong
        words += random.choice((["--seeds", "[x]"], ["--method", "no"], ["--out", "/dev/null"]))
    elif verb == "train":
        words += _CHEAP.split() if random.random() < 0.8 else []
        words += ["--epochs", "1"]
    return [verb, *words], "", b""


def try_lines(
    lines: int,
    seed: int,
    good: Path,
    scratch: Path,
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[Line]:
    """Run lines, each in a fresh folder.

    Args:
        lines: How many.
        seed: Decides the lines.
        good: The records of :func:`originals.write_records`.
        scratch: A folder for the files.
        tell: Told how many are done, now and then.
    """
    place, output = scratch / "place", scratch / "printed.txt"
    scratch.mkdir(parents=True, exist_ok=True)
    write_place(good, place)
    worker = Worker(lambda words: _run(words, scratch / "here"), output)
    try:
        for number in range(lines):
            words, name, content = make_line(seed, number, place, "out")
            before = (place / name).read_bytes() if name else b""
            if name:
                (place / name).write_bytes(content)
            (scratch / "here").mkdir(exist_ok=True)
            done = worker.ask(words, seconds=SECONDS)
            printed = output.read_text("utf-8", "replace")
            yield Line(
                number, words, judged(done, printed), done._replace(message=_said(done, printed))
            )
            if name:
                (place / name).write_bytes(before)
            shutil.rmtree(scratch / "here")
            if not number % 100:
                tell(f"{number} lines")
    finally:
        worker.end()


def _run(words: Sequence[str], here: Path) -> None:
    from equiseg.cli.main import main

    os.chdir(here)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - lives on
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    try:
        main(words)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()


def _said(done: Done, printed: str) -> str:
    return (done.message + "\n" + printed)[-1500:]


def judged(done: Done, printed: str) -> str:
    """The outcome of a line."""
    if done.how in ("abort", "hang"):
        return done.how
    if done.peak > MEMORY:
        return "memory"
    text = printed + (done.value if isinstance(done.value, str) else done.message)
    if not all(line.isprintable() for line in text.replace("\t", " ").splitlines()):
        return "control characters"
    if "Traceback (most recent call last)" in text or _APOLOGY in text:
        return "traceback"
    if done.how == "value":
        return "0"
    if "SystemExit" not in done.error:
        return "traceback"
    status = 1 if isinstance(done.value, str) else done.value or 0
    return str(status) if status in (0, 1, 2) else "other status"
