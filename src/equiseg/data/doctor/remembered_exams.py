"""Exams of a data set, as a question whose answers are remembered."""

from __future__ import annotations

from typing import Any

import numpy as np

from equiseg.data.doctor.exam import Exam, Trouble, exam_of
from equiseg.data.survey.asking import Question, ask_all
from equiseg.progress import Track


def all_exams(data: Any, title: str, num_workers: int, track: Track) -> list[Exam]:
    """The exams of all samples in their order; samples that have not changed are not read again.

    Args:
        data: ``SegmentationData`` or ``PointData``.
        title: Name of the work for ``track``.
        num_workers: Worker processes that read; 0 reads in this process.
        track: Shows the progress over the samples that are read.
    """
    answers = ask_all(data, _EXAM, title, num_workers=num_workers, track=track)
    exams = {answer.index: exam_from_json(answer.value) for answer in answers}
    return [exams[index] for index in range(len(data))]


def exam_to_json(exam: Exam) -> dict[str, Any]:
    """An exam as texts, numbers and lists; :func:`exam_from_json` reads them."""
    return {
        "name": exam.name,
        "size": exam.size,
        "counts": list(exam.counts.items()),
        "ignored": exam.ignored,
        "strange": list(exam.strange.items()),
        "content": None if exam.content is None else exam.content.hex(),
        "labels": None if exam.labels is None else exam.labels.hex(),
        "thumb": None if exam.thumb is None else exam.thumb.tolist(),
        "brightest": exam.brightest,
        "turned": exam.turned,
        "troubles": [(t.kind, t.file, t.message) for t in exam.troubles],
    }


def exam_from_json(values: dict[str, Any]) -> Exam:
    """The exam that :func:`exam_to_json` has written."""
    return Exam(
        values["name"],
        None if values["size"] is None else tuple(values["size"]),
        dict(values["counts"]),
        values["ignored"],
        dict(values["strange"]),
        None if values["content"] is None else bytes.fromhex(values["content"]),
        None if values["labels"] is None else bytes.fromhex(values["labels"]),
        None if values["thumb"] is None else np.array(values["thumb"], np.uint8),
        values["brightest"],
        values["turned"],
        tuple(Trouble(*trouble) for trouble in values["troubles"]),
    )


def _ask(data: Any, index: int) -> dict[str, Any]:
    return exam_to_json(exam_of(data, index))


def _is_sound(values: dict[str, Any]) -> bool:
    """Files that cannot be used are examined again: they may have been repaired."""
    return not values["troubles"]


_EXAM = Question("exam", 1, _ask, lasts=_is_sound)
