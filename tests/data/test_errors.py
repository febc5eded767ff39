"""Errors that list many problems."""

from equiseg.data.errors import DataError


def test_files_with_the_same_problem_are_listed_together():
    problems = ["a: too dark", "b: odd", *(f"{i}: too dark" for i in range(30)), "names nothing"]
    lines = str(DataError.listing("no good", problems)).splitlines()
    assert lines[:3] == ["no good (33):", "  too dark, in 31 files:", "    a"]
    assert lines[7:] == ["    4", "    ... and 25 more", "  b: odd", "  names nothing"]


def test_only_the_first_of_many_problems_are_listed():
    lines = str(DataError.listing("no good", [f"{i}: {i}" for i in range(50)])).splitlines()
    assert lines[0] == "no good (50):"
    assert lines[1:21] == [f"  {i}: {i}" for i in range(20)]
    assert lines[21:] == ["  ... and 30 more"]
