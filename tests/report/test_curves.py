import pytest

from equiseg.records.history import read_histories
from equiseg.report.curves import collapse_curve_figure, collapse_illustration, curve_figure


@pytest.fixture
def logged(tmp_path):
    """Runs of two variants with two seeds that logged nine epochs."""
    folders = {name: [tmp_path / name / f"seed{s}" for s in (0, 1)] for name in ("plain", "ceco")}
    for folder in (f for some in folders.values() for f in some):
        logs = folder / "logs" / "version_0"
        logs.mkdir(parents=True)
        rows = "".join(f"{e},{e},{2 - e / 9},{1 - e / 9},{e / 9},{9 - e},nan\n" for e in range(9))
        names = "epoch,step,loss,loss/cross_entropy,val/miou,"
        names += "collapse/nc1_ratio,collapse/self_duality\n"
        (logs / "metrics.csv").write_text(names + rows)
    return folders


def test_curves_are_drawn_for_what_was_logged(logged):
    figure = curve_figure(read_histories(logged))
    assert figure is not None
    assert [axes.get_title("left") for axes in figure.axes] == [
        "validation mIoU, %",
        "training loss: cross entropy",
    ]
    assert all(len(axes.lines) == 2 * 3 for axes in figure.axes)  # two seeds and their mean


def test_a_place_without_curves_stays_empty(logged):
    for folder in (f for some in logged.values() for f in some):
        file = folder / "logs" / "version_0" / "metrics.csv"
        first, *rows = file.read_text().splitlines()
        lines = [f"{first},loss/dice", *(f"{row},1" for row in rows)]
        file.write_text("\n".join(lines))
    figure = curve_figure(read_histories(logged))
    assert figure is not None
    assert [axes.axison for axes in figure.axes] == [True, True, True, False]
    above = figure.axes[1].xaxis.get_tick_params()
    assert above["labelbottom"]


def test_collapse_has_curves_of_its_own(logged):
    figure = collapse_curve_figure(read_histories(logged))
    assert figure is not None
    spread, duality = figure.axes
    assert spread.get_title("left") == "spread within classes over between"
    assert [list(line.get_ydata()) for line in spread.lines] == 6 * [list(range(9, 0, -1))]
    assert not duality.lines  # NaN throughout


def test_no_logs_no_curves(tmp_path):
    assert curve_figure(read_histories({"plain": [tmp_path]})) is None
    assert collapse_curve_figure(read_histories({"plain": [tmp_path]})) is None


def test_the_numbers_of_the_curves_are_what_was_logged():
    assert collapse_illustration({"after": {"run": {}}}) is None
    shown = collapse_illustration({"after": {"run": {"collapse/nc1_ratio": {1: 4.0, 2: 3.5}}}})
    assert [row["collapse/nc1_ratio"] for row in shown.numbers] == [4.0, 3.5]
