"""Questions about samples: asked once per state of their files, in any number of processes."""

import multiprocessing
import os
import sqlite3
import time
from pathlib import Path

import pytest
import torch

from equiseg.data import DataError
from equiseg.data.survey.asking import Question, ask_all, usable
from equiseg.data.survey.origins import Origin

OLD = 10**9 * 1_600_000_000 + 7  # ns: long ago, not a whole second


class Texts:
    """Text files, one a sample; each read is written to a log, which all processes share."""

    def __init__(self, folder, number=40):
        self.folder, self.log, self.reading = Path(folder), Path(folder) / "log", str(folder)
        self.number = number

    def __len__(self):
        return self.number

    def origin(self, index):
        return Origin(f"text {index}", (str(self.file(index)),))

    def file(self, index):
        return self.folder / f"{index}.txt"

    def read(self, index):
        with self.log.open("a") as log:
            log.write(f"{index}\n")
        text = self.file(index).read_text()
        if "broken" in text:
            raise DataError(f"{self.file(index)}: broken")
        return text

    def reads(self):
        """The samples read since the last call."""
        found = sorted(map(int, self.log.read_text().split())) if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return found


def _length(data, index):
    return {"length": len(data.read(index))}


LENGTH = Question("length", 1, _length)


@pytest.fixture
def texts(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "texts"
    folder.mkdir()
    data = Texts(folder)
    for index in range(len(data)):
        data.file(index).write_text("x" * index)
    settle()
    return data


def settle():
    """Wait until files that were just written are old enough to be remembered."""
    time.sleep(0.06)


def lengths(data, question=LENGTH, **options):
    answers = ask_all(data, question, "lengths", **options)
    found = dict(usable(answers, "broken files"))
    return [found[index]["length"] for index in range(len(data))]


def database(folder):
    (file,) = (folder / "cache" / "surveys").glob("*.sqlite")
    return file


@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_file_is_read_once(texts, num_workers):
    for _ in range(2):
        assert lengths(texts, num_workers=num_workers) == list(range(40))
    assert texts.reads() == list(range(40))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_survey_draws_no_random_numbers(texts, num_workers):
    before = torch.get_rng_state()
    lengths(texts, num_workers=num_workers)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_question_version_or_reading_is_asked_anew(texts):
    lengths(texts)
    texts.reads()
    for question in (Question("other", 1, _length), Question("length", 2, _length)):
        lengths(texts, question)
        assert texts.reads() == list(range(40))
    texts.reading = "in another way"
    lengths(texts)
    assert texts.reads() == list(range(40))


def test_only_changed_files_are_read_again_even_if_size_and_time_are_restored(texts):
    for index in range(40):
        os.utime(texts.file(index), ns=(OLD, OLD))
    settle()
    lengths(texts)
    texts.reads()
    texts.file(7).write_text("y" * 7)
    os.utime(texts.file(7), ns=(OLD, OLD))
    os.utime(texts.file(9), ns=(OLD, OLD + 1))
    settle()
    lengths(texts)
    assert texts.reads() == [7, 9]
    lengths(texts)
    assert texts.reads() == []


def test_a_file_that_was_just_written_is_not_remembered(texts):
    lengths(texts)
    texts.reads()
    future = time.time_ns() + 3600 * 10**9
    os.utime(texts.file(3), ns=(future, future))
    for _ in range(2):  # its time may hide a change
        lengths(texts)
        assert texts.reads() == [3]


def test_broken_files_are_listed_in_order_and_read_again(texts):
    for index in (30, 2):
        texts.file(index).write_text("broken")
    settle()
    with pytest.raises(DataError, match=r"broken files \(2\)") as error:
        lengths(texts, num_workers=2)
    assert error.value.problems == tuple(f"{texts.file(i)}: broken" for i in (2, 30))
    texts.reads()
    texts.file(30).write_text("mended")
    with pytest.raises(DataError, match=r"\(1\)"):
        lengths(texts)
    assert texts.reads() == [2, 30]


def test_answers_that_do_not_last_are_asked_again(texts):
    short = Question("length", 1, _length, lasts=lambda value: value["length"] < 38)
    lengths(texts, short)
    texts.reads()
    assert lengths(texts, short) == list(range(40))
    assert texts.reads() == [38, 39]


def test_an_interrupted_survey_resumes(texts):
    answers = ask_all(texts, LENGTH, "lengths")
    for _ in range(11):
        next(answers)
    answers.close()
    read = texts.reads()
    assert lengths(texts) == list(range(40))
    assert sorted(read + texts.reads()) == list(range(40))


def _asked_until_killed(texts):
    for answer in ask_all(texts, LENGTH, "lengths"):
        if answer.index == 25:
            time.sleep(1.5)  # longer than the time between two writes
        if answer.index == 27:
            os.kill(os.getpid(), 9)


def test_a_killed_survey_resumes_and_frees_its_claim(texts):
    process = multiprocessing.get_context("fork").Process(target=_asked_until_killed, args=(texts,))
    process.start()
    process.join()
    assert process.exitcode == -9
    before = texts.reads()
    assert before[:26] == list(range(26))
    assert lengths(texts) == list(range(40))
    assert texts.reads() == list(range(26, 40))


def _slow_length(data, index):
    time.sleep(0.02)
    return _length(data, index)


def _ask_slowly(texts, results):
    results.put(lengths(texts, Question("slow", 1, _slow_length)))


def test_of_two_processes_one_reads_and_both_have_the_answers(texts):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_ask_slowly, args=(texts, results)) for _ in range(2)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [list(range(40))] * 2
    for process in processes:
        process.join()
    assert texts.reads() == list(range(40))


