"""Commands as functions."""

import inspect

import pytest

from equiseg import commands
from equiseg.commands import StatsOptions
from equiseg.commands.command_text import command_text, written_command


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
