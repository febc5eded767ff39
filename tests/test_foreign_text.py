"""Texts from outside in messages, terminals and spreadsheets."""

import pytest

from equiseg.foreign_text import csv_cell, printable, short, text_of_cell


def test_a_value_is_shown_on_one_short_line():
    assert short("a\n b") == "a b"
    assert len(short("x" * 500)) == 80
    assert short(10**5000) == "a number of thousands of digits"


def test_a_name_moves_no_cursor():
    assert printable("a\x1b[2Jb\u202ec") == "a\\x1b[2Jb\\u202ec"
    assert printable("Straße 1") == "Straße 1"


@pytest.mark.parametrize(
    "text", ["=1+2", "@sum", "+x", "-x", "\tx", "'=1", "''=1", "road", "", "-0.5"]
)
def test_no_cell_is_a_formula_and_its_text_comes_back(text):
    cell = csv_cell(text)
    assert text == "-0.5" or not cell.startswith(("=", "+", "-", "@", "\t"))
    assert text_of_cell(cell) == text