def test_a_waiting_process_says_so(texts):
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_ask_slowly, args=(texts, context.SimpleQueue()))
    process.start()
    while not texts.log.exists():
        time.sleep(0.01)
    titles = []
    lengths(
        texts,
        Question("slow", 1, _slow_length),
        track=lambda items, title: titles.append(title) or items,
    )
    process.join()
    assert titles[0].startswith("waiting for another process")
    assert texts.reads() == list(range(40))


def test_a_damaged_database_is_made_anew(texts, tmp_path):
    lengths(texts)
    texts.reads()
    file = database(tmp_path)
    for content in (b"no database " * 1000, file.read_bytes()[:100] + b"\xff" * 9000):
        file.write_bytes(content)
        with pytest.warns(UserWarning, match=r"sqlite: damaged \(.*made anew"):
            assert lengths(texts) == list(range(40))
        assert texts.reads() == list(range(40))
        assert lengths(texts) == list(range(40))
        assert texts.reads() == []


def test_a_damaged_answer_is_asked_again(texts, tmp_path):
    lengths(texts)
    texts.reads()
    with sqlite3.connect(database(tmp_path)) as connection:
        connection.execute("UPDATE answers SET answer = x'7b226c656e677468223a37377d'")
    assert lengths(texts) == list(range(40))
    assert texts.reads() == list(range(40))
    lengths(texts)
    assert texts.reads() == []


def test_an_unusable_cache_folder_costs_time_only(texts, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        with pytest.warns(UserWarning, match="cannot be used .* EQUISEG_CACHE") as told:
            assert lengths(texts) == list(range(40))
        assert len(told) == 1
        assert texts.reads() == list(range(40))


def test_answers_of_files_that_are_gone_are_removed(texts, tmp_path):
    lengths(texts)
    for index in range(30, 40):
        texts.file(index).unlink()
    texts.number = 30
    texts.file(0).write_text("changed")
    settle()
    lengths(texts)
    with sqlite3.connect(database(tmp_path)) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (30,)


def test_progress_counts_the_samples_that_are_read(texts):
    seen = []

    def track(items, title):
        for item in items:
            seen.append((title, item))
            yield item

    lengths(texts, track=track)
    assert seen == [("lengths", index) for index in range(40)]
    lengths(texts, track=track)
    assert len(seen) == 40


def test_data_without_files_are_asked_every_time():
    class Numbers:
        def __init__(self):
            self.asked = 0

        def __len__(self):
            return 5

        def read(self, index):
            self.asked += 1
            return "x" * index

    numbers = Numbers()
    for _ in range(2):
        assert lengths(numbers) == list(range(5))
    assert numbers.asked == 10
