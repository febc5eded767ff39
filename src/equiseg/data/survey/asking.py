"""Asking a question about every sample of a data set: in parallel, resumable, once per file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from equiseg.data.cache_root import cache_root
from equiseg.data.errors import DataError
from equiseg.data.in_workers import in_workers
from equiseg.data.survey.memory import Memory
from equiseg.data.survey.origins import State, digest_of, file_data, file_state, has_files
from equiseg.foreign_files import FileError
from equiseg.progress import Track, untracked

_FORMAT = 1  # of keys and states
_CHUNK = 16  # samples per task of a worker
_LOOKED_UP = 500  # samples per query; SQLite takes at least 999 values
_SECONDS = 1.0  # between two writes: a process that is killed loses so much work


def _always(value: Any) -> bool:
    return True


@dataclass(frozen=True)
class Question:
    """A question about one sample.

    Attributes:
        name: Name of the question, and of the file of its answers.
        version: Increase it when the answers change their meaning.
        ask: (data, index) to the answer, a value for JSON. It raises a FileError if the sample
            cannot be used.
        lasts: Whether an answer may be remembered; others are asked for again each time.
    """

    name: str
    version: int
    ask: Callable[[Any, int], Any]
    lasts: Callable[[Any], bool] = _always


@dataclass(frozen=True)
class Answer:
    """The answer for one sample.

    Attributes:
        index: Index of the sample.
        value: The answer; None if there is a problem.
        problem: Why the sample cannot be used; None if it can.
    """

    index: int
    value: Any
    problem: str | None = None


class Notes(NamedTuple):
    """Where answers are remembered.

    Attributes:
        memory: The database.
        state_of: The state of the sample at an index; None if its answer cannot be remembered.
        by_file: Whether keys name files; their answers are removed when the files are gone.
    """

    memory: Memory
    state_of: Callable[[int], State | None]
    by_file: bool = True


def ask_all(
    data: Any,
    question: Question,
    title: str,
    *,
    num_workers: int = 0,
    track: Track = untracked,
    notes: Notes | None = None,
) -> Iterator[Answer]:
    """Ask a question about every sample; samples whose files have not changed are not read again.

    Answers are remembered in ``$EQUISEG_CACHE/surveys``, one database for each question and reading
    of a data set, while they come in: an interrupted survey resumes. If several processes ask at
    once, one reads and the others wait for its answers. Memory does not depend on the number of
    samples.

    Args:
        data: Samples by index.
        question: The question.
        title: Name of the work for ``track``.
        num_workers: Worker processes that read; 0 reads in this process.
        track: Shows the progress over the samples that are read.
        notes: Where to remember answers; None takes the database described above for data that
            are read from files (:class:`~equiseg.data.survey.origins.FileData`), and remembers
            nothing for others.

    Yields:
        One answer per sample, the remembered ones first.
    """
    asked = partial(_asked, data, question, title, num_workers, track)
    notes = notes or _notes_of_files(data, question)
    if notes is None:
        yield from asked(range(len(data)), None)
        return
    left = yield from _recalled(notes, range(len(data)))
    if not left:
        return
    with notes.memory.claim(track):
        left = yield from _recalled(notes, left)  # another process may have asked meanwhile
        yield from asked(left, notes)
        if left and notes.by_file:
            notes.memory.forget(lambda key: not has_files(key))


def usable(answers: Iterable[Answer], heading: str) -> Iterator[tuple[int, Any]]:
    """The indices and values of answers, if all samples can be used.

    Args:
        answers: The answers.
        heading: Heading of the error.

    Raises:
        DataError: After the last answer, listing all problems in the order of the samples.
    """
    problems: dict[int, str] = {}
    for answer in answers:
        if answer.problem is None:
            yield answer.index, answer.value
        else:
            problems[answer.index] = answer.problem
    if problems:
        raise DataError.listing(heading, [problems[index] for index in sorted(problems)])


def _notes_of_files(data: Any, question: Question) -> Notes | None:
    source = file_data(data)
    if source is None:
        return None
    digest = digest_of(_FORMAT, question.name, question.version, source.reading)
    file = cache_root() / "surveys" / f"{question.name}-{digest}.sqlite"
    return Notes(Memory(file), partial(file_state, source))


def _recalled(notes: Notes, indices: Sequence[int]) -> Generator[Answer, None, list[int]]:
    """Yield the remembered answers; return the indices of the other samples."""
    left: list[int] = []
    for begin in range(0, len(indices), _LOOKED_UP):
        part = indices[begin : begin + _LOOKED_UP]
        states = [notes.state_of(index) for index in part]
        known = _parsed(notes.memory.recall({s.key: s.state for s in states if s is not None}))
        for index, state in zip(part, states, strict=True):
            if state is not None and state.key in known:
                yield Answer(index, known[state.key])
            else:
                left.append(index)
    return left


def _parsed(answers: dict[bytes, bytes]) -> dict[bytes, Any]:
    """The values of remembered answers, parsed together, which is faster than one by one."""
    values = json.loads(b"[%b]" % b",".join(answers.values()))
    return dict(zip(answers, values, strict=True))


@dataclass(frozen=True)
class _Asked:
    """An answer as JSON, and the state of its sample if it is to be remembered."""

    index: int
    answer: bytes
    problem: str | None
    state: State | None


def _asked(
    data: Any,
    question: Question,
    title: str,
    num_workers: int,
    track: Track,
    indices: Sequence[int],
    notes: Notes | None,
) -> Iterator[Answer]:
    """Answers that are asked for now, and remembered."""
    size = max(1, min(_CHUNK, len(indices) // 64))  # also small sets use all workers
    chunks = [indices[begin : begin + size] for begin in range(0, len(indices), size)]
    ask = partial(_ask_chunk, data, question, notes and notes.state_of)
    answers = (one for chunk in in_workers(ask, chunks, num_workers) for one in chunk)
    rows: list[tuple[bytes, bytes, bytes]] = []
    written = time.monotonic()
    try:
        for _, one in zip(track(indices, title), answers, strict=True):
            if one.state is not None:
                rows.append((one.state.key, one.state.state, one.answer))
            yield Answer(one.index, json.loads(one.answer), one.problem)
            if notes is not None and time.monotonic() - written > _SECONDS:
                notes.memory.remember(rows)
                rows.clear()
                written = time.monotonic()
    finally:
        if notes is not None:
            notes.memory.remember(rows)


def _ask_chunk(
    data: Any,
    question: Question,
    state_of: Callable[[int], State | None] | None,
    indices: Sequence[int],
) -> list[_Asked]:
    """The answers for some samples; called in a worker."""
    asked: list[_Asked] = []
    for index in indices:
        # Before the files are read, so that a change meanwhile is noticed next time.
        state = None if state_of is None else state_of(index)
        try:
            value = question.ask(data, index)
        except FileError as error:
            asked.append(_Asked(index, b"null", str(error), None))
            continue
        keeps = state is not None and state.settled and question.lasts(value)
        answer = json.dumps(value, separators=(",", ":")).encode()
        asked.append(_Asked(index, answer, None, state if keeps else None))
    return asked
