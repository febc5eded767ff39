import itertools

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from equiseg.report.name_marks import name_marks


def named(marks):
    figure = Figure(figsize=(4, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for _, x, y in marks:
        axes.plot(x, y, "o")
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 10)
    figure.draw_without_rendering()
    name_marks(axes, marks)
    return axes


def test_names_hide_no_name_and_stay_inside():
    axes = named([(f"method {k}", 5 + 0.4 * (k % 3), 5 + 0.5 * (k // 3)) for k in range(6)])
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) > 2
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_what_finds_no_place_is_not_named_and_the_first_comes_first():
    texts = named([(f"m{k}", 5, 5) for k in range(40)]).texts
    names = [text.get_text() for text in texts if text.get_text()]
    assert 0 < len(names) < 40
    assert names[0] == "m0"


def test_a_name_at_the_edge_turns_inwards():
    (text,) = named([("at the right edge", 9.9, 5)]).texts
    assert text.get_ha() == "right"
