import csv
import dataclasses
import json
import math
import re

import pytest

from equiseg.commands.draw_page import draw_page
from equiseg.records.history import read_histories
from equiseg.report.study.budget import budget_section, cost_section, settings_section
from equiseg.report.study.figures import decision_figure
from equiseg.report.study.page import report_study, save_rows
from equiseg.report.study.rank_figure import rank_figure
from equiseg.report.study.scores import score_sections
from equiseg.report.study.wording import caution_of, ledes
from equiseg.study.interval import Interval
from equiseg.study.record import Study, Trial, training_hours

METHODS = ("plain", "ceco", "focal")


@pytest.fixture
def make_study(make_comparison):
    """Three methods on named tasks, with as many seeds as said; the first was tuned."""

    def make(gain=0.03, variants=METHODS, **seeds):
        comparisons = {
            task: make_comparison(num_seeds=n, variants=variants, gain=gain)
            for task, n in (seeds or {"street": 5, "field": 3, "room": 5}).items()
        }
        first = next(iter(comparisons))
        trials = [
            Trial("ceco:method=ceco", 0.41, False),
            Trial("ceco:method=ceco, optimizer.lr=0.002", 0.43, True),
            Trial("ceco:batch_size=1000", math.nan, False),
        ]
        tuning = {task: {"ceco": trials} if task == first else {} for task in comparisons}
        return Study(comparisons, tuning, "miou")

    return make


def main_of(page):
    return page.read_text(encoding="utf-8").split("<main>")[1].split("<script>")[0]


def rows_of(path):
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def log(folder, mious, steps=50):
    logs = folder / "logs" / "version_0"
    logs.mkdir(parents=True)
    rows = "".join(f"{e},{(e + 1) * steps - 1},{miou}\n" for e, miou in enumerate(mious))
    (logs / "metrics.csv").write_text("epoch,step,val/miou\n" + rows)


def test_page_figures_and_results(tmp_path, make_study):
    study = make_study()
    study = dataclasses.replace(study, command="equiseg compare --out here")
    page = report_study(tmp_path, study, {})
    assert page == tmp_path / "report.html"
    files = {file.name for file in (tmp_path / "figures").iterdir()}
    names = ("decision", "ranks", "cost")  # no logs, no curves
    assert files == {f"{name}.{kind}" for name in names for kind in ("png", "svg", "csv")}
    text = main_of(page)
    assert "three tasks, three methods, 39 runs compared" in text
    assert "equiseg compare --out here" in text
    assert len(rows_of(save_rows(tmp_path, study))) == 39
    assert ">nan" not in text
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    assert len(tables) > 8
    for table in tables:
        assert len({len(re.findall("<t[hd][ >]", row)) for row in table.split("</tr>")[:-1]}) == 1

    rows = rows_of(tmp_path / "figures" / "decision.csv")
    assert [row["task"] for row in rows] == [t for t in ("all", *study.comparisons) for _ in "12"]
    ceco = {row["task"]: float(row["tail change"]) for row in rows if row["method"] == "ceco"}
    assert ceco["all"] == pytest.approx(sum(ceco[t] for t in study.comparisons) / 3)
    assert ceco["field"] == pytest.approx(
        study.comparisons["field"].difference("ceco", "tail").mean
    )


def test_gains_are_named_where_the_intervals_carry_them(make_study):
    highest, counted = ledes(make_study())
    assert re.match(
        r"focal gains most: it gains [56].\d points on the tail over plain \(95 % interval", highest
    )
    assert counted.startswith(
        "Significant gains on the tail: ceco and focal, without a significant loss on the head; "
        "significant losses on the tail: none."
    )
    assert "so its margin is optimistic" in caution_of(make_study())


def test_what_the_head_pays_is_said(make_study):
    study = make_study()
    for comparison in study.comparisons.values():
        for run in comparison.runs["ceco"]:
            run["test"]["head"] -= 0.1
    assert "ceco and focal (with a significant loss on the head: ceco); " in ledes(study)[1]


def test_without_a_difference_none_is_claimed(make_study):
    study = make_study()
    for comparison in study.comparisons.values():
        for name in METHODS[1:]:
            comparison.runs[name][:] = comparison.runs["plain"]
    highest, counted = ledes(study)
    assert highest == "No method has a higher mean tail score than plain."
    assert "on the tail: none; significant losses on the tail: none." in counted
    text = "".join(score_sections(study))
    assert 'class="gain"' not in text
    assert 'class="loss"' not in text


def test_a_lower_calibration_error_is_a_gain(make_study):
    """In the made-up runs it rises from method to method."""
    told = "".join(score_sections(make_study())).split("<h2>Calibration error</h2>")[1]
    table = told.split("</table>")[0]
    assert "less is better" in table
    assert 'class="loss"' in table
    assert 'class="gain"' not in table
    order = re.findall(r"<th scope=row>(\w+)</th><td data-value=\"(\d)\"", table)
    assert order == [("plain", "1"), ("ceco", "2"), ("focal", "3")]


def test_one_seed_of_one_task_shows_nothing(tmp_path, make_study):
    text = main_of(report_study(tmp_path, make_study(street=1), {}))
    assert "no difference is significant" in text
    assert "One task: there are no ranks" in text
    assert 'class="gain"' not in text
    assert "mean rank" not in text
    assert not (tmp_path / "figures" / "ranks.png").exists()


