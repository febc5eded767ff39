import math

import pytest

from diagnoses import tiny_diagnosis, tiny_record
from equiseg.metrics.catalogue import COMPARED, MEASURES, SCORES, SUMMARY, best_of


def test_the_catalogue_names_every_score_and_measure_of_a_record():
    record = tiny_record()
    counts = {name for name in record.scores if name.startswith("num_")}
    others = {"classifier_cosines"}
    assert set(record.scores) - counts - others <= set(SCORES)
    measured = set(tiny_diagnosis().numbers) - {"num_present"}
    assert measured == set(MEASURES)


def test_every_entry_has_its_words():
    for quantity in (*SCORES.values(), *MEASURES.values()):
        assert quantity.label and quantity.sentence.endswith(".")
    assert all(measure.source for measure in MEASURES.values())
    assert set(COMPARED) <= set(SCORES)
    assert set(SUMMARY) <= set(MEASURES)
    assert SCORES["pixel_accuracy"].heading("point") == "Point accuracy"
    assert SCORES["foreground"].heading() == "mIoU without background"


@pytest.mark.parametrize(("name", "best"), [("miou", 2), ("ece", 1), ("tail_ece", 1)])
def test_the_lowest_error_and_the_highest_score_is_best(name, best):
    assert best_of([math.nan, 0.1, 0.4], name) == best
