import math

import pytest
from matplotlib.figure import Figure

from equiseg.report.style import Illustration, csv_text, save_figure, variant_marker


def illustration(numbers=()):
    figure = Figure()
    figure.subplots().plot([1, 2])
    return Illustration("lines", "Lines", figure, "A line.", numbers)


@pytest.mark.parametrize("numbers", [(), [{"x": 1}]])
def test_a_figure_is_kept_in_every_form_it_has(tmp_path, numbers):
    save_figure(illustration(numbers), tmp_path / "figures")
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {
        "lines.png",
        "lines.svg",
        *(["lines.csv"] if numbers else []),
    }
    assert (tmp_path / "figures" / "lines.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "figures" / "lines.svg").read_text(encoding="utf-8")
    assert 'xmlns="http://www.w3.org/2000/svg"' in svg
    assert "var(" not in svg
    if numbers:
        assert (tmp_path / "figures" / "lines.csv").read_bytes() == b"x\r\n1\r\n"


def test_the_same_figure_gives_the_same_file(tmp_path):
    files = []
    for name in ("one", "two"):
        save_figure(illustration(), tmp_path / name)
        files.append((tmp_path / name / "lines.svg").read_bytes())
    assert files[0] == files[1]


def test_rows_of_different_columns_share_a_head():
    rows = [{"a": 1}, {"b": math.nan, "a": None}, {"c": 'say "x"'}]
    assert csv_text(rows).split("\r\n") == ["a,b,c", "1,,", ",,", ',,"say ""x"""', ""]


def test_seven_things_compared_have_seven_marks():
    assert len({variant_marker(index) for index in range(7)}) == 7
    assert variant_marker(7) == variant_marker(0)
