"""Mutated inputs through every reader, each in a process that may die of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.robustness.mutations import mutate
from benchmarks.robustness.readers import Reader, digest
from benchmarks.robustness.worker import MEMORY, Done, Worker

OUTCOMES = (
    "refused",
    "read",
    "changed",
    "unnamed",
    "traceback",
    "abort",
    "hang",
    "memory",
    "silent",
)
"""Refused in a sentence that names the file; read with the right value; read with another one;
refused without the file's name; an exception of another kind; a dead process; more than 20 s; more
than 2 GiB; another value though a checksum or a size in the header tells that it is damaged."""
FAULTS = OUTCOMES[3:]
_MOST_LINES, _MOST_LENGTH = 24, 700
_ALLOWED = ("ValueError", "OSError")
_VALID = ("repaired", "inner", "swap")  # files that are whole, with another content


class Outcome(NamedTuple):
    """One input and its end.

    Attributes:
        reader: Its reader.
        number: The number of the input, which with the seed decides the mutation.
        mutation: Its kind.
        how: One of :data:`OUTCOMES`.
        done: What the process told.
        file: The damaged file, until the next one is tried.
    """

    reader: Reader
    number: int
    mutation: str
    how: str
    done: Done
    file: Path


def shares(readers: Sequence[Reader], inputs: int) -> list[int]:
    """How many inputs each reader gets; slow ones get none where there are few."""
    total = sum(reader.share for reader in readers)
    return [round(inputs * reader.share / total) for reader in readers]


def mutated(
    reader: Reader, good: bytes, others: Sequence[bytes], seed: int, number: int
) -> tuple[str, bytes]:
    """The mutation of this number: its name and the bytes."""
    key = hashlib.sha256(f"{seed} {reader.name} {number}".encode()).digest()
    return mutate(good, reader.form, others, Random(key))


def try_inputs(
    readers: Sequence[Reader],
    inputs: int,
    seed: int,
    scratch: Path,
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[Outcome]:
    """Read mutated files, in the order of the readers.

    Args:
        readers: The readers.
        inputs: How many files, over all readers.
        seed: Decides the mutations.
        scratch: A folder for the files; the good ones are written to it.
        tell: Told the reader that begins.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    contents: dict[str, bytes] = {}
    for index, reader in enumerate(readers):
        folder = scratch / f"{index}"
        reader.write(folder)
        contents[f"{reader.group} {reader.file}"] = (folder / reader.file).read_bytes()
    others = [content for content in contents.values() if len(content) < 1 << 20]
    for index, (reader, number) in enumerate(zip(readers, shares(readers, inputs), strict=True)):
        if not number:
            continue
        tell(f"{reader.name}: {number}")
        folder = scratch / f"{index}"
        yield from _one_reader(reader, folder, others, number, seed, scratch / "output.txt")
        shutil.rmtree(folder)


def _one_reader(
    reader: Reader, folder: Path, others: Sequence[bytes], number: int, seed: int, output: Path
) -> Iterator[Outcome]:
    file = folder / reader.file
    good = file.read_bytes()
    worker = Worker(lambda: digest(reader.read(folder)), output)
    try:
        whole = worker.ask()
        if whole.how != "value":
            raise RuntimeError(
                f"{reader.name}: the good file is refused\n{whole.message}{whole.trace}"
            )
        for one in range(number):
            mutation, content = mutated(reader, good, others, seed, one)
            file.write_bytes(content)
            done = worker.ask()
            how = judged(reader, folder, mutation, done, whole.value)
            yield Outcome(reader, one, mutation, how, done, file)
            file.write_bytes(good)
    finally:
        worker.end()


def judged(reader: Reader, folder: Path, mutation: str, done: Done, right: str) -> str:
    """The outcome of one input."""
    if done.how in ("hang", "abort"):
        return done.how
    if done.peak > MEMORY:
        return "memory"
    if done.how == "error":
        if not set(_ALLOWED) & set(done.error):
            return "traceback"
        return "refused" if names_file(reader, folder, done.message) else "unnamed"
    if done.value == right:
        return "read"
    damaged = mutation not in _VALID
    if damaged and (reader.checksum or (reader.sized and mutation == "cut")):
        return "silent"
    return "changed"


def names_file(reader: Reader, folder: Path, message: str) -> bool:
    """Whether a message names the file or the option, and is short enough to be read."""
    names = (Path(reader.file).name, *(n.format(folder=folder) for n in reader.names))
    lines = message.splitlines()
    short = len(lines) <= _MOST_LINES and max(map(len, lines), default=0) <= _MOST_LENGTH
    return short and any(name in message for name in names)
