"""Typed options out of YAML and text, and the words of what is refused."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from equiseg.typed_options import OptionError, read_options, text_value, type_words


@dataclass(frozen=True)
class Inner:
    """Options of a part."""

    share: float = 0.5
    size: tuple[int, int] | None = None

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must be in [0, 1], got {self.share}")


@dataclass(frozen=True)
class Outer:
    """Options of a whole."""

    steps: int
    kind: Literal["32", "bf16"] = "32"
    inner: Inner = field(default_factory=Inner)
    parts: dict[str, Inner] = field(default_factory=dict)


def test_values_become_typed():
    given = {"steps": "3", "kind": 32, "inner": {"size": [1, "2"]}, "parts": {"a": {"share": 1}}}
    expected = Outer(3, "32", Inner(size=(1, 2)), {"a": Inner(1.0)})
    assert read_options(Outer, given) == expected
    assert type(read_options(Outer, given).parts["a"].share) is float


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "steps is required"),
        ({"steps": 1.5}, "steps must be a whole number, got 1.5"),
        ({"steps": True}, "steps must be a whole number, got True"),
        ({"steps": 1, "kind": 16}, "kind must be 32 or bf16, got 16"),
        ({"steps": 1, "iner": {}}, "unknown option iner (did you mean inner?)"),
        ({"steps": 1, "inner": {"sise": 1}}, "unknown option inner.sise (did you mean size?)"),
        ({"steps": 1, "inner": {"share": 2}}, "inner.share must be in [0, 1], got 2.0"),
        (
            {"steps": 1, "inner": {"size": [1]}},
            'inner.size must be 2 values, as "[a, b]" or null, got [1]',
        ),
        ({"steps": 1, "inner": 3}, 'inner must be a mapping, as "{a: b}", got 3'),
        ({"steps": 1, "parts": {"a": {"share": "x"}}}, "parts.a.share must be a number, got x"),
        (
            {"steps": "a", "inner": {"share": "b"}},
            "steps must be a whole number, got a; inner.share must be a number, got b",
        ),
    ],
)
def test_refusals_name_the_option_the_value_and_what_is_allowed(given, message):
    with pytest.raises(OptionError) as refused:
        read_options(Outer, given)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "nan", ".nan", "-.inf", "Infinity", "1e999", 10**30]
)
def test_numbers_are_finite(value):
    for given in ({"inner": {"share": value}}, {"inner": {"size": [1, value]}}, {"steps": value}):
        with pytest.raises(OptionError, match=r"(share|size|steps) must be a finite number below"):
            read_options(Outer, {"steps": 1} | given)
    assert read_options(str, "nan", "name") == "nan"


def test_long_values_are_cut():
    with pytest.raises(OptionError) as refused:
        read_options(int, "x" * 200, "steps")
    assert len(str(refused.value)) < 130


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("[1, a]", list[str], [1, "a"]),
        ("[1, a]", str, "[1, a]"),
        ("[1, a]", Path | list[Path], [1, "a"]),
        ("[1, a", list[str], "[1, a"),
        ("null", str | None, None),
        ("null", str, "null"),
        ("{a: 1}", dict[str, int], {"a": 1}),
    ],
)
def test_text_is_yaml_where_the_type_holds_more_than_text(text, kind, value):
    assert text_value(text, kind) == value


def test_types_in_words():
    assert type_words(Path | list[Path]) == 'a path or a list, as "[a, b]"'
    assert type_words(float | None) == "a number or null"
