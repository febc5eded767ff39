"""Runs that are killed, at every operation on a file and at random moments, and run again.

Every open for writing, rename, removal and flush below the folder of the run is an operation. At
the n-th one the process is killed; of a file that is opened for writing, a part is written first.
Afterwards the run may be moved or copied, is perhaps killed once more, and is run again: it has to
finish, and its weights and scores have to equal those of the run that was left alone.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from benchmarks.robustness import formats
from benchmarks.robustness.mutations import mutate
from benchmarks.robustness.readers import digest
from benchmarks.robustness.worker import Done, Worker

OUTCOMES = ("equal", "refused", "different", "lost", "leftovers")
"""Weights and scores are equal; a run whose checkpoint was damaged is refused in a sentence that
names it; not equal; the run cannot be finished; half-written files stay."""
FAULTS = OUTCOMES[2:]
KINDS = ("at a write", "at a random moment", "full disk", "checkpoint damaged")
PLACES = ("stays", "is moved", "is copied")
_SECONDS = 60.0
_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link")
_COSTS = (
    "step_seconds",
    "peak_memory_bytes",
    "memory_of",
    "data_wait_share",
    "provenance",
    "command",
)


class Kill(NamedTuple):
    """One run and its kills.

    Attributes:
        number: The number of the run, which with the seed decides everything.
        kind: One of :data:`KINDS`.
        place: One of :data:`PLACES`.
        at: The operation, or the second, of each kill.
        how: One of :data:`OUTCOMES`.
        message: Why it is lost.
    """

    number: int
    kind: str
    place: str
    at: tuple[float, ...]
    how: str
    message: str = ""


class Cut(NamedTuple):
    """When a run ends.

    Attributes:
        operation: At this operation on a file, from 0; -1 for none.
        seconds: After so many seconds; 0 for none.
        full: Whether the disk is full from there on, instead of a kill.
    """

    operation: int = -1
    seconds: float = 0.0
    full: bool = False


def tiny_config() -> Any:
    """Two epochs of 16 pictures, so that there is an epoch to resume from."""
    from equiseg.data.config import DataConfig
    from equiseg.data.synthetic.config import SyntheticConfig
    from equiseg.data.synthetic.pictures.config import PicturesConfig
    from equiseg.training.config import TrainConfig

    pictures = PicturesConfig(num_classes=6, image_size=(48, 64))
    data = DataConfig(synthetic=SyntheticConfig(pictures=pictures, num_samples=(16, 4, 4)))
    return TrainConfig(data=data, epochs=2, batch_size=4, threads=1)


def trained(out: Path, cut: Cut) -> dict[str, Any]:
    """Train in this process, which may be killed.

    Returns:
        The number of operations on files, the seconds, and the digest of weights and scores.
    """
    import time

    from safetensors.numpy import load_file

    from equiseg.training.run import train

    count = _watch(out, cut)
    if cut.seconds:
        threading.Timer(cut.seconds, _end).start()
    start = time.monotonic()
    result = train(tiny_config(), out)
    weights = load_file(out / "model.safetensors")
    scores = {name: one for name, one in result.items() if name not in _COSTS}
    return {
        "operations": count[0],
        "seconds": time.monotonic() - start,
        "digest": digest([dict(sorted(weights.items())), scores]),
        "leftovers": [str(path) for path in out.rglob(".*part*")],
    }


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _watch(out: Path, cut: Cut) -> list[int]:
    """Count the operations on files below a folder, and end at one of them."""
    count, root = [0], os.fspath(out)
    original = os.fsync

    def operation(path: str, opened: bool) -> None:
        number = count[0]
        count[0] += 1
        if cut.full and 0 <= cut.operation <= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path if opened else None)
        if number == cut.operation:
            if opened:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                os.write(descriptor, b"PK\3\4 a part")
            _end()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _EVENTS or busy:
            return
        path = arguments[0]
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        path = os.fsdecode(path)
        truncates = event == "open" and bool((arguments[2] or 0) & (os.O_TRUNC | os.O_CREAT))
        if not path.startswith(root) or (event == "open" and not truncates):
            return
        busy.append(True)
        try:
            operation(path, event == "open" and not path.endswith(".lock"))
        finally:
            busy.pop()

    def fsync(descriptor: int) -> None:
        operation("", False)
        original(descriptor)

    busy: list[bool] = []
    sys.addaudithook(hook)
    os.fsync = fsync
    return count


def try_kills(
    kills: int,
    seed: int,
    scratch: Sequence[Path],
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[Kill]:
    """Kill runs and run them again.

    Args:
        kills: How many runs are killed: at each write once, as far as that goes, and the others at
            random moments or by a full disk.
        seed: Decides the moments.
        scratch: Folders for the runs, taken in turn, such as on several file systems.
        tell: Told what has been done, now and then.
    """
    whole = [_ask(folder / "whole", Cut(), folder) for folder in scratch]
    for done in whole:
        if done.how != "value":
            raise RuntimeError(f"a run that is left alone fails\n{done.message}{done.trace}")
    if len({done.value["digest"] for done in whole}) > 1:
        raise RuntimeError("two runs that are left alone differ")
    right = whole[0].value
    tell(f"{right['operations']} operations, {right['seconds']:.1f} s")
    writes = _spread(right["operations"], max(1, 4 * kills // 5))
    for number in range(kills):
        random = Random(f"{seed} kill {number}")
        folder = scratch[number % len(scratch)]
        write = writes[number] if number < len(writes) else None
        yield _one(number, random, write, right, folder)
        if not number % 20:
            tell(f"{number} kills")


def _spread(operations: int, most: int) -> list[int]:
    """All operations, or ``most`` of them, evenly."""
    if operations <= most:
        return list(range(operations))
    return [number * operations // most for number in range(most)]


def _one(
    number: int, random: Random, write: int | None, right: dict[str, Any], folder: Path
) -> Kill:
    kind = KINDS[0] if write is not None else random.choice((*KINDS[1:2] * 3, *KINDS[2:]))
    place = random.choice(PLACES)
    cuts = [_cut(kind, write, random, right)]
    if random.random() < 0.3:  # killed again while it resumes
        cuts.append(_cut(kind, None, random, right))
    out = folder / f"run{number}"
    at = tuple(cut.seconds or cut.operation for cut in cuts)
    for cut in cuts:
        done = _ask(out, cut, folder)
        if done.how == "error" and not (cut.full and "OSError" in done.error):
            return Kill(number, kind, place, at, "lost", _why(done))
        if cut.full and done.how == "error" and str(folder) not in done.message:
            return Kill(number, kind, place, at, "lost", f"names no path: {_why(done)}")
    out = _placed(out, place)
    last = out / "checkpoints/last.ckpt"
    if kind == KINDS[3] and last.is_file():
        last.write_bytes(mutate(last.read_bytes(), formats.ZIP, [b"x"], random)[1])
    done = _ask(out, Cut(), folder)
    how = _compared(done, right)
    if kind == KINDS[3] and "FileError" in done.error and str(out) in done.message:
        how = "refused"
    message = _why(done) if done.how != "value" else ", ".join(done.value["leftovers"])
    shutil.rmtree(out, ignore_errors=True)
    return Kill(number, kind, place, at, how, message)


def _cut(kind: str, write: int | None, random: Random, right: dict[str, Any]) -> Cut:
    if kind in (KINDS[1], KINDS[3]):
        return Cut(seconds=random.uniform(0.01, 1.1) * right["seconds"])
    operation = random.randrange(right["operations"]) if write is None else write
    return Cut(operation, full=kind == KINDS[2])


def _placed(out: Path, place: str) -> Path:
    """The folder after it was moved or copied; nothing is left where it was."""
    if place == PLACES[0] or not out.exists():
        return out
    other = out.with_name(f"{out.name}-{place.split()[-1]}")
    if place == PLACES[1]:
        out.rename(other)
    else:
        shutil.copytree(out, other)
        shutil.rmtree(out)
    return other


def _compared(done: Done, right: dict[str, Any]) -> str:
    if done.how != "value":
        return "lost"
    if done.value["digest"] != right["digest"]:
        return "different"
    return "leftovers" if done.value["leftovers"] else "equal"


def _why(done: Done) -> str:
    return f"{done.how} {done.error[:1]} {done.message[:300]} at {done.where}"


def _ask(out: Path, cut: Cut, folder: Path) -> Done:
    worker = Worker(trained, folder / "printed.txt")
    try:
        return worker.ask(out, cut, seconds=_SECONDS)
    finally:
        worker.end()
