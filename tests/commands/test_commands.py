"""Commands as functions."""

import inspect

import pytest

from equiseg import commands
from equiseg.commands import StatsOptions
from equiseg.commands.command_text import command_text, written_command
from equiseg.records.run_result import read_result, write_result
from equiseg.training.config import TrainConfig


@pytest.mark.parametrize("verb", commands.VERBS)
def test_every_verb_is_a_documented_function(verb):
    command = getattr(commands, verb)
    assert inspect.isfunction(command)
    assert len(inspect.signature(command).parameters) <= 6
    assert "Raises:" in inspect.getdoc(command)


def test_the_command_of_a_page_is_the_line_or_else_the_call():
    options = StatsOptions(batch_size=4, out="there")
    called = "commands.stats('camvid', StatsOptions(batch_size=4, out='there'))"
    assert command_text("stats", "camvid", options) == called
    with written_command("equiseg stats camvid"):
        assert command_text("stats", "camvid", options) == "equiseg stats camvid"
    assert command_text("stats", "camvid", options) == called


def test_train_names_the_next_commands(finished_run, tmp_path, monkeypatch, capsys):
    known = read_result(finished_run)
    monkeypatch.setattr("equiseg.training.run.train", lambda *arguments: known)
    out = tmp_path / "a run [1]"
    out.mkdir()
    write_result(known, out)
    assert commands.train(TrainConfig(), out) == known
    assert (out / "report.html").is_file()
    printed = " ".join(capsys.readouterr().out.split())
    assert f"equiseg evaluate --run '{out}' --split test" in printed
    assert f"equiseg diagnose '{out}'" in printed
    assert f"equiseg predict --weights '{out}' --inputs FOLDER" in printed
