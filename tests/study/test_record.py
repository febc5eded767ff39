"""The record of a study, and of studies from before there was one."""

import json
import math

import pytest

from equiseg.study.comparison import COMPARISON
from equiseg.study.record import Study, Trial


def tuned(comparisons):
    trials = [Trial("ceco:scale=2", 0.4, True), Trial("ceco:scale=9", math.nan, False)]
    tuning = {name: {"ceco": trials} for name in comparisons}
    return Study(comparisons, tuning, "tail", dict.fromkeys(comparisons, 1.5), "a command")


def saved(study, folder):
    for name, comparison in study.comparisons.items():
        comparison.save(folder / name / COMPARISON)
    return folder


def test_a_study_comes_back_as_it_was(tmp_path, make_comparison):
    study = tuned({"b": make_comparison(), "a": make_comparison(num_seeds=2)})
    study.save(saved(study, tmp_path))
    loaded = Study.load(tmp_path)
    assert list(loaded.comparisons) == ["b", "a"]
    assert (loaded.select, loaded.hours, loaded.command) == ("tail", study.hours, "a command")
    best, failed = loaded.tuning["a"]["ceco"]
    assert best == Trial("ceco:scale=2", 0.4, True)
    assert math.isnan(failed.score)


def test_a_folder_without_a_study_is_read_task_by_task(tmp_path, make_comparison):
    saved(tuned({"a": make_comparison(), "b": make_comparison()}), tmp_path)
    trial = {"changes": "ceco:scale=2", "score": None, "chosen": True}
    (tmp_path / "a" / "ceco").mkdir()
    (tmp_path / "a" / "ceco" / "tuning.json").write_text(
        json.dumps({"select": "tail", "trials": [trial]})
    )
    loaded = Study.load_tasks(tmp_path)
    assert list(loaded.comparisons) == ["a", "b"]
    assert loaded.select == "tail"
    assert loaded.tuning["a"]["ceco"][0].chosen
    assert loaded.tuning["b"] == {}


def test_comparisons_of_other_methods_are_no_study(tmp_path, make_comparison):
    other = make_comparison(variants=("plain", "focal"))
    saved(tuned({"a": make_comparison(), "b": other}), tmp_path)
    assert Study.load_tasks(tmp_path) is None
    assert Study.load_tasks(tmp_path / "a") is None


def test_a_cut_record_is_named(tmp_path, make_comparison):
    study = tuned({"a": make_comparison(), "b": make_comparison()})
    study.save(saved(study, tmp_path))
    file = tmp_path / "study.json"
    file.write_text(file.read_text()[:40])
    with pytest.raises(ValueError, match=r"study.json: not a JSON file"):
        Study.load(tmp_path)