def test_a_task_without_a_name_keeps_its_own_page(tmp_path, make_study):
    """Tuning on the data of the command: the comparison's page is in the same folder."""
    (tmp_path / "report.html").write_text("the comparison's")
    page = report_study(tmp_path, make_study(**{".": 5}), {})
    assert page == tmp_path / "study.html"
    assert (tmp_path / "report.html").read_text() == "the comparison's"
    assert "<th scope=row>scenes</th>" in main_of(page)  # named after its data


def test_a_method_alone_has_nothing_to_be_compared_with(tmp_path, make_study):
    text = main_of(report_study(tmp_path, make_study(variants=("plain",)), {}))
    assert "plain was run alone" in text
    assert ">difference<" not in text
    assert "<svg" not in text


def test_scores_that_old_runs_lack_are_left_out(make_study):
    study = make_study()
    for comparison in study.comparisons.values():
        for run in (run for runs in comparison.runs.values() for run in runs):
            del run["test"]["ece"]
            run["step_seconds"] = None
    assert "Calibration error" not in "".join(score_sections(study))
    assert "<table" not in cost_section(study)


def test_settings_are_said_with_their_scores(make_study):
    chosen, tried = settings_section(make_study()).split("<summary>All trials")
    assert re.search(r"ceco <i>street</i>.*43\.0.*41\.0.*method=ceco, optimizer.lr=0.002", chosen)
    assert "failed" in tried
    assert tried.count("ceco <i>street</i>") == 3
    study = make_study()
    untuned = Study(study.comparisons, {task: {} for task in study.comparisons}, "miou")
    assert "No method was tuned" in settings_section(untuned)


def test_hours_and_curves_come_from_the_logs(tmp_path, make_study):
    """Twenty epochs of 900 steps of 0.38 s, a twentieth of the time waiting: two hours."""
    study = make_study()
    comparison = study.comparisons["street"]
    result = comparison.runs["plain"][0] | {"step_seconds": 0.38, "data_wait_share": 0.05}
    result["config"] = result["config"] | {"optimizer": {"accumulate": 1}}
    result |= {name: getattr(comparison, name) for name in ("classes", "groups", "pixels")}
    result["method"] = "cross_entropy"
    for folder, epochs in (("seed0", 20), ("seed1", 10)):
        log(tmp_path / "street" / "plain" / folder, [0.02 * e for e in range(epochs)], steps=900)
    (tmp_path / "street" / "plain" / "seed0" / "result.json").write_text(json.dumps(result))
    assert training_hours(tmp_path / "street", study.comparisons["street"]) == pytest.approx(2)
    study = dataclasses.replace(study, hours={"street": 2.0})
    assert "Training took 2.0 hours in total" in budget_section(study)
    folders = {"plain": [tmp_path / "street" / "plain" / f"seed{n}" for n in (0, 1)]}
    text = main_of(report_study(tmp_path, study, {"street": read_histories(folders)}))
    assert "street +2.0 after epoch 9" in text  # as far as both seeds have come
    rows = rows_of(tmp_path / "figures" / "convergence.csv")
    assert len(rows) == 30
    assert {row["run"] for row in rows} == {"seed0", "seed1"}


def test_each_method_has_its_own_mark():
    methods = [f"m{k}" for k in range(14)]
    changes = {
        metric: {m: Interval(0.01 * k, 0.01 * k - 0.005, math.nan) for k, m in enumerate(methods)}
        for metric in ("tail", "head", "pixel_accuracy")
    }
    figure = decision_figure(changes, {"one": changes, "other": changes}, "plain")
    handles = figure.legends[0].legend_handles
    looks = {(h.get_marker(), h.get_color(), h.get_markerfacecolor()) for h in handles}
    assert len(handles) == len(looks) == 15
    assert len(figure.axes) == 4
    grey = handles[0].get_color()
    assert [h.get_color() for h in handles].count(grey) == 1


def test_bars_join_methods_that_do_not_differ_significantly():
    scores = {"mIoU": {f"task {t}": [4.0, 3.0, 2.0, 1.0] for t in range(8)}}
    axes = rank_figure(scores, ["a", "b", "c", "d"]).axes[0]
    bars = [line for line in axes.lines if line.get_linewidth() == 3]
    # Ranks 1, 2, 3, 4 and a critical difference of 1.66: neighbours alone are joined.
    assert len(bars) == 3
    assert "critical difference 1.7" in [text.get_text() for text in axes.texts]


def test_a_study_is_drawn_again_from_its_records(tmp_path, make_study):
    study = dataclasses.replace(make_study(), command="equiseg compare --out here")
    for task, comparison in study.comparisons.items():
        comparison.save(tmp_path / task / "comparison.json")
    study.save(tmp_path)
    assert Study.load(tmp_path).tuning["field"] == {}
    assert main_of(draw_page(tmp_path)) == main_of(report_study(tmp_path / "again", study, {}))
    assert (tmp_path / "field" / "report.html").is_file()


def test_a_study_without_a_record_is_put_together_from_its_tasks(tmp_path, make_study):
    study = make_study()
    for task, comparison in study.comparisons.items():
        comparison.save(tmp_path / task / "comparison.json")
    known = {"select": "tail", "trials": [{"changes": "ceco", "score": None, "chosen": True}]}
    (tmp_path / "street" / "ceco").mkdir()
    (tmp_path / "street" / "ceco" / "tuning.json").write_text(json.dumps(known))
    found = Study.load_tasks(tmp_path)
    assert found is not None
    assert (found.select, list(found.comparisons)) == ("tail", ["field", "room", "street"])
    assert math.isnan(found.tuning["street"]["ceco"][0].score)
    assert Study.load_tasks(tmp_path / "street") is None
